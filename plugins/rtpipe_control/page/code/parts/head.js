// The line at the top: which pipeline, for how long, and whether anything is not as its file says.

import { h, keep, say, set } from "../dom.js";
import { length, many, span } from "../words.js";

const THEMES = ["", "light", "dark"];
const NAMES = { "": "as the system", light: "light", dark: "dark" };

class Head extends HTMLElement {
  connectedCallback() {
    this.name = h("h1", {}, "rtpipe");
    this.facts = h("p", { class: "facts" });
    this.spans = {};
    for (const name of ["running", "trouble", "standins", "lost", "call"]) {
      this.spans[name] = h("span", { class: name });
      this.facts.append(this.spans[name]);
    }
    this.theme = h("button", { class: "btn quiet", onclick: () => this.turn() }, "Theme");
    const captions = h("a", { class: "btn quiet", href: "/captions" }, "Captions");
    const keys = h("button", { class: "btn quiet keysbtn", "aria-haspopup": "dialog", onclick: () => document.querySelector("rt-keys").open() }, "Keys");
    const reload = h("button", { class: "btn quiet", "aria-haspopup": "dialog", onclick: () => document.querySelector("rt-reload").open() }, "Reload…");
    this.append(this.name, this.facts, h("nav", { "aria-label": "Page" }, captions, reload, keys, this.theme));
    this.named();
  }

  turn() {
    const now = document.documentElement.dataset.theme ?? "";
    const theme = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    keep("theme", theme);
    this.named();
    document.dispatchEvent(new Event("themechange"));
  }

  named() {
    set(this.theme, "aria-label", `Theme: ${NAMES[document.documentElement.dataset.theme ?? ""]}`);
  }

  show(state) {
    const { pipeline, stages } = state;
    if (!pipeline) return;
    say(this.name, pipeline.name);
    const words = {
      running: { opening: `starting, ${span(state.now)}`, stopping: "stopping", ended: `ended after ${span(state.now)}` }[pipeline.state] ?? `running ${span(state.now)}`,
      trouble: trouble(state),
      standins: standIns(stages),
      lost: lost(state),
      call: call(state),
    };
    for (const [name, text] of Object.entries(words)) {
      say(this.spans[name], text);
      set(this.spans[name], "hidden", text === "");
    }
  }
}

function trouble({ condition, links }) {
  const ids = [...new Set(condition.alerts.map((alert) => alert.stage))];
  if (ids.length) return `✕ ${ids.join(", ")}`;
  return lostMs(links) ? `✕ ${length(lostMs(links))} lost` : "";
}

const lostMs = (links) => links.reduce((sum, link) => sum + (link.queued ? link.dropped_ms + link.refused_ms : 0), 0);

function standIns(stages) {
  const count = stages.filter((stage) => stage.wanted).length;
  return count ? many(count, "stand-in") : "";
}

function lost({ links, condition }) {
  const counted = links.some((link) => link.queued);
  return counted && !lostMs(links) && !condition.alerts.length ? "nothing lost" : "";
}

function call({ stages, facts, now }) {
  const peer = stages.find((stage) => stage.family === "peer");
  const fact = peer && facts[peer.id];
  if (!fact || fact.call === null || fact.call === undefined) return "";
  const trip = fact.media ? `, ${Number(fact.media.rtt_ms.toPrecision(2))} ms` : "";
  return `call ${span(now - fact.call)}${trip}`;
}

customElements.define("rt-head", Head);
