// The last 20 s of both voices: the visitor above the line, the desk below it, the gate hatched,
// waits as bars with their seconds, a lost device in red. A canvas, a picture a second.

import { STEP_S, STRIP_S, voices } from "../reducer.js";
import { h, set } from "../dom.js";
import { clock, onScale } from "../words.js";

const HEIGHT = 84;
const MID = 42;
const TALL = 25;

class Strip extends HTMLElement {
  connectedCallback() {
    this.canvas = h("canvas", { role: "img", "aria-label": "The last 20 seconds" });
    this.append(this.canvas);
    new ResizeObserver(([entry]) => this.sized(entry.contentRect.width)).observe(this);
    const anew = () => {
      this.colours = null;
      this.paint();
    };
    document.addEventListener("themechange", anew);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
    matchMedia("(forced-colors: active)").addEventListener("change", anew);
  }

  sized(width) {
    this.width = width;
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(HEIGHT * scale);
    this.canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    this.paint();
  }

  show(state, before) {
    set(this, "hidden", !state.strip.length && !state.spans.length);
    if (this.hidden) return;
    const bin = Math.floor(state.now / STEP_S);
    const still = before && before.talk === state.talk && before.spans === state.spans && before.line === state.line;
    if (still && (bin === this.bin || bin % 4)) return;
    this.bin = bin;
    this.state = state;
    this.names = namesOf(state);
    set(this.canvas, "aria-label", `The last 20 seconds of both voices: the ${this.names[0]} above the line, the ${this.names[1]} below it, the waits between them.`);
    this.paint();
  }

  paint() {
    if (!this.state || !this.width) return;
    const { state, width } = this;
    const c = (this.colours ??= colours(this));
    const g = this.canvas.getContext("2d");
    const end = (Math.floor(state.now / STEP_S) + 1) * STEP_S;
    const x = (at) => ((at - end + STRIP_S) / STRIP_S) * width;
    g.clearRect(0, 0, width, HEIGHT);
    for (const span of state.spans) this.span(g, c, span, x);
    g.font = c.font;
    g.textBaseline = "alphabetic";
    this.ticks(g, c, end, x);
    g.fillStyle = c.edge;
    g.fillRect(0, MID, width, 1);
    const step = width / (STRIP_S / STEP_S);
    const bar = Math.max(1, step * 0.76);
    for (const { bin, up, down } of state.strip) {
      const left = x(bin * STEP_S);
      const [tall, deep] = [TALL * onScale(up), TALL * onScale(down)];
      g.fillStyle = c.visitor;
      if (tall > 0.5) g.fillRect(left, MID - 1 - tall, bar, tall);
      g.fillStyle = c.model;
      if (deep > 0.5) g.fillRect(left, MID + 2, bar, deep);
    }
    this.waits(g, c, x);
    g.font = c.bold;
    this.text(g, c, this.names[0], 0, MID - 8, c.visitor);
    this.text(g, c, this.names[1], 0, MID + 18, c.name);
  }

  span(g, c, { what, from, to }, x) {
    const [left, right] = [Math.max(0, x(from)), Math.min(this.width, x(to ?? this.state.now))];
    if (right <= left) return;
    if (what === "lost") {
      g.fillStyle = c.faultSoft;
      g.fillRect(left, 17, right - left, MID - 17);
      g.font = c.bold;
      g.fillStyle = c.fault;
      if (right - left > 70) g.fillText("✕ gone", left + 6, 34);
      return;
    }
    g.save();
    g.beginPath();
    g.rect(left, 17, right - left, MID - 18);
    g.clip();
    g.strokeStyle = c.line;
    g.lineWidth = 2;
    g.beginPath();
    // The hatching belongs to the time: it moves with it.
    const offset = x(from) - left;
    for (let at = left + (offset % 7) - 40; at < right + 40; at += 7) {
      g.moveTo(at, MID);
      g.lineTo(at + 25, 17);
    }
    g.stroke();
    g.restore();
    g.font = c.font;
    if (right - left > 84) this.text(g, c, what === "gate" ? "gate closed" : "muted", left + 6, 34, c.dim);
  }

  ticks(g, c, end, x) {
    for (let at = Math.ceil((end - STRIP_S) / 5) * 5; at <= end; at += 5) {
      if (at < 0) continue;
      g.fillStyle = c.line;
      g.fillRect(x(at), 17, 1, 55);
      const late = at > end - 2.5;
      g.textAlign = late ? "right" : "left";
      g.fillStyle = c.dim;
      if (!late || this.width > 600) g.fillText(clock(at, this.state.pipeline?.startedAt, false), x(at) + (late ? -4 : 4), 82);
      g.textAlign = "left";
    }
  }

  waits(g, c, x) {
    for (const { wait } of this.state.talk.turns.slice(-8)) {
      if (!wait) continue;
      const until = wait.until ?? this.state.now;
      const [left, right] = [x(wait.since), x(until)];
      if (right < 0) continue;
      g.fillStyle = c.ink;
      g.fillRect(left, MID - 1, right - left, 3);
      g.font = c.bold;
      g.textAlign = "center";
      const middle = Math.max(22, Math.min(this.width - 22, (left + right) / 2));
      this.text(g, c, `${(until - wait.since).toFixed(2)} s`, middle, 12, c.ink);
      g.textAlign = "left";
    }
  }

  text(g, c, text, x, y, colour) {
    g.strokeStyle = c.bg;
    g.lineWidth = 4;
    g.lineJoin = "round";
    g.strokeText(text, x, y);
    g.fillStyle = colour;
    g.fillText(text, x, y);
  }
}

/** What the two voices are called. */
function namesOf(state) {
  if (state.stages.some((stage) => stage.family === "peer")) return ["visitor", "desk"];
  const [up, down] = voices(state);
  return [up, down];
}

function colours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    bg: of("bg"), ink: of("ink"), dim: of("dim"), line: of("line"), edge: of("edge"), visitor: of("visitor"),
    model: of("model-fill"), name: of("model"), fault: of("fault"), faultSoft: of("fault-soft"),
    font: `12px ${style.fontFamily}`, bold: `600 12px ${style.fontFamily}`,
  };
}

customElements.define("rt-strip", Strip);
