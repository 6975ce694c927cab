// The pipeline as it runs: stages, and between them lines that are their own meters.
// On a wide page each has a place computed here; on a narrow one it is a list, by CSS alone.

import { arrange, keyOf } from "../layout.js";
import { each, h, narrow, prop, say, set, svg } from "../dom.js";
import { decibel, FLOOR_DB, length, onScale } from "../words.js";
import { describe } from "../stages.js";
import { Inspector } from "./inspector.js";

const BOX = 73;
const PORT = 28;
const ROW_GAP = 10;
const TOP = 12;
const MARGIN = 4;  // room for the outline of what has the focus
const RED_S = 60;
const WORDS_MS = 900;
const CLIPS_DB = -1;

class Graph extends HTMLElement {
  connectedCallback() {
    this.rails = svg("svg", { "aria-hidden": "true", class: "rails" });
    this.items = h("div", { class: "items" });
    this.append(this.rails, this.items);
    this.boxes = new Map();
    this.links = new Map();
    this.wordsAt = 0;
    this.addEventListener("keydown", (event) => this.rove(event));
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("focusin", (event) => event.target.matches(".stage, .edge") && this.stop(event.target));
    new ResizeObserver(() => this.place()).observe(this);
    document.addEventListener("escape", () => this.close());
  }

  show(state, before) {
    if (!before || topology(before) !== topology(state)) this.rebuild(state);
    this.state = state;
    if (!before) this.page.listening.addEventListener("changed", () => this.pressed());
    const stir = !before || before.stages !== state.stages || before.facts !== state.facts || before.links !== state.links
      || before.losses !== state.losses || before.line !== state.line || before.condition !== state.condition;
    if (stir) this.stagesShown(state);
    if (stir || before.levels !== state.levels) this.linksShown(state, stir);
    this.inspector?.show(state, before);
  }

  rebuild(state) {
    this.plan = arrange(state.stages, state.links);
    const peers = state.stages.filter((stage) => stage.family === "peer").map((stage) => stage.id);
    this.behind = new Set(this.plan.order.filter((id) => isBehind(id, peers, this.plan.edges)));
    this.boxes.clear();
    this.links.clear();
    const items = [];
    for (const id of this.plan.order) {
      const into = this.plan.edges.filter((edge) => edge.to === id);
      const far = (edge) => (edge.way === "straight" ? -1 : this.plan.places[edge.from].column);
      into.sort((a, b) => far(b) - far(a));
      for (const edge of into) items.push({ key: keyOf(edge), edge });
      items.push({ key: id, id });
    }
    each(this.items, items, (item) => `${item.edge ? "edge" : "stage"} ${item.key}`, (item) => (item.edge ? edgeMade(item.edge) : stageMade(item.id)), (element, item) => {
      if (item.edge) this.links.set(item.key, element);
      else this.boxes.set(item.key, element);
    });
    if (!this.querySelector("[tabindex='0']")) this.stop(this.stops()[0]);
    this.place();
  }

  // -- what is shown --

  stagesShown(state) {
    const sick = new Set(state.condition.alerts.map((alert) => alert.stage));
    for (const stage of state.stages) {
      const box = this.boxes.get(stage.id);
      if (!box) continue;
      const words = describe(stage, state.facts, state);
      const [tag, , now, how] = box.children;
      say(tag, words.tag);
      set(tag, "hidden", !words.tag);
      set(now, "data-gate", words.gate);
      say(now.lastChild, words.now);
      say(how, words.how);
      const tone = words.tone === "lost" || !sick.has(stage.id) ? words.tone : words.tone || "sick";
      set(box, "class", `stage ${tone}`);
      set(box, "title", stage.wanted ? `instead of ${stage.wanted.stage}: ${stage.wanted.reason}` : null);
    }
  }

