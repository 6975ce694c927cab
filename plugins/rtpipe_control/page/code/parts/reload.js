// Reload: what the file changes is shown first, and what is heard of it; then somebody decides.

import { reload } from "../connection.js";
import { h, say, set } from "../dom.js";
import { many } from "../words.js";
import { told } from "./asking.js";

class Reload extends HTMLElement {
  connectedCallback() {
    this.heading = h("h2", { id: "planh" });
    this.about = h("p", { class: "dim" });
    this.rows = h("tbody");
    this.table = h("table", {}, h("thead", {}, h("tr", {}, ...["What changes", "How", "What is heard"].map((text) => h("th", { scope: "col" }, text)))), this.rows);
    this.wrong = h("ul", { class: "wrong" });
    this.rest = h("p");
    this.leave = h("button", { class: "btn", value: "" }, "Leave it");
    this.now = h("button", { class: "btn", value: "now" }, "Reload now");
    this.pause = h("button", { class: "btn go", value: "pause" }, "Reload at the next pause");
    this.dialog = h("dialog", { class: "plan", "aria-labelledby": "planh" },
      h("form", { method: "dialog", class: "in" }, h("div", {}, this.heading, this.about), this.table, this.wrong, this.rest,
        h("div", { class: "ask" }, this.leave, this.now, this.pause)));
    this.dialog.addEventListener("close", () => this.chosen());
    this.append(this.dialog);
  }

  show(state) {
    this.state = state;
  }

  /** Ask for the plan and show it. */
  async open() {
    if (this.asking || this.dialog.open) return;
    this.asking = true;
    const plan = await reload({ dry_run: true });
    this.asking = false;
    if (!plan.ok && !plan.diagnostics) return told([plan.error, plan.help].filter(Boolean).join(": "), true);
    this.fill(plan);
    this.dialog.returnValue = "";
    this.dialog.showModal();
    (this.pause.hidden ? this.leave : this.pause).focus();
  }

  fill(plan) {
    const { pipeline, stages } = this.state;
    const { changes = [], diagnostics = [] } = plan;
    say(this.heading, plan.ok ? `Reload ${pipeline.name}?` : `${pipeline.name} runs on as it is`);
    this.about.replaceChildren(h("code", {}, pipeline.file), plan.ok ? ": no mistakes." : `: ${many(diagnostics.length, "mistake")}. Nothing was changed.`);
    this.rows.replaceChildren(...changes.map((change) => {
      const call = change.how === "new call";
      return h("tr", {}, h("td", {}, h("code", {}, change.id), change.what ? ` ${change.what}` : ""), h("td", {}, call ? h("b", {}, "a new call") : change.how), h("td", {}, change.heard));
    }));
    this.wrong.replaceChildren(...diagnostics.map(mistake));
    set(this.table, "hidden", !changes.length);
    set(this.wrong, "hidden", !diagnostics.length);
    const touched = new Set(changes.map((change) => change.id));
    const same = stages.filter((stage) => !touched.has(stage.id)).map((stage) => stage.id);
    say(this.rest, plan.ok ? (changes.length ? (same.length ? `Everything else stays as it is: ${same.join(", ")}.` : "") : "It holds what runs already.") : "");
    set(this.rest, "hidden", !this.rest.textContent);
    for (const button of [this.now, this.pause]) set(button, "hidden", !plan.ok || !changes.length);
    say(this.leave, plan.ok && changes.length ? "Leave it" : "Close");
  }

  async chosen() {
    const when = this.dialog.returnValue;
    if (!when) return;
    if (when === "pause") told("Reloads when nobody speaks.");
    const answer = await reload({ when });
    if (!answer.ok) told([answer.error, answer.help].filter(Boolean).join(": "), true);
    else if (when === "now") told("Reloaded.");
  }
}

function mistake({ code, message, path, line, column, help }) {
  const at = path ? `${path.split("/").at(-1)}:${line}:${column}: ` : "";
  return h("li", {}, `${at}${message} `, h("span", { class: "dim" }, `[${code}]`), help ? h("span", { class: "dim help" }, help) : "");
}

customElements.define("rt-reload", Reload);
