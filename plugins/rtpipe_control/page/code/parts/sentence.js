// What goes on, in one sentence, and its reason; and what came of the last thing asked for.

import { h, say, set, svg } from "../dom.js";
import { span } from "../words.js";

const SIGNS = {
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21",
  muted: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M4 4l16 16",
  lost: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M4 4l16 16",
  speaker: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  call: "M5 4h4l2 5-2.5 1.5a11 11 0 0 0 5 5L15 13l5 2v4a2 2 0 0 1-2 2A15 15 0 0 1 3 6a2 2 0 0 1 2-2z",
  think: "M5 12h1.500M11.250 12h1.500M17.500 12h1.500",
  end: "M7 7h10v10H7z",
  record: "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM12 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  flow: "M4 12h15M14 7l5 5-5 5",
  stale: "M3 12h3M9 12h1.5M13.5 12H15M18 12h3",
};
const SAID_EVERY_MS = 2000;
const ANSWER_MS = 5000;

class Sentence extends HTMLElement {
  connectedCallback() {
    this.path = svg("path", { d: SIGNS.call });
    const picture = svg("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round", "stroke-linejoin": "round" }, this.path);
    this.text = h("strong");
    this.why = h("p", { class: "why" });
    this.answer = h("p", { class: "answer", role: "status" });
    this.said = h("p", { class: "sr", role: "status" });
    this.saidAt = 0;
    this.append(h("span", { class: "sign", "aria-hidden": "true" }, picture), this.text, this.why, this.answer, this.said);
    document.addEventListener("answered", ({ detail }) => this.tell(detail));
  }

  /** Show what came of something that was asked for, for 5 s. */
  tell({ text, bad }) {
    say(this.answer, bad ? `✕ ${text}` : text);
    set(this.answer, "data-bad", Boolean(bad));
    clearTimeout(this.forgets);
    if (text) this.forgets = setTimeout(() => say(this.answer, ""), ANSWER_MS);
  }

  show(state) {
    const now = spoken(state);
    say(this.text, plain(now.text));
    say(this.why, plain(now.why));
    set(this, "data-tone", now.tone);
    set(this.path, "d", SIGNS[now.sign] ?? SIGNS.flow);
    this.announce(now.text);
  }

  /** Readers of screens hear the sentence, at most every 2 s. */
  announce(text) {
    this.next = text;
    if (this.waits || this.said.textContent === text) return;
    const left = this.saidAt + SAID_EVERY_MS - performance.now();
    if (left <= 0) {
      this.saidAt = performance.now();
      say(this.said, plain(text));
      return;
    }
    this.waits = setTimeout(() => {
      this.waits = 0;
      this.announce(this.next);
    }, left);
  }
}

const plain = (text) => text.replaceAll("`", "");

/** The sentence: the kiosk's own, unless it cannot be reached. */
export function spoken(state) {
  if (state.line === "calling") {
    if (state.refused) return turnedAway(state, "fault", "lost");
    const why = state.staleFor ? `For ${state.staleFor} s. This page tries again each second.` : "";
    return { tone: "", sign: "call", text: state.staleFor ? "The kiosk cannot be reached." : "Opening the page.", why };
  }
  if (state.line === "over") {
    return { tone: "ink", sign: "end", text: "The pipeline has ended.", why: `Below is how it was at ${span(state.now)}. This page follows when it runs again.` };
  }
  if (state.line === "stale") {
    if (state.refused) return turnedAway(state, "ink", "stale");
    const why = `Below is how it was at ${span(state.now)}. This page cannot reach ${state.pipeline.name}; it tries again each second. The pipeline itself may be well.`;
    return { tone: "ink", sign: "stale", text: `No news for ${state.staleFor} s.`, why };
  }
  return state.condition;
}

function turnedAway({ refused: { error, help } }, tone, sign) {
  return { tone, sign, text: sentence(error), why: sentence(help ?? "") };
}

function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}${/[.…!?]$/.test(text) ? "" : "."}`;
}

customElements.define("rt-sentence", Sentence);
