// What went wrong with the audio so far, in numbers. Only what somebody counts stands here.

import { each, h, say, set } from "../dom.js";
import { count, length } from "../words.js";

class Ledger extends HTMLElement {
  connectedCallback() {
    this.list = h("dl");
    this.append(this.list);
  }

  show(state, before) {
    if (before && before.links === state.links && before.facts === state.facts && before.stages === state.stages) return;
    const make = () => h("div", {}, h("dt"), h("dd"));
    each(this.list, entries(state), (entry) => entry[0], make, (element, [name, value, bad, title]) => {
      say(element.firstChild, name);
      say(element.lastChild, bad ? `✕ ${value}` : value);
      set(element, "class", bad ? "bad" : null);
      set(element, "title", title || null);
    });
  }
}

/** [name, value, is it bad, where] of all that is counted in this pipeline. */
export function entries({ links, stages, facts, now }) {
  const queued = links.filter((link) => link.queued);
  const lossy = queued.filter((link) => link.dropped_ms + link.refused_ms > 0);
  const ms = lossy.reduce((sum, link) => sum + link.dropped_ms + link.refused_ms, 0);
  const where = lossy.map((link) => `${link.from} → ${link.to}`).join(", ");
  const all = queued.length ? [["audio lost", length(ms), ms > 0, where]] : [];
  const gone = stages.filter((stage) => facts[stage.id]?.lost);
  if (gone.length) {
    const since = Math.min(...gone.map((stage) => facts[stage.id].lost.since));
    all.push(["silence put in", length(1000 * (now - since)), true, gone.map((stage) => stage.id).join(", ")]);
  }
  for (const stage of stages) {
    const fact = facts[stage.id] ?? {};
    if (stage.kind === "speaker") all.push(["underruns", count(fact.underruns ?? 0), fact.underruns > 0, stage.id]);
    if (stage.family !== "peer" || !("call" in fact)) continue;
    const { media } = fact;
    all.push(["concealed", media ? length(media.concealed_ms) : "–"]);
    all.push(["packets lost", media ? `${count(media.packets_lost)} of ${count(media.packets_received + media.packets_lost)}` : "–"]);
    all.push(["round trip", media ? `${Number(media.rtt_ms.toPrecision(2))} ms` : "–"]);
    all.push(["jitter buffer", media ? length(media.buffer_ms) : "–"]);
  }
  const frames = stages.reduce((sum, stage) => sum + stage.lost_frames, 0);
  if (frames) all.push(["frames lost", count(frames), true, stages.filter((stage) => stage.lost_frames).map((stage) => stage.id).join(", ")]);
  return all;
}

customElements.define("rt-ledger", Ledger);
