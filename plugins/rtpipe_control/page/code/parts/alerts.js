// What is wrong: what and since when, what goes on, what to do, and the one control that helps.

import { each, h, say, set } from "../dom.js";
import { ago, clock } from "../words.js";
import { asked } from "./asking.js";

class Alerts extends HTMLElement {
  show(state, before) {
    const { alerts } = state.condition;
    set(this, "hidden", !alerts.length || state.line !== "live");
    if (before && alerts === before.condition.alerts && Math.floor(state.now) === Math.floor(before.now) && before.line === state.line) return;
    each(this, alerts, (alert) => `${alert.id} ${alert.since} ${JSON.stringify(choiceOf(alert))}`, (alert) => this.made(alert), (element, alert) => {
      const started = state.pipeline?.startedAt;
      say(element.querySelector(".since"), `Since ${clock(alert.since, started, false)}, ${ago(state.now - alert.since)} ago.`);
    });
  }

  made(alert) {
    const text = alert.text.replaceAll("`", "").replace(/"([^"]+)"/g, "“$1”");
    const steps = alert.steps.map((step) => h("li", {}, step.replaceAll("`", "")));
    return h("section", { class: "alert", "aria-label": `Trouble: ${alert.stage}` },
      h("div", {},
        h("div", { role: "alert" }, h("p", {}, h("b", {}, `✕ ${text}`), ` ${alert.goes_on}`), steps.length ? h("ol", {}, ...steps) : null),
        h("p", { class: "since" })),
      this.remedy(alert));
  }

  remedy(alert) {
    const choice = choiceOf(alert);
    if (!choice || !choice.values.length) return null;
    const [stage, action] = choice.action.includes(".") ? choice.action.split(".") : [alert.stage, choice.action];
    const list = h("select", { "aria-label": "Another device" }, ...choice.values.map((value) => h("option", { value }, value)));
    const use = h("button", { class: "btn go", onclick: () => asked(use, this.page, stage, action, { args: [list.value] }) }, "Use it");
    return h("div", { class: "fix" }, list, use);
  }
}

const choiceOf = (alert) => alert.choice ?? alert.choices ?? null;

customElements.define("rt-alerts", Alerts);