  linksShown(state, stir) {
    const time = performance.now();
    const words = stir || time - this.wordsAt > WORDS_MS;
    if (words) this.wordsAt = time;
    for (const edge of this.plan.edges) {
      const element = this.links.get(keyOf(edge));
      const level = state.levels[edge.from];
      const [bar, peak] = element.meter.children;
      const dead = Boolean(state.facts[edge.from]?.lost);
      const gate = state.facts[edge.from]?.gate === "closed";
      const rms = dead || !level ? 0 : onScale(level[0]);
      const top = dead || !level ? 0 : onScale(level[1]);
      if (element.rms !== rms) prop(bar, "--level", (element.rms = rms).toFixed(3));
      if (element.top !== top) {
        prop(peak, "--level", (element.top = top).toFixed(3));
        set(peak, "class", level && level[1] > CLIPS_DB ? "clips" : null);
      }
      const quiet = !level || level[1] <= FLOOR_DB;
      if (!words && quiet === element.quiet) continue;
      element.quiet = quiet;
      const link = state.links.find((each) => keyOf(each) === keyOf(edge)) ?? edge;
      const how = dead ? "dead" : gate ? "closed" : "";
      set(element, "class", `edge ${edge.way} ${link.queued ? "queued" : "inline"} ${this.behind.has(edge.from) ? "m" : "v"} ${how}`);
      this.linkWords(element, edge, link, state, how);
    }
  }

  linkWords(element, edge, link, state, how) {
    const level = state.levels[edge.from];
    const feeder = state.stages.find((stage) => stage.id === edge.from);
    const heard = how === "dead" ? "gone" : feeder.ended ? "ended" : how === "closed" ? "closed" : level ? decibel(level[1]) : state.line === "live" && state.pipeline.state === "running" ? "silence" : "–";
    const tracks = this.plan.edges.filter((each) => each.to === edge.to).length;
    const track = tracks > 1 && edge.way !== "straight" ? `${edge.from}: ` : "";
    say(element.said, `${track}${heard}`);
    const queue = link.queued ? `${Math.round(link.depth_ms)} of ${link.max_ms >= 1000 ? `${link.max_ms / 1000} s` : `${link.max_ms} ms`}` : "";
    const lost = state.losses[keyOf(edge)];
    say(element.queue, queue);
    say(element.converts, link.converts ? `⇄ ${link.converts}` : "");
    say(element.lost, lost && lost.ms ? `✕ ${length(lost.ms)} lost` : "");
    set(element.lost, "class", lost && state.now - lost.since < RED_S ? "lost now" : "lost");
    set(element.queue.parentElement, "hidden", !queue && !link.converts && !lost);
    set(element, "title", `Listen to what ${edge.from} gives out`);
  }

  pressed() {
    const { at } = this.page.listening;
    for (const edge of this.plan.edges) set(this.links.get(keyOf(edge)), "aria-pressed", String(edge.from === at));
  }

  // -- where it stands --

  place() {
    if (!this.plan || !this.plan.columns) return;
    const { plan } = this;
    if (narrow.matches) {
      this.style.removeProperty("--tall");
      return;
    }
    const inner = this.clientWidth - 2 * MARGIN;
    const box = innerWidth < 1260 ? 116 : 128;
    const gaps = gapsOf(plan, inner - box * plan.columns);
    const left = [0];
    for (let i = 1; i < plan.columns; i += 1) left.push(left[i - 1] + box + gaps[i - 1]);
    const ports = portsOf(plan);
    const heights = [];
    for (let row = 0; row < plan.rows; row += 1) {
      const ids = Object.keys(plan.places).filter((id) => plan.places[id].row === row);
      heights.push(Math.max(...ids.map((id) => Math.max(BOX, (ports.into[id] ?? []).length * PORT + 10)), BOX));
    }
    const tops = [TOP];
    for (let row = 1; row < plan.rows; row += 1) tops.push(tops[row - 1] + heights[row - 1] + ROW_GAP);
    const at = (id) => ({ x: left[plan.places[id].column], y: tops[plan.places[id].row], h: heights[plan.places[id].row], w: box });
    for (const [id, element] of this.boxes) put(element, at(id));
    const paths = [];
    for (const edge of plan.edges) paths.push(this.placeEdge(edge, at(edge.from), at(edge.to), ports));
    const wide = left.at(-1) + box;
    const tall = tops.at(-1) + heights.at(-1) + 2;
    set(this.rails, "viewBox", `0 0 ${wide} ${tall}`);
    set(this.rails, "width", wide);
    set(this.rails, "height", tall);
    this.rails.replaceChildren(...paths.filter(Boolean).map((d) => svg("path", { d })));
    prop(this, "--tall", `${tall}px`);
    prop(this, "--wide", `${wide}px`);
    this.free(left, plan, gaps, box);
  }

