// The page: what the kiosk tells goes through the reducer, and each part shows what concerns it.

import { act, follow } from "./connection.js";
import { calm, set } from "./dom.js";
import { Listening } from "./parts/listening.js";
import { nothing, reduce } from "./reducer.js";
import "./parts/alerts.js";
import "./parts/events.js";
import "./parts/graph.js";
import "./parts/hands.js";
import "./parts/head.js";
import "./parts/keys.js";
import "./parts/ledger.js";
import "./parts/reload.js";
import "./parts/sentence.js";
import "./parts/strip.js";
import "./parts/talk.js";

const DRAW_MS = 330;  // 3 pictures a second: in each the peak since the one before
const CALM_MS = 480;
const PARTS = ["rt-head", "rt-sentence", "rt-hands", "rt-alerts", "rt-strip", "rt-graph", "rt-ledger", "rt-listening", "rt-talk", "rt-events", "rt-keys", "rt-reload"];

const parts = PARTS.map((name) => document.querySelector(name));
let state = nothing();
let drawn = null;
let asked = false;
let drawnAt = 0;

function draw() {
  asked = false;
  const before = drawn;
  drawn = state;
  drawnAt = performance.now();
  for (const part of parts) part.show(state, before);
  set(document.body, "data-line", state.line);
  set(document.body, "data-state", state.pipeline ? state.pipeline.state : "");
  const name = state.pipeline ? state.pipeline.name : "";
  const title = `${name ? `${name}: ` : ""}${state.condition.text} · rtpipe`;
  if (document.title !== title) document.title = title;
}

function tell(message) {
  const kinds = state.stages.map((stage) => stage.kind).join();
  state = reduce(state, message.name === "levels" ? louder(message) : message);
  // Another kind stands there now: its options and actions are told with a whole picture only.
  if (message.name === "event" && message.data.type === "pipeline.reloaded") connection.again();
  else if (message.name === "state" && kinds !== state.stages.map((stage) => stage.kind).join()) connection.again();
  if (asked) return;
  asked = true;
  const left = drawnAt + (calm.matches ? CALM_MS : DRAW_MS) - performance.now();
  if (left > 0) setTimeout(requestAnimationFrame, left, draw);
  else requestAnimationFrame(draw);
}

/** Levels with the peaks of those that were not drawn yet: none goes unseen. */
function louder({ name, data }) {
  if (state.levels === drawn?.levels) return { name, data };
  const levels = Object.entries(data.levels).map(([id, [rms, peak]]) => [id, [rms, Math.max(peak, state.levels[id]?.[1] ?? peak)]]);
  return { name, data: { ...data, levels: Object.fromEntries(levels) } };
}

/** What parts may ask of the page. */
const page = { act, listening: new Listening(), get state() { return state; } };
for (const part of parts) part.page = page;
const connection = follow(tell);
draw();
