// Single keys: what they do, how to see them, how to switch them off.

import { h, keep, say } from "../dom.js";

const KEYS = [
  ["M", "mute, unmute"], ["Space", "talk while held"], ["X", "stop the answer"], ["S", "let the desk say a line"],
  ["/", "match events"], ["R", "reload: shows what changes, then asks"], ["?", "these keys"], ["Escape", "close"], ["Arrows, Home, End", "along the pipeline"],
];

class Keys extends HTMLElement {
  connectedCallback() {
    this.on = stored() !== "off";
    this.switch = h("button", { class: "btn", type: "button", onclick: () => this.turn() });
    const rows = KEYS.map(([key, does]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)));
    this.dialog = h("dialog", { "aria-labelledby": "keysh" },
      h("form", { method: "dialog", class: "in" }, h("h2", { id: "keysh" }, "Keys"), h("dl", { class: "keys" }, ...rows),
        h("div", { class: "ask" }, this.switch, h("button", { class: "btn go", autofocus: true }, "Close"))));
    this.append(this.dialog);
    this.named();
    document.addEventListener("keydown", (event) => this.down(event));
    document.addEventListener("keyup", (event) => {
      if (event.key === " " && this.talking) {
        this.talking = false;
        this.hands.letGo();
      }
    });
  }

  get hands() {
    return document.querySelector("rt-hands");
  }

  show() {}

  open() {
    this.dialog.showModal();
  }

  turn() {
    this.on = !this.on;
    keep("keys", this.on ? "on" : "off");
    this.named();
  }

  named() {
    say(this.switch, this.on ? "Switch single keys off" : "Switch single keys on");
  }

  down(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const field = event.target.closest("input, select, textarea");
    if (event.key === "Escape") return this.escape(field);
    if (field || event.repeat) return;
    if (event.key === "?") return this.open();
    if (!this.on) return;
    if (event.key === " " && event.target === document.body) {
      event.preventDefault();
      this.talking = true;
      this.hands.hold();
      return;
    }
    const does = { m: () => this.hands.do("mute"), x: () => this.hands.do("stop"), s: () => this.line(event), "/": () => this.match(event), r: () => document.querySelector("rt-reload").open() }[event.key.toLowerCase()];
    does?.();
  }

  line(event) {
    if (this.hands.form.hidden) return;
    event.preventDefault();
    this.hands.openSaying(true);
  }

  match(event) {
    event.preventDefault();
    document.querySelector("rt-events").match.focus();
  }

  escape(field) {
    field?.blur();
    document.dispatchEvent(new Event("escape"));
  }
}

function stored() {
  try {
    return localStorage.getItem("keys");
  } catch {
    return null;
  }
}

customElements.define("rt-keys", Keys);