  placeEdge(edge, from, to, ports) {
    const element = this.links.get(keyOf(edge));
    if (edge.way === "straight") {
      put(element, { x: from.x + from.w, y: from.y, w: to.x - from.x - from.w, h: from.h });
      return "";
    }
    const out = ports.out[edge.from].filter((each) => each.way === edge.way);
    if (edge.way === "down") {
      const into = ports.into[edge.to];
      const y = to.y + ((into.indexOf(edge) + 1) * to.h) / (into.length + 1);
      const [left, room] = half(from, ports.below[edge.from], 1);
      const x = left + ((out.indexOf(edge) + 1) * room) / (out.length + 1);
      put(element, { x: x + 10, y: y - 24, w: to.x - x - 10, h: 44 });
      return `M${x} ${from.y + from.h}V${y - 12}Q${x} ${y} ${x + 12} ${y}H${to.x}`;
    }
    const below = ports.below[edge.to];
    const downs = (ports.out[edge.to] ?? []).filter((each) => each.way === "down");
    const [left, room] = half(to, downs, 0);
    const x = left + ((below.indexOf(edge) + 1) * room) / (below.length + 1);
    const y = from.y + from.h / 2;
    put(element, { x: from.x + from.w, y: y - 24, w: x - from.x - from.w - 10, h: 44 });
    return `M${from.x + from.w} ${y}H${x - 12}Q${x} ${y} ${x} ${y - 12}V${to.y + to.h}`;
  }

  /** Say how much room is free at the lower left: the ledger may stand there. */
  free(left, plan, gaps, box) {
    const under = plan.edges.filter((edge) => edge.way !== "straight");
    const columns = [
      ...under.map((edge) => left[plan.places[edge.from].column] + (edge.way === "down" ? box / 2 : 0)),
      ...Object.values(plan.places).filter((place) => place.row).map((place) => left[place.column]),
    ];
    const room = plan.rows > 1 ? Math.min(...columns) - 16 : 0;
    set(this.parentElement, "data-ledger", room > 520 ? "inside" : "below");
    prop(this.parentElement, "--room", `${room}px`);
  }

  // -- hands --

  stops() {
    return [...this.items.querySelectorAll(".stage, .edge")];
  }

  stop(element) {
    for (const each of this.stops()) each.tabIndex = each === element ? 0 : -1;
  }

  rove(event) {
    const stops = this.stops();
    const now = stops.indexOf(event.target);
    if (now < 0) return;
    const next = { ArrowRight: now + 1, ArrowDown: now + 1, ArrowLeft: now - 1, ArrowUp: now - 1, Home: 0, End: stops.length - 1 }[event.key];
    if (!stops[next]) return;
    event.preventDefault();
    stops[next].focus();
  }

  clicked(event) {
    const edge = event.target.closest(".edge");
    if (edge) return this.page.listening.toggle(edge.dataset.from);
    const box = event.target.closest(".stage");
    if (!box) return;
    if (this.inspector?.id === box.dataset.id) return this.close();
    this.close();
    this.inspector = new Inspector(box.dataset.id, this.page, () => this.close(true));
    set(box, "aria-expanded", "true");
    if (narrow.matches) box.after(this.inspector.element);
    else document.querySelector("rt-events").inspect(this.inspector.element);
    document.querySelector("rt-events").filter(box.dataset.id);
    this.inspector.show(this.state, null);
  }

  close(back = false) {
    if (!this.inspector) return;
    const box = this.boxes.get(this.inspector.id);
    set(box, "aria-expanded", "false");
    this.inspector.element.remove();
    document.querySelector("rt-events").filter("");
    this.inspector = null;
    if (back) box.focus();
  }
}

