// The state of the page: a pure function of what the kiosk has told. No DOM, no clock.
//
// A message is { name, data, id }: what the event stream brings (snapshot, event, levels, state,
// condition, missed, end), or what only the page knows: `stale` (no news for so many seconds).

import { converse, silence } from "./conversation.js";
import { learn } from "./stages.js";

export const STRIP_S = 20;
export const STEP_S = 0.25;
const MOST_EVENTS = 600;
const MOST_SPANS = 60;

export function nothing() {
  return {
    line: "calling",  // calling, live, stale, over
    staleFor: 0,
    pipeline: null,
    now: 0,
    condition: { tone: "", sign: "call", text: "Opening the page.", why: "", since: 0, alerts: [] },
    stages: [],
    links: [],
    losses: {},
    facts: {},
    talk: silence(),
    levels: {},
    strip: [],
    spans: [],
    events: [],
    newest: 0,
    pictures: 0,  // how often all of it was replaced
  };
}

export function reduce(state, message) {
  const step = STEPS[message.name];
  return step ? step(state, message.data, message.id) : state;
}

const STEPS = { snapshot, event: live, levels, state: changed, condition, missed, stale, end: over };

function snapshot(before, data) {
  const { recent } = data;
  const again = before.pipeline && before.pipeline.startedAt === Date.parse(data.started_at);
  let state = {
    ...nothing(),
    line: "live",
    pipeline: {
      name: data.name, run: data.run, version: data.version, file: data.file,
      description: data.description, state: data.state, startedAt: Date.parse(data.started_at),
    },
    now: data.now,
    condition: data.condition ?? nothing().condition,
    stages: data.stages,
    links: data.links,
    losses: again ? before.losses : {},
    talk: { ...silence(), hangover: hangoverOf(data.stages) },
    newest: data.number ?? 0,
    pictures: before.pictures + 1,
  };
  const told = [...recent.last, ...recent.conversation].sort((a, b) => a.at - b.at);
  for (const event of told) state = takeIn(state, event);
  state = { ...state, spans: spansOf(recent.events), strip: bins(recent.levels ?? [], voices(state)) };
  for (const event of recent.events) state = remember(state, event);
  if (again && data.number) {
    const known = recent.events.filter((event) => event.at > before.now).reduce((n, event) => n + (event.count ?? 1), 0);
    const lost = data.number - before.newest - known;
    if (lost > 0) state = missed(state, { events: lost });
  }
  return { ...state, losses: lossesOf(state) };
}

function live(state, event, id) {
  if (id && id <= state.newest) return state;  // it stands in the snapshot already
  const next = remember(takeIn({ ...state, line: "live", newest: id ?? state.newest }, event), event);
  return { ...next, now: Math.max(next.now, event.at), spans: spanned(next.spans, event) };
}

function takeIn(state, event) {
  const facts = learn(state.facts, event);
  const talk = converse(state.talk, event);
  return facts === state.facts && talk === state.talk ? state : { ...state, facts, talk };
}

function levels(state, data) {
  const [up, down] = voices(state);
  const strip = sampled(state.strip, data.at, data.levels[up], data.levels[down]);
  return { ...state, line: "live", now: Math.max(state.now, data.at), levels: data.levels, strip };
}

function changed(state, data) {
  const stages = state.stages.map((stage) => {
    const now = data.stages[stage.id];
    if (!now || same(stage, now)) return stage;
    const options = now.kind === stage.kind ? stage.options : now.options ?? stage.options;
    return { ...stage, ...now, options };
  });
  const moved = stages.some((stage, i) => stage !== state.stages[i]);
  const next = {
    ...state, line: "live", now: data.now, condition: data.condition ?? state.condition, links: data.links,
    stages: moved ? stages : state.stages,
    pipeline: data.state === state.pipeline.state ? state.pipeline : { ...state.pipeline, state: data.state },
  };
  return { ...next, losses: lossesOf(next) };
}

function same(stage, now) {
  return Object.keys(now).every((key) => stage[key] === now[key] || JSON.stringify(stage[key]) === JSON.stringify(now[key]));
}

