// What was said, heard and waited for: a reducer of events. No DOM.
//
// turns: [{ key, visitor: Line|null, wait: Wait|null, answers: [Line] }], the oldest first.
// Line:  { at, state, text, items, itemId, responseId, heard, cut, rest }
// Wait:  { since, hangover, until, total, parts } — without `total` it still lasts.

import { rounded } from "./words.js";

export const PARTS = ["device", "dsp", "queue", "hangover", "network", "model", "jitter", "playout"];
const MOST_TURNS = 500;

export function silence() {
  return { turns: [], made: 0, speaking: false, answering: "", hangover: 0 };
}

/** The conversation after an event; the same object where it changes nothing. */
export function converse(talk, event) {
  const step = STEPS[event.type];
  return step ? step(talk, event) : talk;
}

/** How an answer's text divides: what was heard, what was not. */
export function heardOf(line) {
  if (line.heard === null || line.heard >= line.text.length) return [line.text, ""];
  let end = line.heard;
  if (!line.cut) {  // between two words, where it goes on
    const space = line.text.indexOf(" ", end);
    end = space < 0 ? line.text.length : space;
    if (line.heard === 0) end = 0;
  }
  return [line.text.slice(0, end), line.text.slice(end)];
}

/** The parts of a wait in whole milliseconds, which add up to its total. */
export function partsOf(wait) {
  const whole = rounded(PARTS.map((name) => wait.parts[name]), wait.total);
  return PARTS.map((name, i) => ({ name, ms: whole[i] }));
}

/** The measured waits, the oldest first. */
export function waits(talk) {
  return talk.turns.filter((turn) => turn.wait && turn.wait.total !== undefined).map((turn) => turn.wait);
}

const line = (at, more) => ({ at, state: "", text: "", items: [], itemId: "", responseId: "", heard: null, cut: false, ...more });

function put(talk, turn, more = {}) {
  const at = talk.turns.findIndex((each) => each.key === turn.key);
  const turns = at < 0 ? [...talk.turns, turn].slice(-MOST_TURNS) : talk.turns.with(at, turn);
  return { ...talk, ...more, turns, made: talk.made + (at < 0 ? 1 : 0) };
}

function turnOfItem(talk, itemId) {
  return itemId && talk.turns.findLast((turn) => turn.visitor && turn.visitor.itemId === itemId);
}

function turnOfAnswer(talk, responseId) {
  return responseId && talk.turns.findLast((turn) => turn.answers.some((each) => each.responseId === responseId));
}

const fresh = (talk, visitor) => ({ key: `turn${talk.made}`, visitor, wait: null, answers: [] });

function userStarted(talk, event) {
  const last = talk.turns.at(-1);
  const again = turnOfItem(talk, event.item_id);
  const visitor = line(event.at, { state: "speaking", itemId: event.item_id ?? "" });
  const turn = again ? { ...again, visitor: { ...again.visitor, state: "speaking" }, wait: null } : fresh(talk, visitor);
  // Somebody who pauses and goes on before any answer is still in his turn's first line.
  const ended = last && last.wait && last.wait.total === undefined ? put(talk, { ...last, wait: null }) : talk;
  return put(ended, turn, { speaking: true });
}

function userStopped(talk, event) {
  const turn = turnOfItem(talk, event.item_id) ?? talk.turns.at(-1);
  if (!turn || !turn.visitor) return { ...talk, speaking: false };
  const visitor = { ...turn.visitor, state: turn.visitor.text ? "said" : "spoken" };
  const wait = { since: event.at - talk.hangover / 1000, hangover: talk.hangover, until: null };
  return put(talk, { ...turn, visitor, wait }, { speaking: false });
}

function visitorText(talk, event, whole) {
  const known = turnOfItem(talk, event.item_id);
  const text = whole ? event.text : `${known ? known.visitor.text : ""}${event.delta}`;
  const state = whole || !known ? "said" : known.visitor.state;
  if (known) return put(talk, { ...known, visitor: { ...known.visitor, text, state } });
  const last = talk.turns.at(-1);
  if (last && last.visitor && !last.visitor.text && !last.visitor.itemId) {
    return put(talk, { ...last, visitor: { ...last.visitor, text, state, itemId: event.item_id ?? "" } });
  }
  return put(talk, fresh(talk, line(event.at, { text, state, itemId: event.item_id ?? "" })));
}

function withAnswer(talk, responseId, at, change) {
  const known = turnOfAnswer(talk, responseId);
  if (known) {
    const answers = known.answers.map((each) => (each.responseId === responseId ? change(each) : each));
    return put(talk, { ...known, answers });
  }
  const last = talk.turns.at(-1);
  // While somebody speaks, what the desk begins to say is no answer to it.
  const turn = last && !(last.visitor && last.visitor.state === "speaking") ? last : fresh(talk, null);
  const answer = change(line(at, { responseId: responseId ?? "", state: "comes" }));
  return put(talk, { ...turn, answers: [...turn.answers, answer] });
}

