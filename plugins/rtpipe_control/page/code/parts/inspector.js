// A stage seen closely: its options, what stands in for what, its queues, and its actions.

import { each, h, say, set } from "../dom.js";
import { length } from "../words.js";
import { refused, told } from "./asking.js";

const LONGEST = 160;

export class Inspector {
  constructor(id, page, close) {
    this.id = id;
    this.page = page;
    const listen = (this.listen = h("button", { class: "btn", "aria-pressed": "false", onclick: () => page.listening.toggle(id) }, "♪ Listen"));
    this.kind = h("span", { class: "dim" });
    this.facts = h("dl");
    this.actions = h("div", { class: "acts" });
    this.options = h("dl");
    const heading = h("h3", {}, h("code", {}, id));
    this.element = h("section", { class: "inspect", "aria-label": `Stage ${id}` },
      h("div", { class: "row" }, heading, this.kind, h("button", { class: "btn quiet", onclick: close }, "Close")),
      this.facts, this.actions, this.options);
    this.actions.before(h("div", { class: "row" }, listen));
    page.listening.addEventListener("changed", () => set(listen, "aria-pressed", String(page.listening.at === id)));
  }

  show(state, before) {
    if (before && before.stages === state.stages && before.links === state.links && before.line === state.line) return;
    const stage = state.stages.find((each) => each.id === this.id);
    if (!stage) return;
    say(this.kind, `${stage.kind}: ${stage.summary}`);
    set(this.listen, "aria-pressed", String(this.page.listening.at === this.id));
    const make = () => h("div", {}, h("dt"), h("dd"));
    const write = (row, [name, value]) => {
      say(row.firstChild, name);
      say(row.lastChild, value);
    };
    each(this.facts, factsOf(stage, state), ([name]) => name, make, write);
    each(this.options, optionsOf(stage), ([name]) => name, make, write);
    each(this.actions, stage.actions, (action) => action.name, (action) => this.made(action), (form, action) => {
      const why = state.line === "live" ? stage.why_not[action.name] ?? "" : "the kiosk cannot be reached";
      const button = form.querySelector("button");
      set(button, "aria-disabled", why ? "true" : null);
      set(button, "title", why || action.summary);
      button.whyNot = why;
    });
  }

  made(action) {
    const fields = action.arguments.filter((each) => each.name !== "response" || each.required).map((each) => h("input", {
      type: "text", name: each.name, placeholder: `${each.name}: ${each.type}`, "aria-label": `${action.name}: ${each.name}`, autocomplete: "off",
    }));
    const button = h("button", { class: "btn mono" }, action.name);
    return h("form", { onsubmit: (event) => this.perform(event, action, fields, button) }, button, ...fields);
  }

  async perform(event, action, fields, button) {
    event.preventDefault();
    if (button.whyNot) return told(`${this.id}.${action.name}: ${button.whyNot}.`);
    const kwargs = {};
    for (const [i, field] of fields.entries()) {
      if (field.value !== "") kwargs[field.name] = read(field.value, action.arguments[i].type);
    }
    set(button, "aria-busy", "true");
    const answer = await this.page.act(this.id, action.name, { kwargs });
    set(button, "aria-busy", null);
    if (!answer.ok) return refused(answer);
    const came = answer.event ? answer.event.line : answer.result === null ? "done" : JSON.stringify(answer.result);
    told(`${this.id}.${action.name}: ${came}`);
  }
}

/** What was written, as the argument's type wants it. */
function read(text, type) {
  if (type === "str") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function factsOf(stage, state) {
  const facts = [];
  if (stage.wanted) facts.push(["instead of", `${stage.wanted.stage}: ${stage.wanted.reason}`]);
  if (stage.wanted?.away) facts.push(["the way back", stage.wanted.away]);
  if (stage.status !== "ok" || stage.detail) facts.push(["status", [stage.status, stage.detail].filter(Boolean).join(": ")]);
  if (stage.gauge) facts.push(["now", stage.gauge.replace("  ", ", ")]);
  for (const link of state.links.filter((each) => each.queued && each.to === stage.id)) {
    facts.push([`queue from ${link.from}`, `${length(link.depth_ms)} of ${length(link.max_ms)}, most ${length(link.max_depth_ms)}; dropped ${length(link.dropped_ms)}, trimmed ${length(link.trimmed_ms)}, flushed ${length(link.flushed_ms)}`]);
  }
  return facts;
}

function optionsOf(stage) {
  const facts = [];
  for (const [name, value] of Object.entries(stage.options)) {
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) continue;
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    facts.push([name, text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text]);
  }
  return facts;
}
