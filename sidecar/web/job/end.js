/** How a job ended, for people: shown once it has. */

import { errorBlock, foldedText } from "./error.js";
import { elapsedSeconds, isEmpty, isFinished, jsonText } from "../page/words.js";
import { ago, count, duration, el, moment, percent } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

const MOST_KINDS = 4;

export function createEnd() {
  const element = el("section", { class: "panel card end", "aria-labelledby": "end-title", hidden: true });
  let shown = "";
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    element.hidden = !isFinished(job.status);
    const version = `${job.attempt} ${job.version}`;
    if (element.hidden || shown === version) return;
    shown = version;
    element.dataset.status = job.status;
    element.replaceChildren(...STORY[job.status](job, now));
  }
  return { element, show };
}

/**
 * In one sentence, how it ended.
 * @param {Job} job
 */
export function endSentence(job) {
  const time = job.started_at ? duration(elapsedSeconds(job, 0)) : null;
  const after = time ? ` after ${time}` : "";
  if (job.status === "completed") return time ? `Completed in ${time}` : "Completed";
  const at = job.percent ? `at ${percent(job.percent)}` : null; // nothing, or nobody knows
  if (job.status === "failed") return [`Failed${after}`, at].filter(Boolean).join(", ");
  if (job.status === "cancelled") return [`Cancelled${after}`, at].filter(Boolean).join(", ");
  return ["Lost", at].filter(Boolean).join(" ");
}

/** @type {Record<string, (job: Job, now: number) => HTMLElement[]>} */
const STORY = {
  completed: (job) => [
    title(job),
    ...lines(itemsLine(job), endedLine(job)),
    ...(isEmpty(job.result) ? [] : [foldedText("Result", jsonText(job.result), true)]),
  ],
  failed: (job) => [
    title(job),
    ...(job.error ? [errorBlock(job.error, true)] : []),
    ...lines(placeLine(job), itemsLine(job), endedLine(job)),
    ...resumeBlock(job),
  ],
  cancelled: (job) => [
    title(job),
    ...lines(placeLine(job), itemsLine(job), endedLine(job)),
    ...resumeBlock(job),
  ],
  lost: (job, now) => [
    title(job),
    ...lines(
      `Its worker was last heard ${ago(job.last_contact_at, now)}. It may have died or be cut off: if it` +
        " reports again, the job goes on from here by itself, and so does this page.",
      placeLine(job),
    ),
    ...resumeBlock(job),
  ],
};

/** @param {Job} job */
function title(job) {
  return el("h2", { id: "end-title", class: "end-title" }, endSentence(job));
}

/** @param {...(string | null)} texts */
function lines(...texts) {
  return texts.filter((text) => text !== null).map((text) => el("p", null, text));
}

/** @param {Job} job */
function placeLine(job) {
  const name = job.stage_label ?? job.stage;
  return name ? `It was in “${name}”.` : null;
}

/** @param {Job} job */
function endedLine(job) {
  return job.finished_at ? `Ended ${moment(job.finished_at)}.` : null;
}

/** @param {Job} job */
function itemsLine(job) {
  const counts = Object.entries(job.items).sort(([, a], [, b]) => b - a);
  if (counts.length === 0) return null;
  const named = counts.slice(0, MOST_KINDS).map(([kind, number]) => `${count(number)} ${kind}`);
  const others = counts.length - named.length;
  return `${named.join(", ")}${others > 0 ? ` and ${others} more kinds` : ""}.`;
}

/** @param {Job} job */
function resumeBlock({ resume }) {
  return isEmpty(resume) ? [] : [foldedText("A worker can resume from here", jsonText(resume), true)];
}
