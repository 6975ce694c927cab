// What hands can do about it: mute, talk, stop, say, volume, another microphone.
// Each stands here only where a stage offers its action, and is off, with the reason, while it
// cannot be done. Off is aria-disabled: who presses all the same is told why.

import { controlsOf } from "../controls.js";
import { h, say, set } from "../dom.js";
import { asked, refused, told } from "./asking.js";

class Hands extends HTMLElement {
  connectedCallback() {
    const key = (name) => h("kbd", { "aria-hidden": "true" }, name);
    this.mute = h("button", { class: "btn", "aria-pressed": "false", "aria-keyshortcuts": "m", onclick: () => this.do("mute") },
      this.muteWord = h("span", {}, "Mute"), this.muteWhat = h("span", { class: "l" }), key("M"));
    this.talk = h("button", { class: "btn hold", "aria-pressed": "false", "aria-keyshortcuts": "Space" },
      h("span", { class: "l" }, "Hold to\u00a0"), h("span", { class: "cap" }, "talk"), key("Space"));
    this.stop = h("button", { class: "btn", "aria-keyshortcuts": "x", onclick: () => this.do("stop") },
      h("span", {}, "Stop"), h("span", { class: "l" }, "\u00a0answer"), key("X"));
    this.volume = h("input", { type: "range", min: 0, max: 100, step: 1, id: "volume", onchange: () => this.turnVolume(), oninput: () => this.showVolume() });
    this.volumeOut = h("output", { for: "volume" });
    this.volumeRow = h("label", { class: "vol" }, h("span", {}, "Volume"), this.volume, this.volumeOut);
    this.opener = h("button", { class: "btn opener", "aria-expanded": "false", "aria-controls": "sayform", onclick: () => this.openSaying() }, "Say…");
    this.line = h("input", { type: "text", "aria-label": "A line for the desk to say", placeholder: "Let the desk say a line…", "aria-keyshortcuts": "s", autocomplete: "off", maxlength: 2000 });
    this.sayGo = h("button", { class: "btn" }, "Say");
    this.form = h("form", { class: "line", id: "sayform", onsubmit: (event) => this.sayLine(event) }, this.line, this.sayGo);
    this.devices = h("select", { "aria-label": "Microphone", onchange: () => this.useDevice(), onpointerdown: () => this.listDevices(), onfocus: () => this.listDevices() });
    this.append(this.mute, this.talk, this.stop, this.volumeRow, this.opener, this.form, this.devices);
    this.holding = null;
    this.watchHolding();
  }

  show(state, before) {
    const same = before && before.stages === state.stages && before.line === state.line && before.talk === state.talk && before.facts === state.facts;
    if (same) return;
    const controls = this.controls = controlsOf(state);
    this.unreachable = { stale: "the kiosk cannot be reached", over: "the pipeline has ended", calling: "the page is being opened" }[state.line] ?? "";
    const { mute, talk, stop, volume, devices } = controls;
    this.place(this.mute, mute, mute?.stages.map((stage) => `${stage}.${mute.action}`).join(", "));
    if (mute) {
      say(this.muteWord, mute.pressed ? "Unmute" : "Mute");
      say(this.muteWhat, `\u00a0${mute.what}`);
      set(this.mute, "aria-pressed", String(mute.pressed));
    }
    this.place(this.talk, talk, "Begins your turn; the desk falls silent. Let go, and it answers.");
    if (this.holding && (this.unreachable || !talk)) this.letGo();
    this.place(this.stop, stop);
    this.place(this.sayGo, controls.say);
    for (const part of [this.form, this.opener]) set(part, "hidden", !controls.say);
    set(this.line, "readonly", Boolean(this.unreachable));
    this.placeField(this.volumeRow, this.volume, volume);
    if (volume && document.activeElement !== this.volume && !this.turning) {
      this.volume.max = Math.max(100, Math.round(100 * volume.value));
      this.volume.value = Math.round(100 * volume.value);
      this.showVolume();
    }
    this.placeField(this.devices, this.devices, this.unlisted ? null : devices);
    if (devices && !this.listed) this.listDevices();
    this.classList.toggle("few", !controls.say && !devices);
    this.classList.toggle("none", ![mute, talk, stop, controls.say, volume, devices].some(Boolean));
  }

