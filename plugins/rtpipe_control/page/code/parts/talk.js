// The conversation: both sides' words, and between them each wait, in its parts.

import { heardOf, PARTS, partsOf, waits } from "../conversation.js";
import { each, h, prop, say, set } from "../dom.js";
import { clock, many } from "../words.js";

const SHORTER = {
  device: "a smaller `block_ms` of the microphone",
  dsp: "fewer stages before the call",
  queue: "a machine that is less busy",
  hangover: "`turn_detection: {silence_duration_ms: 300}`; too short, and it interrupts people who think",
  network: "a nearer server, a cable",
  model: "a smaller model, shorter instructions",
  jitter: "a steadier network",
  playout: "a smaller `prebuffer_ms` of the loudspeaker",
};
const GREW_MS = 5;
const MOST = 60;
const LEAST_SCALE_MS = 2000;

class Talk extends HTMLElement {
  connectedCallback() {
    this.sum = h("span", { class: "dim" });
    this.turns = h("div", { class: "turns", role: "log", "aria-label": "What was said", tabindex: 0 });
    this.blank = h("div", { class: "blank" }, h("b"), h("p"));
    this.append(h("div", { class: "head" }, h("h2", {}, "Conversation"), this.sum), this.turns, this.blank);
    this.turns.addEventListener("scroll", () => { this.held = !atEnd(this.turns); }, { passive: true });
    this.turns.addEventListener("toggle", (event) => event.target.open && event.target.scrollIntoView({ block: "nearest" }), true);
  }

  show(state, before) {
    const { talk } = state;
    const peer = state.stages.some((stage) => stage.family === "peer");
    set(this.parentElement, "hidden", state.pipeline !== null && !peer);
    const going = growing(talk);
    if (before && before.talk === talk && before.line === state.line && before.stages === state.stages && before.facts === state.facts && !(going && before.now !== state.now)) return;
    const shown = talk.turns.slice(-MOST);
    const measured = waits(talk);
    const scale = Math.max(LEAST_SCALE_MS, Math.ceil(Math.max(0, ...measured.slice(-MOST).map((wait) => wait.total), going ? 1000 * (state.now - going.since) : 0) / 1000) * 1000);
    const ends = !this.held;
    const started = state.pipeline?.startedAt;
    let last = null;
    each(this.turns, shown, (turn) => turn.key, turnMade, (element, turn) => {
      turnShown(element, turn, { state, scale, last, started });
      if (turn.wait && turn.wait.total !== undefined) last = turn.wait;
    });
    say(this.sum, summary(measured, talk));
    set(this.turns, "hidden", !shown.length);
    set(this.blank, "hidden", Boolean(shown.length));
    if (!shown.length) blank(this.blank, state);
    if (ends && before?.talk !== talk) this.turns.scrollTop = this.turns.scrollHeight;
  }
}

const atEnd = (element) => element.scrollHeight - element.scrollTop - element.clientHeight < 24;

function growing(talk) {
  const wait = talk.turns.at(-1)?.wait;
  return wait && wait.until === null ? wait : null;
}

function summary(measured, talk) {
  const turns = many(talk.turns.length, "turn");
  if (!measured.length) return talk.turns.length ? turns : "";
  const times = measured.map((wait) => wait.total / 1000);
  if (times.length < 3) return `${turns} · waited ${times.map((s) => s.toFixed(2)).join(" and ")} s`;
  const sorted = [...times].sort((a, b) => a - b);
  return `${turns} · median ${sorted[Math.floor(sorted.length / 2)].toFixed(2)} s, slowest ${sorted.at(-1).toFixed(2)} s`;
}

