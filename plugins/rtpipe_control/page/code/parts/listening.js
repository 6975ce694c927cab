// Listening at a stage: one sound at a time, its volume, and the way back to silence.

import { h, say, set } from "../dom.js";
import { told } from "./asking.js";

/** What is listened at; tells `changed` when that turns. */
export class Listening extends EventTarget {
  at = "";
  audio = new Audio();

  constructor() {
    super();
    this.audio.addEventListener("error", () => this.at && this.failed());
    this.audio.addEventListener("ended", () => this.end());
  }

  toggle(stage) {
    if (this.at === stage) return this.end();
    this.at = stage;
    this.audio.src = `/api/stages/${encodeURIComponent(stage)}/listen?format=mp3`;
    this.audio.play().catch(() => {});  // the element's own error says more
    this.dispatchEvent(new Event("changed"));
  }

  end() {
    if (!this.at) return;
    this.at = "";
    this.audio.removeAttribute("src");
    this.audio.load();
    this.dispatchEvent(new Event("changed"));
  }

  async failed() {
    const url = this.audio.src;
    this.end();
    let words = "It cannot be heard.";
    try {
      const answer = await fetch(url, { method: "GET", signal: AbortSignal.timeout(2000) });
      if (!answer.ok) words = (await answer.json()).error || words;
      await answer.body?.cancel();
    } catch {
      words = "It cannot be heard: the kiosk gives no sound.";
    }
    told(words, true);
  }
}

class ListeningBar extends HTMLElement {
  connectedCallback() {
    set(this, "hidden", true);
    this.where = h("span");
    const volume = h("input", { type: "range", min: 0, max: 100, value: 100, "aria-label": "Volume of listening", oninput: () => { this.page.listening.audio.volume = volume.value / 100; } });
    const stop = h("button", { class: "btn", onclick: () => this.page.listening.end() }, "Stop listening");
    this.append(h("span", { "aria-hidden": "true" }, "♪"), this.where, volume, stop);
  }

  show(state) {
    if (!this.wired) {
      this.wired = true;
      this.page.listening.addEventListener("changed", () => this.turned());
    }
    if (state.line !== "live") this.page.listening.end();
  }

  turned() {
    const { at } = this.page.listening;
    set(this, "hidden", !at);
    say(this.where, at ? `You hear what ${at} gives out.` : "");
  }
}

customElements.define("rt-listening", ListeningBar);
