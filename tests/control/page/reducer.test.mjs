// The page's pure modules, in Node: node --test reducer.test.mjs (PAGE: the folder of the modules).
import assert from "node:assert/strict";
import { test } from "node:test";

const code = (name) => import(`${process.env.PAGE}/${name}.js`);
const { nothing, reduce, voices } = await code("reducer");
const { heardOf, partsOf } = await code("conversation");
const { arrange } = await code("layout");
const { controlsOf } = await code("controls");
const { describe } = await code("stages");
const { clock, rounded, span } = await code("words");

const stage = (id, family, inputs, more = {}) => ({
  id, kind: id, family, inputs, options: {}, wanted: null, status: "ok", detail: "", opening: false,
  ended: false, gauge: "", lost_frames: 0, why_not: {}, actions: [], ...more,
});
const link = (from, to, more = {}) => ({ from, to, inlet: 0, queued: false, converts: "", ...more });
const queue = (from, to, more = {}) => link(from, to, { queued: true, max_ms: 200, depth_ms: 0, dropped_ms: 0, refused_ms: 0, ...more });
const stages = [stage("mic", "source", []), stage("peer", "peer", ["mic"]), stage("speaker", "sink", ["peer"])];
const links = [link("mic", "peer"), queue("peer", "speaker")];
const picture = (more = {}) => ({
  name: "kiosk", run: "kiosk", version: "", file: "", description: "", started_at: "2026-12-01T10:00:00Z",
  state: "running", now: 10, number: 0, stages, links,
  condition: { tone: "", sign: "mic", text: "Ready.", why: "", since: 0, alerts: [] },
  recent: { events: [], conversation: [], last: [], warnings: [], levels: [] }, ...more,
});
const event = (type, at, more = {}) => ({ type, source: "peer", at, line: type, importance: "info", ...more });

function told(events, state = reduce(nothing(), { name: "snapshot", data: picture() })) {
  let number = state.newest;
  for (const data of events) state = reduce(state, { name: "event", data, id: (number += 1) });
  return state;
}

const TURN = [
  event("turn.user_started", 4, { item_id: "a" }),
  event("turn.user_stopped", 6.8, { item_id: "a" }),
  event("transcript.user", 7, { item_id: "a", text: "When?" }),
  event("turn.answer_started", 7.4, { response_id: "r" }),
];
const WAIT = event("latency.turn_measured", 7.4, {
  response_id: "r", total_ms: 1173.4, device_ms: 0, dsp_ms: 0.3, queue_ms: 0, hangover_ms: 500, network_ms: 122.4, model_ms: 540.6, jitter_ms: 10.1, playout_ms: 0,
});
const SAID = event("transcript.assistant", 11, { response_id: "r", item_id: "b", text: "At ten.", interrupted: false, status: "completed" });

test("a turn is a line, a wait and an answer", () => {
  const { turns } = told([...TURN, WAIT, SAID]).talk;
  assert.equal(turns.length, 1);
  assert.equal(turns[0].visitor.text, "When?");
  assert.equal(turns[0].answers[0].text, "At ten.");
  assert.equal(turns[0].wait.until, 7.4);
  assert.equal(partsOf(turns[0].wait).reduce((sum, part) => sum + part.ms, 0), 1173);
});

test("a wait that is measured with the answer's last sound belongs to its first all the same", () => {
  const { turns } = told([...TURN, SAID, { ...WAIT, at: 11.5 }]).talk;
  assert.equal(turns[0].wait.until, 7.4);
  assert.ok(Math.abs(turns[0].wait.since - (7.4 - 1.1734)) < 1e-9);
});

test("what a snapshot remembers and what was seen live are the same conversation", () => {
  const conversation = [...TURN, WAIT, SAID];
  const again = reduce(nothing(), { name: "snapshot", data: picture({ recent: { ...picture().recent, conversation } }) });
  assert.deepEqual(again.talk, told(conversation).talk);
});

test("an event that stands in the snapshot already is not taken twice", () => {
  const state = reduce(nothing(), { name: "snapshot", data: picture({ number: 7 }) });
  assert.equal(reduce(state, { name: "event", data: event("turn.user_started", 4), id: 7 }), state);
  assert.equal(reduce(state, { name: "event", data: event("turn.user_started", 4), id: 8 }).talk.turns.length, 1);
});

