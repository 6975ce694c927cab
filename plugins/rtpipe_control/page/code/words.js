// How times, levels and counts are written. No DOM.

export const FLOOR_DB = -60;

/** Seconds as a length: 00:21, 41:07, 5:12:00, 3 d 04:12. */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return `${d} d ${two(h)}:${two(m)}`;
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`;
}

/** A moment: within the first hour as the pipeline counts (00:05.8), later as the wall does. */
export function clock(at, startedMs, tenths = true) {
  if (at >= 3600 && startedMs) {
    return new Date(startedMs + at * 1000).toTimeString().slice(0, 8);
  }
  const s = Math.max(0, at);
  const rest = tenths ? (Math.floor(s * 10) / 10 % 60).toFixed(1).padStart(4, "0") : String(Math.floor(s % 60)).padStart(2, "0");
  return `${String(Math.floor(s / 60)).padStart(2, "0")}:${rest}`;
}

export function seconds(s) {
  return s < 10 ? `${s.toFixed(2)} s` : `${s.toFixed(1)} s`;
}

/** How long ago, in words that do not change more often than need be. */
export function ago(s) {
  if (s < 60) return `${Math.max(0, Math.floor(s))} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min` : span(s);
}

export function decibel(db) {
  if (db === undefined || db === null) return "";
  return db <= FLOOR_DB ? "silence" : `${signed(Math.round(db))} dB`;
}

export function signed(n) {
  return n > 0 ? `+${n}` : `${n}`.replace("-", "−");
}

/** Milliseconds: 340 ms, 14.2 s. */
export function length(ms) {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

export function count(n) {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

export function many(n, one, more = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : more}`;
}

/** A level on the scale of the meters: 0 at −60 dBFS, 1 at 0. */
export function onScale(db) {
  return db === undefined ? 0 : Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

/** Whole milliseconds whose sum is the whole total (the largest remainders are rounded up). */
export function rounded(parts, total) {
  const floors = parts.map(Math.floor);
  let left = Math.round(total) - floors.reduce((a, b) => a + b, 0);
  const order = parts.map((p, i) => [p - floors[i], i]).sort((a, b) => b[0] - a[0]);
  for (const [, i] of order) {
    if (left <= 0) break;
    floors[i] += 1;
    left -= 1;
  }
  return floors;
}

/** A file's name without its folders. */
export function baseName(path) {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}
