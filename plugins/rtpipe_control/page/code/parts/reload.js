// Reload: what the file changes is shown first, and what is heard of it; then somebody decides.

import { reload } from "../connection.js";
import { h, say, set } from "../dom.js";
import { many } from "../words.js";
import { refused, told } from "./asking.js";

const HEADS = [["What changes", "How", "What is heard"], ["Where", "What is wrong", "What would do"]];

class Reload extends HTMLElement {
  connectedCallback() {
    this.heading = h("h2", { id: "planh" });
    this.about = h("p", { class: "dim" });
    this.heads = h("tr");
    this.rows = h("tbody");
    this.table = h("table", {}, h("thead", {}, this.heads), this.rows);
    this.rest = h("p");
    this.leave = h("button", { class: "btn", value: "" });
    this.now = h("button", { class: "btn", value: "now" }, "Reload now");
    this.pause = h("button", { class: "btn go", value: "pause" }, "Reload at the next pause");
    this.dialog = h("dialog", { class: "plan", "aria-labelledby": "planh" },
      h("form", { method: "dialog", class: "in" }, h("div", {}, this.heading, this.about), this.table, this.rest,
        h("div", { class: "ask" }, this.leave, this.now, this.pause)));
    this.dialog.addEventListener("close", () => this.chosen());
    this.append(this.dialog);
  }

  show(state) {
    this.state = state;
  }

  /** Ask for the plan and show it. */
  async open() {
    const plan = await reload({ dry_run: true });
    if (this.dialog.open) return;
    if (!plan.ok && !plan.diagnostics) return refused(plan);
    this.fill(plan);
    this.dialog.returnValue = "";
    this.dialog.showModal();
    (this.pause.hidden ? this.leave : this.pause).focus();
  }

  fill({ ok, changes = [], diagnostics = [] }) {
    const { pipeline, stages } = this.state;
    const rows = ok ? changes.map(changed) : diagnostics.map(wrong);
    const some = ok && rows.length > 0;
    say(this.heading, ok ? `Reload ${pipeline.name}?` : `${pipeline.name} runs on as it is`);
    this.about.replaceChildren(h("code", {}, pipeline.file), ok ? ": no mistakes." : `: ${many(rows.length, "mistake")}. Nothing was changed.`);
    this.heads.replaceChildren(...HEADS[ok ? 0 : 1].map((text) => h("th", { scope: "col" }, text)));
    this.rows.replaceChildren(...rows.map((cells) => h("tr", {}, ...cells.map((cell) => h("td", {}, ...[cell].flat())))));
    const same = stages.map(({ id }) => id).filter((id) => !changes.some((change) => change.id === id));
    say(this.rest, some ? (same.length ? `Everything else stays as it is: ${same.join(", ")}.` : "") : ok ? "It holds what runs already." : "");
    say(this.leave, some ? "Leave it" : "Close");
    set(this.table, "hidden", !rows.length);
    for (const button of [this.now, this.pause]) set(button, "hidden", !some);
  }

  async chosen() {
    const when = this.dialog.returnValue;
    if (!when) return;
    if (when === "pause") told("Reloads when nobody speaks.");
    const answer = await reload({ when });
    if (!answer.ok) refused(answer);
    else if (when === "now") told("Reloaded.");
  }
}

const changed = ({ id, what, how, heard }) => [[h("code", {}, id), ` ${what}`], how === "new call" ? h("b", {}, "a new call") : how, heard];
const wrong = ({ path, line, column, message, help }) => [path ? `${path.split("/").at(-1)}:${line}:${column}` : "", message, help ?? ""];

customElements.define("rt-reload", Reload);