test("words grow, and the whole takes the place of the pieces", () => {
  const piece = (delta) => event("transcript_delta.assistant", 7.3, { response_id: "r", item_id: "b", delta, importance: "detail" });
  const grown = told([...TURN, piece("At "), piece("tn.")]);
  assert.equal(grown.talk.turns[0].answers[0].text, "At tn.");
  assert.equal(told([SAID], grown).talk.turns[0].answers[0].text, "At ten.");
  assert.equal(grown.events.at(-1).count, 2);
});

test("what was not heard yet is told apart, to the end of a word", () => {
  const piece = event("transcript_delta.assistant", 7.3, { response_id: "r", item_id: "b", delta: "We open at ten." });
  const heard = (heard_chars) => event("turn.answer_heard", 8, { response_id: "r", heard_ms: 1, heard_chars });
  const answer = (state) => state.talk.turns[0].answers[0];
  assert.deepEqual(heardOf(answer(told([...TURN, piece, heard(4)]))), ["We open", " at ten."]);
  const cut = told([...TURN, piece, heard(4), event("turn.answer_cut", 9, { response_id: "r", heard_ms: 1, heard_chars: 5 }), { ...SAID, interrupted: true }]);
  assert.equal(answer(cut).cut, true);
  assert.equal(heardOf(answer(cut))[0], "At te");
  const over = told([...TURN, piece, heard(4), event("turn.answer_stopped", 9, { response_id: "r" })]);
  assert.deepEqual(heardOf(answer(over)), ["We open at ten.", ""]);
});

test("a wait lasts until the answer's first sound, from the last word on", () => {
  const talk = told([event("session.created", 1, { session: { audio: { input: { turn_detection: { silence_duration_ms: 500 } } } } }), ...TURN.slice(0, 2)]).talk;
  assert.equal(talk.turns[0].wait.until, null);
  assert.equal(talk.turns[0].wait.since, 6.3);
});

test("an answer that nobody asked for is a turn of its own", () => {
  const { turns } = told([event("turn.answer_started", 3, { response_id: "g" }), event("transcript.assistant", 4, { response_id: "g", item_id: "z", text: "Hello.", interrupted: false, status: "completed" })]).talk;
  assert.equal(turns[0].visitor, null);
  assert.equal(turns[0].answers[0].text, "Hello.");
});

test("of a reader that was too slow the gap stands in the stream", () => {
  const state = reduce(told(TURN), { name: "missed", data: { events: 214 } });
  assert.equal(state.events.at(-1).line, "missed 214 events");
});

test("after an outage the picture is the kiosk's, and what nobody remembers is told", () => {
  const before = told(TURN);
  const back = picture({ now: 90, number: 300, recent: { ...picture().recent, events: [event("vad.speech_started", 80)] } });
  const state = reduce(reduce(before, { name: "stale", data: { seconds: 6 } }), { name: "snapshot", data: back });
  assert.equal(state.line, "live");
  assert.equal(state.talk.turns.length, 0);
  assert.equal(state.events.at(-1).line, "missed 295 events");
});

test("the reducer changes nothing that it was given", () => {
  const freeze = (value) => {
    if (value && typeof value === "object" && !Object.isFrozen(value)) Object.values(Object.freeze(value)).forEach(freeze);
    return value;
  };
  let state = freeze(reduce(nothing(), { name: "snapshot", data: freeze(picture()) }));
  const messages = [
    ...[...TURN, WAIT, SAID].map((data, i) => ({ name: "event", data, id: i + 1 })),
    { name: "levels", data: { at: 11.1, levels: { mic: [-20, -10], peer: [-30, -20] } } },
    { name: "state", data: { state: "running", now: 11.2, stages: { mic: { status: "failed" } }, links } },
    { name: "stale", data: { seconds: 3 } },
    { name: "end", data: { state: "ended" } },
  ];
  for (const message of messages) state = freeze(reduce(state, freeze(message)));
  assert.equal(state.line, "over");
});