function blank(element, state) {
  const [title, line] = element.children;
  if (!state.pipeline) return say(title, "");
  if (state.pipeline.state === "opening") {
    const ready = state.stages.filter((stage) => stage.status === "ok").map((stage) => stage.id);
    const opening = state.stages.filter((stage) => stage.opening).map((stage) => stage.id);
    const then = state.stages.filter((stage) => stage.status !== "ok" && !stage.opening).map((stage) => stage.id).reverse();
    say(title, "No call yet");
    say(line, [["ready", ready], ["opening", opening], ["then", then]].filter(([, ids]) => ids.length).map(([name, ids]) => `${name}: ${ids.join(", ")}`).join(" · "));
    return;
  }
  say(title, "Nothing has been said");
  const ways = [`Speak to ${state.pipeline.name}`, "hold Space", "let the desk say a line"];
  say(line, `${ways.join(", ").replace(/, ([^,]*)$/, ", or $1")}.`);
}

// -- a turn --

function turnMade() {
  return h("div", { class: "turn" }, h("div", { class: "visitor" }), h("div", { class: "waits" }), h("div", { class: "answers" }));
}

function turnShown(element, turn, around) {
  const [visitor, wait, answers] = element.children;
  each(visitor, turn.visitor ? [turn.visitor] : [], () => "visitor", () => lineMade("Visitor", "v"), (line, each) => visitorShown(line, each, around));
  const kind = !turn.wait ? [] : turn.wait.total === undefined ? ["going"] : ["measured"];
  each(wait, kind, (each) => each, (each) => (each === "going" ? goingMade() : measuredMade()), (made) => {
    if (kind[0] === "going") goingShown(made, turn.wait, around);
    else measuredShown(made, turn.wait, around);
  });
  each(answers, turn.answers, (answer) => answer.responseId || answer.at, () => lineMade("Desk", "m"), (line, answer) => answerShown(line, answer, around));
}

function lineMade(who, tone) {
  return h("div", { class: "line" }, h("time"), h("span", { class: `who ${tone}` }, who), h("p", {}, h("span", { class: "heard" }), h("span", { class: "unheard" }), h("em", { class: "dim" })));
}

function visitorShown(element, visitor, { started }) {
  const [time, , text] = element.children;
  say(time, clock(visitor.at, started));
  const [heard, , note] = text.children;
  say(heard, visitor.text);
  const notes = { speaking: "is speaking…", spoken: "has spoken; the words come" };
  say(note, visitor.text ? (visitor.state === "speaking" ? " …" : "") : notes[visitor.state] ?? "");
}

function answerShown(element, answer, { started }) {
  const [time, , text] = element.children;
  say(time, clock(answer.at, started));
  const [heard, unheard, note] = text.children;
  const [past, rest] = heardOf(answer);
  say(heard, answer.cut ? `${past.trimEnd()}…` : past);
  say(unheard, answer.cut ? "" : rest);
  const why = answer.cut ? " interrupted" : answer.rest ? ` ${answer.rest}` : "";
  say(note, answer.text ? why : answer.cut ? "interrupted" : "is speaking…");
}

// -- a wait --

function goingMade() {
  const axis = h("div", { class: "axis", role: "img" }, h("div", { class: "seg hangover" }, h("span")), h("div", { class: "seg going" }, h("span")));
  return h("div", { class: "wait now1" }, h("b"), h("div", {}, axis));
}

function goingShown(element, wait, { state, scale }) {
  const [total, { firstChild: axis }] = element.children;
  const ms = 1000 * ((wait.until ?? state.now) - wait.since);
  const hangover = Math.min(ms, wait.hangover);
  say(total, `${(ms / 1000).toFixed(wait.until === null ? 1 : 2)} s`);
  const [still, going] = axis.children;
  set(still, "hidden", !hangover);
  prop(still, "--part", (hangover / scale).toFixed(4));
  say(still.firstChild, `hangover ${Math.round(hangover)}`);
  prop(going, "--part", (Math.max(0, ms - hangover) / scale).toFixed(4));
  set(going.firstChild, "hidden", (ms - hangover) / scale < 0.14);
  say(going.firstChild, `so far ${Math.round(Math.max(0, ms - hangover) / 10) * 10}`);
  set(axis, "data-end", `${scale / 1000} s`);
  set(axis, "aria-label", `Waiting for the answer${hangover ? `: hangover ${Math.round(hangover)} milliseconds, then network and model` : ""}`);
}