function answerStarted(talk, event) {
  const next = withAnswer(talk, event.response_id, event.at, (answer) => ({
    ...answer, at: event.at, state: "sounds", heard: answer.text && answer.heard === null ? 0 : answer.heard,
  }));
  const turn = turnOfAnswer(next, event.response_id);
  const wait = turn && turn.wait && turn.wait.total === undefined ? { ...turn.wait, until: event.at } : turn && turn.wait;
  return put(next, { ...turn, wait }, { answering: event.response_id ?? "-" });
}

function answerStopped(talk, event) {
  if (!turnOfAnswer(talk, event.response_id)) return { ...talk, answering: "" };
  const next = withAnswer(talk, event.response_id, event.at, (answer) => ({
    ...answer, state: "said", heard: answer.cut ? answer.heard : null,
  }));
  return { ...next, answering: "" };
}

function textOf(items) {
  return items.map((item) => item.whole ?? item.pieces).filter(Boolean).join(" ");
}

function withItem(answer, itemId, change) {
  const known = answer.items.some((item) => item.id === itemId);
  const items = (known ? answer.items : [...answer.items, { id: itemId, pieces: "", whole: null }])
    .map((item) => (item.id === itemId ? change(item) : item));
  return { ...answer, items, text: textOf(items) };
}

function answerPiece(talk, event) {
  return withAnswer(talk, event.response_id, event.at, (answer) => {
    const next = withItem(answer, event.item_id, (item) => ({ ...item, pieces: item.pieces + event.delta }));
    return next.state === "comes" && next.heard === null ? { ...next, heard: 0 } : next;
  });
}

function answerText(talk, event) {
  return withAnswer(talk, event.response_id, event.at, (answer) => ({
    ...withItem(answer, event.item_id, (item) => ({ ...item, whole: event.text })),
    cut: answer.cut || Boolean(event.interrupted),
    rest: event.status && event.status !== "completed" ? event.status : "",
    // No event tells how far this answer is: then it is told once it has all been heard.
    heard: answer.told || answer.state === "comes" ? answer.heard : null,
    state: answer.state === "comes" ? "said" : answer.state,
  }));
}

function answerHeard(talk, event) {
  return withAnswer(talk, event.response_id, event.at, (answer) => ({ ...answer, heard: event.heard_chars, told: true }));
}

function answerCut(talk, event) {
  const next = withAnswer(talk, event.response_id, event.at, (answer) => ({
    ...answer, cut: true, told: true, heard: event.heard_chars ?? answer.heard, state: "said",
  }));
  return { ...next, answering: "" };
}

function measured(talk, event) {
  const turn = turnOfAnswer(talk, event.response_id) ?? talk.turns.at(-1);
  if (!turn) return talk;
  const parts = Object.fromEntries(PARTS.map((name) => [name, event[`${name}_ms`] ?? 0]));
  const answer = turn.answers.find((each) => each.responseId === event.response_id);
  const until = (turn.wait && turn.wait.until) ?? (answer ? answer.at : event.at);
  const wait = { since: until - event.total_ms / 1000, until, total: event.total_ms, parts, hangover: parts.hangover };
  return put(talk, { ...turn, wait }, { hangover: parts.hangover });
}

/** The server says for how long it waits after the last word: a setting, not a measurement. */
function sessionTold(talk, event) {
  const session = event.session ?? {};
  const detection = session.audio?.input?.turn_detection ?? session.turn_detection;
  const hangover = detection?.silence_duration_ms;
  return hangover === undefined || hangover === talk.hangover ? talk : { ...talk, hangover };
}

function silenced(talk) {
  const last = talk.turns.at(-1);
  const open = last && last.wait && last.wait.total === undefined && last.wait.until === null;
  return { ...(open ? put(talk, { ...last, wait: null }) : talk), speaking: false, answering: "" };
}

const STEPS = {
  "turn.user_started": userStarted,
  "turn.user_stopped": userStopped,
  "transcript_delta.user": (talk, event) => visitorText(talk, event, false),
  "transcript.user": (talk, event) => visitorText(talk, event, true),
  "turn.answer_started": answerStarted,
  "turn.answer_stopped": answerStopped,
  "transcript_delta.assistant": answerPiece,
  "transcript.assistant": answerText,
  "turn.answer_heard": answerHeard,
  "turn.answer_cut": answerCut,
  "latency.turn_measured": measured,
  "session.created": sessionTold,
  "session.updated": sessionTold,
  "realtime.disconnected": silenced,
  "pipeline.ended": silenced,
};
