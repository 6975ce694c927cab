// The stream of events, newest last: held still while it is scrolled or paused.

import { h, say, set } from "../dom.js";
import { clock } from "../words.js";

const MOST = 120;
const QUICK = [["words", "transcript.*"], ["waits", "latency.*"], ["trouble", "!"]];

class Events extends HTMLElement {
  connectedCallback() {
    this.count = h("span", { class: "dim" });
    this.pause = h("button", { class: "btn quiet", "aria-pressed": "false", onclick: () => this.hold(this.pause.getAttribute("aria-pressed") !== "true") }, "Pause");
    this.newer = h("button", { class: "btn quiet", hidden: true, onclick: () => this.hold(false) });
    this.slot0 = h("div", { class: "slot" });
    this.match = h("input", { type: "text", "aria-label": "Show events whose name or stage matches", placeholder: "match: transcript.*", spellcheck: "false", autocomplete: "off", "aria-keyshortcuts": "/", oninput: () => this.anew() });
    this.quick = QUICK.map(([name, match]) => h("button", { class: "btn", "aria-pressed": "false", "data-match": match, onclick: () => this.filter(this.match.value === match ? "" : match) }, name));
    this.list = h("ol", { class: "log", role: "listbox", tabindex: 0, "aria-label": "Event stream" });
    this.none = h("p", { class: "blank", hidden: true });
    this.whole = h("button", { class: "btn quiet all", "aria-expanded": "false", onclick: () => this.showAll() }, "All events");
    this.append(h("div", { class: "head" }, h("h2", {}, "Events"), this.count, this.newer, this.pause), this.slot0,
      h("div", { class: "filter" }, this.match, ...this.quick), this.list, this.none, this.whole);
    this.list.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.list.addEventListener("click", (event) => this.raw(event.target.closest("li")));
    this.list.addEventListener("keydown", (event) => this.walk(event));
    this.peers = new Set();
    this.events = [];
    this.shown = [];
  }

  inspect(element) {
    this.slot0.replaceChildren(element);
  }

  filter(text) {
    this.match.value = text;
    this.anew();
  }

  showAll() {
    const whole = this.list.classList.toggle("whole");
    say(this.whole, whole ? "The last few" : "All events");
    set(this.whole, "aria-expanded", String(whole));
  }

  hold(on) {
    set(this.pause, "aria-pressed", String(on));
    this.paused = on;
    if (!on) {
      this.update();
      this.list.scrollTop = this.list.scrollHeight;
    }
  }

  scrolled() {
    const end = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
    if (end === !this.back) return;
    this.back = !end;
    if (end) this.update();
  }

  show(state) {
    if (state.events === this.events) return;
    this.events = state.events;
    this.started = state.pipeline?.startedAt;
    this.peers = new Set(state.stages.filter((stage) => stage.family === "peer").map((stage) => stage.id));
    if (state.pictures === this.pictures) return this.update();
    this.pictures = state.pictures;
    this.anew();
  }

  anew() {
    this.shown = [];
    this.list.replaceChildren();
    this.back = false;
    for (const button of this.quick) set(button, "aria-pressed", String(button.dataset.match === this.match.value));
    this.update(true);
  }

