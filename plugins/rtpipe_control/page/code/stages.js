// What a stage says of itself: what it does now, and how or why. No DOM.
// It knows stages by what they offer and tell, and a few events and options by name.

import { ago, baseName, signed, span } from "./words.js";

/** A stage's facts after an event; the same object where it changes nothing. */
export function learn(facts, event) {
  const step = FACTS[event.type];
  if (!step || !event.source) return facts;
  const before = facts[event.source] ?? {};
  return { ...facts, [event.source]: { ...before, ...step(event, before) } };
}

const FACTS = {
  "mute_gate.opened": (event) => ({ gate: "open", gateSince: event.at }),
  "mute_gate.closed": (event) => ({ gate: "closed", gateSince: event.at }),
  "vad.speech_started": (event) => ({ voice: "speech", voiceSince: event.at }),
  "vad.speech_stopped": (event) => ({ voice: "silence", voiceSince: event.at }),
  "realtime.calling": (event) => ({ calling: { since: event.at, most: event.timeout_s }, call: null }),
  "realtime.reconnecting": (event) => ({ calling: { since: event.at, attempt: event.attempt }, call: null }),
  "realtime.connected": (event, before) => ({ calling: null, call: before.call ?? event.at }),
  "realtime.disconnected": () => ({ call: null, calling: null }),
  "realtime.media_measured": (event) => ({ media: event }),
  "device.lost": (event) => ({ lost: { since: event.at, device: event.device, reason: event.reason } }),
  "device.returned": (event) => ({ lost: null, device: event.device, away: (event.away_s ?? 0) }),
  "device.changed": (event) => ({ lost: null, device: event.device }),
  "stage.fell_back": () => ({ lost: null, gate: undefined }),
  "stage.returned": () => ({ lost: null, gate: undefined }),
  "speaker.underran": (event, before) => ({ underruns: (before.underruns ?? 0) + (event.count ?? 1) }),
  "speaker.volume_changed": (event) => ({ volume: event.volume }),
  "speaker.muted": () => ({ muted: true }),
  "speaker.unmuted": () => ({ muted: false }),
  "mic.muted": () => ({ muted: true }),
  "mic.unmuted": () => ({ muted: false }),
  "stage.restarted": () => ({ lost: null }),
};

/** @returns {{now: string, how: string, tone: ""|"standin"|"waits"|"lost", tag: string, gate: string}} */
export function describe(stage, facts, state) {
  const fact = facts[stage.id] ?? {};
  const shown = { now: "", how: "", tone: "", tag: "", gate: "" };
  const main = mainOption(stage, fact);
  if (stage.wanted) {
    shown.tone = "standin";
    shown.tag = "stand-in";
  }
  if (stage.status === "failed") return { ...shown, now: "failed", how: stage.detail || main, tone: "lost", tag: "✕ failed" };
  if (stage.status === "recovering") {
    return { ...shown, now: "is opened again", how: stage.detail || main, tone: "lost", tag: "✕ down" };
  }
  if (fact.lost) {
    return { ...shown, now: `gone for ${ago(state.now - fact.lost.since)}`, how: fact.lost.device, tone: "lost", tag: "✕ lost" };
  }
  if (state.pipeline.state === "opening") return { ...shown, ...opening(stage, fact, state, main) };
  if (stage.status === "stopped" || stage.status === "stopping") {
    return { ...shown, now: stage.status, how: main, tone: shown.tone || "waits" };
  }
  const lines = [doing(stage, fact), main].filter(Boolean);
  if (stage.family === "peer") lines.reverse();
  const call = fact.call !== undefined && fact.call !== null ? `in a call ${span(state.now - fact.call)}` : "";
  if (call) lines.push(call);
  if (fact.calling) lines.splice(0, 2, callingLine(fact.calling, state), main);
  const why = stage.wanted ? reason(stage.wanted.reason) : "";
  const [now = stage.kind === stage.id ? "" : stage.kind, how = ""] = lines;
  return { ...shown, now, how: why || how, gate: fact.gate && !fact.lost ? fact.gate : "" };
}

function opening(stage, fact, state, main) {
  if (fact.calling) return { now: callingLine(fact.calling, state), how: fact.calling.most ? `of at most ${fact.calling.most} s` : main };
  if (stage.opening) return { now: "is being opened", how: main };
  if (stage.status === "ok") return { now: "ready", how: main };
  return { now: "waits", how: main, tone: "waits" };
}

function callingLine(calling, state) {
  const time = `${Math.max(0, state.now - calling.since).toFixed(1)} s`;
  return calling.attempt > 1 ? `call ${calling.attempt}, ${time}` : `calling, ${time}`;
}

function doing(stage, fact) {
  if (fact.muted) return "muted";
  if (fact.gate) return fact.gate;
  if (fact.voice) return fact.voice;
  if (stage.family !== "peer" && stage.gauge) return stage.gauge.split("  ")[0];
  return "";
}

const MAIN = ["device", "provider", "model", "path", "url", "gain_db", "mode", "engine", "frequency", "command", "level_dbfs"];

function mainOption(stage, fact) {
  const options = stage.options ?? {};
  if (fact.device) return fact.device;
  if (stage.gauge && stage.family === "sink" && stage.gauge.includes("  ")) return stage.gauge.split("  ")[1];
  if (stage.family === "peer" && options.model && !stage.wanted) return options.model;
  const key = MAIN.find((name) => typeof options[name] === "string" || typeof options[name] === "number");
  const value = key ? options[key] : "";
  if (key === "gain_db") return `${signed(value)} dB`;
  if (key === "path" || key === "url") return baseName(value);
  if (key === "provider") return `${value} peer`;
  if (key === "frequency") return `${value} Hz`;
  if (key === "level_dbfs") return `${signed(value)} dBFS`;
  if (key === "device" && fact.volume !== undefined) return `${value}, ${Math.round(100 * fact.volume)} %`;
  return value === "" && !stage.wanted ? "" : String(value || (stage.kind === stage.id ? "" : stage.kind));
}

/** The head of a reason: what stands in a box of a hundred pixels. The whole is one click away. */
function reason(text) {
  return text.replace(/^this computer has /, "").split(":")[0];
}