test("the strip holds 20 s in steps of 0.25 s, the loudest of each", () => {
  let state = told([]);
  for (let i = 0; i < 300; i += 1) state = reduce(state, { name: "levels", data: { at: i / 10, levels: { mic: [-60 + (i % 2), -1], peer: [-9, -1] } } });
  assert.equal(state.strip.length, 81);
  assert.ok(state.strip.every(({ up, down }) => up === -59 && down === -9));
  assert.deepEqual(voices(state), ["mic", "peer"]);
});

test("a drop is remembered with when it last grew", () => {
  const state = (now, dropped_ms) => ({ name: "state", data: { state: "running", now, stages: {}, links: [links[0], queue("peer", "speaker", { dropped_ms })] } });
  let now = reduce(told([]), state(20, 340));
  now = reduce(now, state(50, 340));
  assert.deepEqual(now.losses["peer>speaker.0"], { ms: 340, since: 20 });
});

test("a line with two rails: they end in one row below it, and do not cross", () => {
  const ids = ["mic", "gate", "peer", "speaker"];
  const all = [...ids.map((id, i) => stage(id, i === 2 ? "peer" : i ? "transform" : "source", [])), stage("rec", "sink", [])];
  const plan = arrange(all, [link("mic", "gate"), link("gate", "peer"), link("peer", "speaker"), link("gate", "rec"), link("peer", "rec", { inlet: 1 })]);
  assert.deepEqual(plan.line, ids);
  assert.deepEqual(plan.places.rec, { column: 3, row: 1 });
  assert.deepEqual(plan.edges.map((edge) => edge.way), ["straight", "straight", "straight", "down", "down"]);
});

test("many sources: columns by distance, no two stages in one place", () => {
  const all = ["a", "b", "c"].map((id) => stage(id, "source", [])).concat(stage("mix", "transform", []), stage("out", "sink", []), stage("tap", "sink", []));
  const plan = arrange(all, [link("a", "mix"), link("b", "mix"), link("c", "mix"), link("mix", "out"), link("mix", "tap")]);
  const places = Object.values(plan.places).map(({ column, row }) => `${column} ${row}`);
  assert.equal(new Set(places).size, 6);
  assert.equal(plan.places.mix.column, 1);
  assert.deepEqual(plan.edges.filter((edge) => edge.way === "up").length, 2);
});

test("controls are what the stages offer, and mute is honest about what it silences", () => {
  const offering = (...names) => ({ actions: names.map((name) => ({ name })) });
  const gate = stage("gate", "transform", ["mic"], { ...offering("open", "close"), why_not: { close: "it is closed already" } });
  const kiosk = { ...told([]), stages: [stages[0], gate, stages[1]], links: [link("mic", "gate"), link("gate", "peer")] };
  assert.deepEqual(controlsOf(kiosk).mute, { stages: ["gate"], action: "open", pressed: true, what: "visitor", whyNot: "" });
  assert.equal(controlsOf(kiosk).talk, null);
  const mic = stage("mic", "source", [], { ...offering("mute", "unmute"), why_not: { unmute: "it is not muted" } });
  assert.deepEqual(controlsOf({ ...kiosk, stages: [mic, gate, stages[1]] }).mute, { stages: ["mic"], action: "mute", pressed: false, what: "microphone", whyNot: "" });
});

test("red is the cause alone", () => {
  const state = told([event("device.lost", 5, { source: "mic", device: "USB", reason: "is gone" })]);
  const tones = state.stages.map((each) => describe(each, state.facts, state).tone);
  assert.deepEqual(tones, ["lost", "", ""]);
  const back = told([event("device.returned", 9, { source: "mic", device: "USB", away_s: 4 })], state);
  assert.equal(describe(back.stages[0], back.facts, back).tone, "");
});

test("times and sums", () => {
  assert.equal(clock(5.86), "00:05.8");
  assert.equal(span(21), "00:21");
  assert.equal(span(274331), "3 d 04:12");
  assert.deepEqual(rounded([0.3, 122.4, 540.6, 10.1], 673.4), [0, 122, 541, 10]);
});
