/** Tells a screen reader of what matters, and of nothing else: another stage or status, a wish, the end. */

import { endSentence } from "./end.js";
import { isFinished, statusWord } from "../page/words.js";
import { el } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

export function createAnnouncer() {
  const element = el("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  /** @type {Job | null} */
  let before = null;
  /** @param {Job} job */
  function show(job) {
    const text = before && news(before, job);
    before = job;
    if (text) element.textContent = text;
  }
  return { element, show };
}

/** @param {Job} before @param {Job} job */
function news(before, job) {
  if (job.status !== before.status) return isFinished(job.status) ? endSentence(job) : statusWord(job.status);
  if (job.cancel_requested && !before.cancel_requested) return "Asked to stop";
  if (job.pause_requested !== before.pause_requested)
    return job.pause_requested ? "Asked to pause" : "Asked to go on";
  if (job.stage !== before.stage && job.stage) return `Stage ${job.stage_label ?? job.stage}`;
  return job.stall && !before.stall ? "Stalled" : null;
}