function condition(state, data) {
  return { ...state, condition: data };
}

function missed(state, data) {
  const text = `missed ${data.events} event${data.events === 1 ? "" : "s"}`;
  return remember(state, { type: "", source: "", at: state.now, line: text, importance: "warning", page: true });
}

function stale(state, data) {
  return state.line === "over" ? state : { ...state, line: state.pipeline ? "stale" : "calling", staleFor: data.seconds, refused: data.refused ?? null };
}

function over(state, data) {
  return { ...state, line: "over", pipeline: { ...state.pipeline, state: data.state ?? "ended" }, levels: {} };
}

// -- events --

function remember(state, event) {
  const last = state.events.at(-1);
  if (last && event.importance === "detail" && last.type === event.type && last.source === event.source) {
    const folded = { ...event, count: (last.count ?? 1) + (event.count ?? 1), key: last.key };
    return { ...state, events: [...state.events.slice(0, -1), folded] };
  }
  const key = last ? last.key + 1 : 0;
  return { ...state, events: [...state.events.slice(1 - MOST_EVENTS), { ...event, key }] };
}

// -- the strip --

/** The stages whose levels are the two voices: what a peer is given, and what it gives. */
export function voices(state) {
  const peer = state.stages.find((stage) => stage.family === "peer");
  if (peer) return [state.links.find((link) => link.to === peer.id && !link.inlet)?.from ?? "", peer.id];
  const ends = (family) => state.stages.find((stage) => stage.family === family)?.id ?? "";
  return [ends("source"), ends("sink")];
}

function bins(history, [up, down]) {
  let strip = [];
  for (const [at, of] of history) strip = sampled(strip, at, of[up], of[down]);
  return strip;
}

/** strip: [{ bin, up, down }], one for each 0.25 s, in dBFS; the loudest counts. */
function sampled(strip, at, up, down) {
  const bin = Math.floor(at / STEP_S + 1e-6);
  const value = (level) => (Array.isArray(level) ? level[0] : level) ?? -120;
  const last = strip.at(-1);
  if (last && last.bin === bin) {
    const louder = { bin, up: Math.max(last.up, value(up)), down: Math.max(last.down, value(down)) };
    return [...strip.slice(0, -1), louder];
  }
  const from = bin - STRIP_S / STEP_S - 1;
  return [...strip.filter((each) => each.bin > from), { bin, up: value(up), down: value(down) }];
}

/** spans: [{ what: "gate"|"lost", source, from, to }]; `to` null: it lasts. */
function spansOf(events) {
  return events.reduce(spanned, []);
}

const BEGINS = { "mute_gate.closed": "gate", "device.lost": "lost", "mic.muted": "muted" };
const ENDS = {
  "mute_gate.opened": "gate", "device.returned": "lost", "device.changed": "lost",
  "stage.fell_back": "lost", "mic.unmuted": "muted",
};

function spanned(spans, event) {
  const ended = ENDS[event.type];
  if (ended) {
    return spans.map((each) => (each.what === ended && each.source === event.source && each.to === null ? { ...each, to: event.at } : each));
  }
  const what = BEGINS[event.type];
  return what ? [...spans, { what, source: event.source, from: event.at, to: null }].slice(-MOST_SPANS) : spans;
}

// -- what was lost --

/** losses: { link: { ms, since } }: how much each queue has lost, and when that last grew. */
function lossesOf(state) {
  let losses = state.losses;
  for (const link of state.links) {
    if (!link.queued) continue;
    const key = `${link.from}>${link.to}.${link.inlet}`;
    const ms = link.dropped_ms + link.refused_ms;
    const before = losses[key];
    if (ms !== (before ? before.ms : 0)) losses = { ...losses, [key]: { ms, since: state.now } };
  }
  return losses;
}

function hangoverOf(stages) {
  const peer = stages.find((stage) => stage.family === "peer");
  return peer?.options?.turn_detection?.silence_duration_ms ?? 0;
}
