// An action that somebody asked for: sent, waited for, answered in words.

import { set } from "../dom.js";

const SLOW_MS = 1000;

/** Tell what came of something asked for, beside the sentence. */
export function told(text, bad = false) {
  document.dispatchEvent(new CustomEvent("answered", { detail: { text, bad } }));
}

export function refused({ error, help }) {
  told([error, help].filter(Boolean).join(": "), true);
}

/**
 * Carry out an action and tell what came of it; returns whether it was done.
 * `control` is marked as sent until the answer comes; `words` says more than that it is done.
 */
export async function asked(control, page, stage, action, given = {}, { words = "" } = {}) {
  if (control.getAttribute("aria-busy") === "true") return false;
  set(control, "aria-busy", "true");
  const slow = setTimeout(() => told(`Waiting for ${page.state.pipeline.name}…`), SLOW_MS);
  const answer = await page.act(stage, action, given);
  clearTimeout(slow);
  set(control, "aria-busy", null);
  if (!answer.ok) {
    refused(answer);
    return false;
  }
  const bad = Boolean(answer.event && /refused|failed/.test(answer.event.type));
  if (answer.event) told(`${answer.event.source}: ${answer.event.line}`, bad);
  else if (answer.result !== null && answer.result !== undefined && words !== "quiet") told(result(answer.result));
  else told(words === "quiet" ? "" : words);
  return !bad;
}

function result(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