function measuredMade() {
  const axis = h("div", { class: "axis", role: "img" }, ...PARTS.map((name) => h("div", { class: `seg ${name}` }, h("span"))));
  return h("details", { class: "wait" },
    h("summary", {}, h("b"), axis, h("span", { class: "parts" }, h("span", { class: "why" }))),
    h("div", { class: "more" }, h("p"), h("table", {}, h("tbody"))));
}

function measuredShown(element, wait, { scale, last }) {
  const signature = `${wait.total} ${scale} ${last?.total}`;
  if (element.signature === signature) return;
  element.signature = signature;
  const parts = partsOf(wait);
  const before = last ? Object.fromEntries(partsOf(last).map((part) => [part.name, part.ms])) : null;
  const grew = (part) => (before && part.ms - before[part.name] >= GREW_MS ? part.ms - before[part.name] : 0);
  const [total, axis, list] = element.firstChild.children;
  say(total, `${(wait.total / 1000).toFixed(2)} s`);
  set(element, "data-total-ms", Math.round(wait.total));
  set(axis, "data-end", `${scale / 1000} s`);
  set(axis, "aria-label", `Waited ${(wait.total / 1000).toFixed(2)} seconds: ${parts.filter((part) => part.ms).map((part) => `${part.name} ${part.ms}`).join(", ")} milliseconds`);
  for (const [i, segment] of [...axis.children].entries()) {
    const part = parts[i];
    set(segment, "hidden", !part.ms);
    set(segment, "data-ms", part.ms);
    prop(segment, "--part", (part.ms / scale).toFixed(4));
    const roomy = part.ms / scale > 0.22;
    segment.firstChild.replaceChildren(...(roomy ? [`${part.name} ${part.ms}`, grew(part) ? h("b", {}, ` +${grew(part)}`) : ""] : []));
    set(segment, "data-roomy", roomy);
  }
  const why = list.querySelector(".why");
  const entries = parts.filter((part) => part.ms).map((part) => h("span", { class: part.ms / scale > 0.22 ? "in" : null },
    h("i", { class: `sw ${part.name}` }), `${part.name} ${part.ms}`, grew(part) ? h("b", {}, ` +${grew(part)}`) : ""));
  list.replaceChildren(...entries, why);
  moreShown(element.lastChild, parts, before, wait, last);
}

function moreShown(element, parts, before, wait, last) {
  const [line, table] = element.children;
  set(line, "hidden", !last);
  if (last) say(line, compared(parts, before, Math.round(wait.total) - Math.round(last.total)));
  const rows = parts.filter((part) => part.ms).map((part) => h("tr", {}, h("th", { scope: "row" }, part.name), h("td", {}, `${part.ms} ms`), h("td", {}, "shorter by ", ...codes(SHORTER[part.name]))));
  const rest = parts.filter((part) => !part.ms).map((part) => part.name);
  if (rest.length) rows.push(h("tr", {}, h("th", { scope: "row" }, "rest"), h("td", {}, "0 ms"), h("td", {}, rest.join(", "))));
  table.firstChild.replaceChildren(...rows);
}

function compared(parts, before, more) {
  if (Math.abs(more) < GREW_MS) return "As long as the wait before.";
  const worst = parts.map((part) => [part.name, (part.ms - before[part.name]) * Math.sign(more)]).sort((a, b) => b[1] - a[1])[0];
  const which = worst[1] >= Math.abs(more) ? "all of it" : `${worst[1]} of them`;
  return `${Math.abs(more)} ms ${more > 0 ? "more" : "less"} than the wait before; ${worst[0]} made ${which}.`;
}

function codes(text) {
  return text.split("`").map((piece, i) => (i % 2 ? h("code", {}, piece) : piece));
}

customElements.define("rt-talk", Talk);