  /** Show a button where its action is, off while it cannot be done. */
  place(button, control, hint = "") {
    set(button, "hidden", !control);
    const why = this.unreachable || (control && control.whyNot) || "";
    set(button, "aria-disabled", why ? "true" : null);
    set(button, "title", why || hint);
    button.whyNot = why;
  }

  placeField(row, field, control) {
    set(row, "hidden", !control);
    const why = this.unreachable || (control && control.whyNot) || "";
    field.disabled = Boolean(why);
    set(row, "title", why);
  }

  async do(name) {
    const control = this.controls?.[name];
    const button = this[name];
    if (!control || button.hidden) return;
    if (button.whyNot) return told(`${capital(button.whyNot)}.`);
    for (const stage of control.stages) await asked(button, this.page, stage, control.action);
  }

  // -- talk is held --

  watchHolding() {
    const { talk } = this;
    talk.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      talk.setPointerCapture(event.pointerId);
      this.hold();
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) talk.addEventListener(name, () => this.letGo());
    talk.addEventListener("contextmenu", (event) => event.preventDefault());
    talk.addEventListener("keydown", (event) => {
      if ((event.key === " " || event.key === "Enter") && !event.repeat) this.hold();
      if (event.key === " " || event.key === "Enter") event.preventDefault();
    });
    talk.addEventListener("keyup", (event) => {
      if (event.key === " " || event.key === "Enter") this.letGo();
    });
    for (const left of ["blur", "pagehide"]) addEventListener(left, () => this.letGo());
    document.addEventListener("visibilitychange", () => document.hidden && this.letGo());
  }

  async hold() {
    if (this.holding || this.talk.hidden || !this.controls?.talk) return;
    if (this.talk.whyNot) return told(`${capital(this.talk.whyNot)}.`);
    const { held } = this.controls.talk;
    this.holding = held;
    set(this.talk, "aria-pressed", "true");
    this.pressing = Promise.all(held.map(({ stage, press }) => this.page.act(stage, press)));
    const failed = (await this.pressing).find((answer) => !answer.ok);
    if (failed) {
      refused(failed);
      this.letGo();
    }
  }

  /** Let go: after what was pressed has been heard, so that the two never change places. */
  async letGo() {
    const held = this.holding;
    if (!held) return;
    this.holding = null;
    set(this.talk, "aria-pressed", "false");
    const pressing = this.pressing;
    if (!document.hidden) await pressing;
    for (const { stage, release } of held) this.page.act(stage, release, {}, { keepalive: true });
  }

  // -- say, volume, devices --

  openSaying(open = !document.body.classList.contains("saying")) {
    document.body.classList.toggle("saying", open);
    set(this.opener, "aria-expanded", String(open));
    if (open) this.line.focus();
  }

  async sayLine(event) {
    event.preventDefault();
    const text = this.line.value.trim();
    if (this.sayGo.whyNot) return told(`${capital(this.sayGo.whyNot)}.`);
    if (!text) return this.line.focus();
    if (await asked(this.sayGo, this.page, this.controls.say.stage, "say", { args: [text] })) {
      this.line.value = "";
      this.openSaying(false);
    }
  }

  showVolume() {
    say(this.volumeOut, `${this.volume.value} %`);
  }

  async turnVolume() {
    this.turning = true;
    const { stage, action } = this.controls.volume;
    await asked(this.volume, this.page, stage, action, { args: [this.volume.value / 100] });
    this.turning = false;
  }

  async listDevices() {
    const control = this.controls?.devices;
    if (!control || this.unreachable) return;
    this.listed = true;
    const answer = await this.page.act(control.stage, "devices");
    if (!answer.ok || !Array.isArray(answer.result)) {
      this.unlisted = true;
      set(this.devices, "hidden", true);
      return;
    }
    this.unlisted = false;
    const known = answer.result;
    const used = known.find((each) => each.used);
    const options = known.map((each) => h("option", { value: each.device, selected: each.used }, `Mic: ${each.name}`));
    if (!used) options.unshift(h("option", { value: "", selected: true, disabled: true }, "Mic: none"));
    if (JSON.stringify(known) !== this.known) this.devices.replaceChildren(...options);
    this.known = JSON.stringify(known);
  }

  async useDevice() {
    const { stage, action } = this.controls.devices;
    await asked(this.devices, this.page, stage, action, { args: [this.devices.value] });
    this.known = "";
    this.listDevices();
  }
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

customElements.define("rt-hands", Hands);
