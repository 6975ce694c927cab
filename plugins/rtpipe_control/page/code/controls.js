// Which controls a pipeline has, made of the actions that its stages offer. No DOM.
//
// A control: { stages or stage, action, whyNot, … }; null: no stage offers it, and it is not shown.

import { arrange } from "./layout.js";

export function controlsOf(state) {
  const { stages } = state;
  return { mute: mute(state), talk: talk(stages), stop: stop(state), say: say(stages), volume: volume(state), devices: devices(stages) };
}

const offers = (stage, ...names) => names.every((name) => stage.actions.some((action) => action.name === name));
const whyNot = (stage, name) => stage.why_not[name] ?? "";

/** What silences the visitor: the microphone itself, else a gate or a gain before the peer. */
function mute({ stages, links }) {
  const microphones = stages.filter((stage) => stage.family === "source" && offers(stage, "mute", "unmute"));
  if (microphones.length) return pair(microphones, "mute", "unmute", microphones.length > 1 ? "microphones" : "microphone");
  const before = beforePeer(stages, links);
  const gate = before.find((stage) => offers(stage, "close", "open"));
  if (gate) return pair([gate], "close", "open", "visitor");
  const gain = before.find((stage) => offers(stage, "mute", "unmute"));
  return gain ? pair([gain], "mute", "unmute", "visitor") : null;
}

/** The transforms on the way to the peer (or, without one, on the line), the nearest first. */
function beforePeer(stages, links) {
  const { line } = arrange(stages, links);
  const peer = line.findIndex((id) => stages.find((stage) => stage.id === id).family === "peer");
  const ids = line.slice(0, peer < 0 ? line.length : peer).reverse();
  return ids.map((id) => stages.find((stage) => stage.id === id)).filter((stage) => stage.family === "transform");
}

/** Two actions of which one undoes the other: pressed where only the second can be done. */
function pair(stages, on, off, what) {
  const is = (stage) => whyNot(stage, on) !== "" && whyNot(stage, off) === "";
  const pressed = stages.every(is);
  const those = pressed ? stages : stages.filter((stage) => !is(stage));
  const why = those.map((stage) => whyNot(stage, pressed ? off : on)).find(Boolean) ?? "";
  return { stages: those.map((stage) => stage.id), action: pressed ? off : on, pressed, what, whyNot: why };
}

/** What is held to talk: each stage's pair of actions that opens and ends a turn. */
function talk(stages) {
  const held = [];
  const refused = [];
  for (const stage of stages) {
    const begins = stage.family === "peer" ? "press" : "talk";
    if (!offers(stage, begins, "release")) continue;
    const cannot = whyNot(stage, begins);
    if (cannot && whyNot(stage, "release")) refused.push([stage, cannot]);
    else held.push({ stage: stage.id, press: begins, release: "release" });
  }
  if (held.length) return { held, whyNot: "" };
  const [first] = refused.filter(([stage]) => stage.family === "peer");
  return first ? { held, whyNot: first[1] } : null;
}

function stop({ stages, talk: { answering, turns } }) {
  const peer = stages.find((stage) => stage.family === "peer" && offers(stage, "cancel"));
  if (!peer) return null;
  const waits = turns.at(-1)?.wait;
  const busy = answering || (waits && waits.until === null);
  return { stages: [peer.id], action: "cancel", whyNot: whyNot(peer, "cancel") || (busy ? "" : "the desk is silent") };
}

function say(stages) {
  const peer = stages.find((stage) => stage.family === "peer" && offers(stage, "say"));
  return peer ? { stage: peer.id, action: "say", whyNot: whyNot(peer, "say") } : null;
}

function volume({ stages, facts }) {
  const stage = stages.find((each) => each.family === "sink" && offers(each, "volume"));
  if (!stage) return null;
  const value = facts[stage.id]?.volume ?? stage.options.volume ?? 1;
  return { stage: stage.id, action: "volume", value, whyNot: whyNot(stage, "volume") };
}

function devices(stages) {
  const stage = stages.find((each) => each.family === "source" && offers(each, "devices", "use"));
  return stage ? { stage: stage.id, action: "use", whyNot: whyNot(stage, "use") } : null;
}
