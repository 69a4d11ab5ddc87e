/** What else is known of a job: whose it is, when what happened, and what its worker said beside. */

import { createValues } from "./values.js";
import { link } from "../page/session.js";
import { isFinished } from "../page/words.js";
import { ago, el, moment, write } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

const COPIED_MILLISECONDS = 2000;

export function createDetails() {
  const facts = el("dl", { class: "facts" });
  const [progressed, heard] = [el("dd"), el("dd")];
  const latest = el("dl", { class: "facts" }, row("Last progress", progressed), row("Last contact", heard));
  const values = createValues();
  const title = el("h2", { id: "details-title" }, "Details");
  const lists = el("div", null, facts, latest);
  const element = el(
    "section",
    { class: "panel card", "aria-labelledby": "details-title" },
    title,
    lists,
    values.element,
  );
  let shown = "";
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    latest.hidden = isFinished(job.status);
    write(progressed, ago(job.last_progress_at, now));
    write(heard, ago(job.last_contact_at, now));
    values.show(job);
    const { attempt, parent_id, trace_id, labels, started_at, finished_at } = job;
    const known = JSON.stringify([attempt, parent_id, trace_id, labels, started_at, finished_at]);
    if (shown === known) return;
    shown = known;
    facts.replaceChildren(...factRows(job));
  }
  return { element, show };
}

/** @param {Job} job */
function factRows(job) {
  return [
    row("Project", job.project),
    row("Type", job.job_type),
    row("Attempt", String(job.attempt)),
    job.parent_id && row("Part of", jobLink(job.parent_id)),
    job.trace_id && row("Trace", copyable(job.trace_id)),
    ...Object.entries(job.labels ?? {}).map(([name, value]) => row(name, value)),
    row("Created", time(job.created_at)),
    job.started_at && row("Started", time(job.started_at)),
    job.finished_at && row("Finished", time(job.finished_at)),
  ].filter((each) => each instanceof HTMLElement);
}

/** @param {string} name @param {Node | string} value a `dd`, or what goes into one */
function row(name, value) {
  const isPlaced = value instanceof HTMLElement && value.localName === "dd";
  return el("div", { class: "fact" }, el("dt", null, name), isPlaced ? value : el("dd", null, value));
}

/** @param {string} iso */
function time(iso) {
  return el("time", { datetime: iso }, moment(iso));
}

/**
 * Another job, for whom may see others than this one.
 * @param {string} jobId
 */
export function jobLink(jobId) {
  if (link !== null) return el("span", null, jobId);
  return el("a", { href: `/jobs/${encodeURIComponent(jobId)}` }, jobId);
}

/** @param {string} text */
function copyable(text) {
  const code = el("code", { class: "copyable" }, text);
  if (!navigator.clipboard) return code; // over plain HTTP: a click selects all of it
  const button = el("button", { type: "button", class: "small" }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = await navigator.clipboard.writeText(text).then(
      () => "Copied",
      () => "Select it",
    );
    setTimeout(() => (button.textContent = "Copy"), COPIED_MILLISECONDS);
  });
  return el("span", { class: "copy" }, code, button);
}
