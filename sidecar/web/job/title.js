/** What the page is about: the job's id, whose it is, and its status. */

import { jobLink } from "./details.js";
import { statusWord } from "../page/words.js";
import { el, write } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

/** @param {string} jobId */
export function createTitle(jobId) {
  const status = el("span", { class: "badge", hidden: true });
  const scope = el("p", { class: "scope muted" });
  const element = el(
    "div",
    { class: "title" },
    el("div", { class: "title-name" }, el("h1", null, jobId), scope),
    status,
  );
  let shown = "";
  /** @param {Job} job */
  function show(job) {
    status.hidden = false;
    status.dataset.status = job.status;
    write(status, statusWord(job.status));
    const known = JSON.stringify([job.project, job.job_type, job.attempt, job.parent_id]);
    if (shown === known) return;
    shown = known;
    scope.replaceChildren(...scopeParts(job));
  }
  return { element, show };
}

/** @param {Job} job @returns {(Node | string)[]} */
function scopeParts(job) {
  const parts = [`${job.project} / ${job.job_type}`];
  if (job.attempt > 1) parts.push(`attempt ${job.attempt}`);
  return job.parent_id ? [`${parts.join(" · ")} · part of `, jobLink(job.parent_id)] : [parts.join(" · ")];
}