  /** Bring the list up to date: what is new is appended, and nothing else is touched. */
  update(always = false) {
    const match = this.match.value.trim();
    const hits = this.events.filter(matcher(match));
    say(this.count, match ? `${hits.length} of ${this.events.length}` : `${hits.length}`);
    const newest = this.shown.at(-1)?.key ?? -1;
    const oldest = hits[0]?.key ?? 0;
    const waiting = hits.filter((event) => event.key > newest);
    const held = (this.paused || this.back) && !always;
    set(this.newer, "hidden", !(held && waiting.length));
    if (held) return say(this.newer, `${waiting.length} newer`);
    if (this.shown.length && (newest > (hits.at(-1)?.key ?? -1) || (this.shown[0].key > oldest && this.shown.length < MOST))) {
      this.shown = [];
      this.list.replaceChildren();
      return this.update(always);
    }
    const last = this.shown.at(-1);
    const again = last && hits.find((event) => event.key === last.key);
    if (again && again !== last) {
      this.list.lastElementChild.replaceWith(this.row(again));
      this.shown[this.shown.length - 1] = again;
    }
    const fresh = waiting.slice(-MOST);
    this.list.append(...fresh.map((event) => this.row(event)));
    this.shown.push(...fresh);
    while (this.shown.length > MOST) {
      this.shown.shift();
      this.list.firstElementChild.remove();
    }
    set(this.list, "hidden", !this.shown.length);
    set(this.none, "hidden", Boolean(this.shown.length));
    say(this.none, match ? `Nothing matches ${match === "!" ? "trouble" : match}.` : "Nothing has happened yet.");
    if (fresh.length) this.list.scrollTop = this.list.scrollHeight;
  }

  row(event) {
    const bad = event.importance === "error" || /\.(lost|failed|dropped|underran)$/.test(event.type);
    const warns = bad || event.importance === "warning" || event.type === "stage.fell_back";
    const mark = bad ? "✕ " : warns ? "! " : "";
    const words = event.type && event.line.startsWith(event.type) ? values(event) : event.line;
    const times = event.count > 1 ? ` × ${event.count}` : "";
    const row = h("li", { class: bad ? "bad" : warns ? "warn" : null, role: "option", "aria-selected": "false", id: `event${event.key}` },
      h("time", {}, clock(event.at, this.started)),
      h("span", { class: "text" }, `${mark}${event.type}`, times, " ", h("i", {}, event.type && this.names(event) ? `${event.source}: ${words}` : words)));
    row.event = event;
    return row;
  }

  /** Whether its name leaves open which stage it is of. */
  names({ type, source }) {
    return source && source !== "pipeline" && !type.startsWith(`${source}.`) && !this.peers.has(source);
  }

  /** Up and down the rows by the arrow keys; Enter opens what one was told as. */
  walk(event) {
    const at = this.list.querySelector("[aria-selected='true']");
    if (event.key === "Enter" && at) return this.raw(at);
    const next = { ArrowUp: at ? at.previousElementSibling : this.list.lastElementChild, ArrowDown: at?.nextElementSibling, Home: this.list.firstElementChild, End: this.list.lastElementChild }[event.key];
    if (!next) return;
    event.preventDefault();
    at?.setAttribute("aria-selected", "false");
    next.setAttribute("aria-selected", "true");
    set(this.list, "aria-activedescendant", next.id);
    next.scrollIntoView({ block: "nearest" });
  }

  /** An event as it was told, under its row. */
  raw(row) {
    if (!row || !row.event || getSelection().toString()) return;
    const known = row.querySelector("pre");
    if (known) return known.remove();
    const { key, line, importance, speaker, count, ...told } = row.event;
    row.append(h("pre", {}, JSON.stringify(told, null, 1)));
  }
}

const ENVELOPE = ["type", "source", "at", "line", "importance", "speaker", "count", "key", "obfuscation"];

/** What an event without words of its own says: its values; the ids are one click away. */
function values(event) {
  const told = Object.entries(event).filter(([name, value]) => !ENVELOPE.includes(name) && !/_id$|_index$/.test(name) && value !== null && value !== "" && typeof value !== "object");
  return told.map(([name, value]) => `${name} ${typeof value === "number" ? Math.round(100 * value) / 100 : value}`).join(", ");
}

/** Which events match: "!" those of trouble; else globs on the name or the stage, or a part of either. */
function matcher(match) {
  if (!match) return (event) => event.importance !== "detail";
  if (match === "!") return (event) => ["warning", "error"].includes(event.importance);
  const glob = new RegExp(match.includes("*") ? `^${match.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$` : match.replace(/[.+^${}()|[\]\\]/g, "\\$&"), "i");
  return (event) => glob.test(event.type) || glob.test(event.source);
}

customElements.define("rt-events", Events);
