// The captions: what is said now, and what was said just before.

import { follow } from "./connection.js";
import { heardOf } from "./conversation.js";
import { each, h, say, set } from "./dom.js";
import { spoken } from "./parts/sentence.js";
import { nothing, reduce } from "./reducer.js";

const SHOWN = 4;

const [name, now, words] = ["name", "now", "words"].map((id) => document.getElementById(id));
let state = nothing();
let asked = false;

function draw() {
  asked = false;
  const sentence = spoken(state);
  say(name, state.pipeline ? `Captions of ${state.pipeline.name}` : "Captions");
  document.title = `${state.pipeline ? state.pipeline.name : "rtpipe"}: captions`;
  say(now, sentence.text.replaceAll("`", ""));
  set(now, "data-tone", sentence.tone);
  each(words, lines(state.talk).slice(-SHOWN), (line) => line.key, (line) => {
    const side = line.desk ? ["m", "Desk"] : ["v", "Visitor"];
    return h("p", { class: side[0] }, h("b", {}, side[1]), h("span"), h("span", { class: "unheard" }));
  }, (element, line) => {
    say(element.children[1], line.text);
    say(element.children[2], line.rest);
  });
}

function lines({ turns }) {
  const all = [];
  for (const turn of turns.slice(-SHOWN)) {
    const { visitor, answers } = turn;
    if (visitor && (visitor.text || visitor.state === "speaking")) all.push({ key: `${turn.key} v`, desk: false, text: visitor.text || "…", rest: "" });
    for (const answer of answers) {
      const [heard, rest] = heardOf(answer);
      if (answer.text) all.push({ key: `${turn.key} ${answer.responseId}`, desk: true, text: answer.cut ? `${heard.trimEnd()}…` : heard, rest: answer.cut ? "" : rest });
    }
  }
  return all;
}

follow((message) => {
  state = reduce(state, message);
  if (asked) return;
  asked = true;
  requestAnimationFrame(draw);
}, { levels: false });
draw();