const topology = (state) => `${state.stages.map((stage) => stage.id)};${state.links.map(keyOf)}`;

function stageMade(id) {
  const gate = svg("svg", { class: "gatepic", viewBox: "0 0 34 10", "aria-hidden": "true" },
    svg("path", { class: "open", d: "M0 5h34" }), svg("path", { class: "shut", d: "M0 5h10M24 5h10M10 0v10M24 0v10" }));
  return h("button", { class: "stage", "data-id": id, "aria-expanded": "false" },
    h("em", { class: "tag" }), h("b", {}, id), h("span", { class: "now" }, gate, h("span")), h("span", { class: "how" }));
}

function edgeMade(edge) {
  const element = h("button", { class: "edge", "data-from": edge.from, "aria-pressed": "false" });
  element.said = h("span", { class: "top" });
  element.meter = h("span", { class: "bar" }, h("i"), h("u"));
  element.queue = h("span");
  element.converts = h("span", { class: "converts" });
  element.lost = h("span", { class: "lost" });
  element.append(h("span", { class: "sr" }, `From ${edge.from} to ${edge.to}: `), element.said, element.meter, h("span", { class: "bot" }, element.queue, element.converts, element.lost), h("span", { class: "sr" }, ". Listen here"));
  return element;
}

function put(element, { x, y, w, h: tall }) {
  for (const [name, value] of [["--x", x], ["--y", y], ["--w", w], ["--h", tall]]) prop(element, name, `${value}px`);
}

/** Widths of the gaps between columns: a queue makes its link long. */
function gapsOf(plan, room) {
  const gaps = [];
  for (let i = 0; i + 1 < plan.columns; i += 1) {
    const here = plan.edges.filter((edge) => edge.way === "straight" && plan.places[edge.from].column <= i && plan.places[edge.to].column > i);
    gaps.push(here.some((edge) => edge.queued) ? { least: 108, share: 1.3 } : { least: 58, share: 0.55 });
  }
  const least = gaps.reduce((sum, gap) => sum + gap.least, 0);
  const shares = gaps.reduce((sum, gap) => sum + gap.share, 0);
  let widths = gaps.map((gap) => gap.least);
  if (room > least) widths = gaps.map((gap) => Math.max(gap.least, (room * gap.share) / shares));
  const over = widths.reduce((a, b) => a + b, 0) - room;
  if (room > least && over > 0) {
    const loose = gaps.map((gap, i) => widths[i] - gap.least);
    const all = loose.reduce((a, b) => a + b, 0);
    widths = widths.map((width, i) => width - (over * loose[i]) / all);
  }
  return widths.map((width) => Math.min(width, 420));
}

/** The edges that enter a stage from the left below the line, and from below; and that leave it. */
function portsOf(plan) {
  const ports = { into: {}, below: {}, out: {} };
  const far = (edge) => plan.places[edge.from].column;
  for (const edge of plan.edges) {
    if (edge.way === "straight") continue;
    (ports[edge.way === "down" ? "into" : "below"][edge.to] ??= []).push(edge);
    (ports.out[edge.from] ??= []).push(edge);
  }
  // The one that branched off last comes in highest: so they never cross.
  for (const list of Object.values(ports.into)) list.sort((a, b) => far(b) - far(a));
  for (const list of Object.values(ports.below)) list.sort((a, b) => plan.places[a.from].row - plan.places[b.from].row);
  for (const list of Object.values(ports.out)) list.sort((a, b) => plan.places[b.to].row - plan.places[a.to].row);
  return ports;
}

/** The part of a box's lower edge for ways of one kind: half of it where the other kind is there. */
function half(box, others, which) {
  return others?.length ? [box.x + (which * box.w) / 2, box.w / 2] : [box.x, box.w];
}

/** Whether what a stage gives out has come through a peer: then it is the desk's voice. */
function isBehind(id, peers, edges, seen = new Set()) {
  if (peers.includes(id)) return true;
  if (seen.has(id)) return false;
  seen.add(id);
  return edges.some((edge) => edge.to === id && isBehind(edge.from, peers, edges, seen));
}

customElements.define("rt-graph", Graph);
