/** Everything else that is known of a job: whose it is, when what happened, and what its worker said beside. */

import { foldedText } from "./job_error.js";
import { isEmpty, isFinished, jsonText } from "./job_words.js";
import { ago, el, moment } from "./text.js";

/** @typedef {import("./progress.js").Job} Job */

const COPIED_MILLISECONDS = 2000;

export function createDetails() {
  const facts = el("dl", { class: "facts" });
  const blocks = el("div");
  const element = el("section", { class: "panel card", "aria-labelledby": "details-title" },
    el("h2", { id: "details-title" }, "Details"), facts, blocks);
  let shown = "";
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    const version = JSON.stringify([constant(job), Math.floor(now / 10_000)]);
    if (shown === version || holdsSelection(element)) return;
    shown = version;
    facts.replaceChildren(...factRows(job, now));
    const open = openBlocks(blocks);
    blocks.replaceChildren(...valueBlocks(job, open));
  }
  return { element, show };
}

/** What is shown, but for the times, which move with each report. @param {Job} job */
function constant({ project, job_type, attempt, parent_id, trace_id, labels, metadata, resume, detail, result, status }) {
  return [project, job_type, attempt, parent_id, trace_id, labels, metadata, resume, detail, result, status];
}

/** Whoever is about to copy something keeps what is selected. @param {HTMLElement} element */
function holdsSelection(element) {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.anchorNode && element.contains(selection.anchorNode));
}

/** @param {HTMLElement} blocks */
function openBlocks(blocks) {
  const folded = [...blocks.querySelectorAll("details")];
  return new Map(folded.map((block) => [block.firstElementChild?.textContent ?? "", block.open]));
}

/** @param {Job} job @param {number} now */
function factRows(job, now) {
  return [
    row("Project", job.project),
    row("Type", job.job_type),
    row("Attempt", String(job.attempt)),
    job.parent_id && row("Part of", jobLink(job.parent_id)),
    job.trace_id && row("Trace", copyable(job.trace_id)),
    ...Object.entries(job.labels ?? {}).map(([name, value]) => row(name, value, "label")),
    row("Created", time(job.created_at)),
    job.started_at && row("Started", time(job.started_at)),
    job.finished_at && row("Finished", time(job.finished_at)),
    !isFinished(job.status) && job.last_progress_at && row("Last progress", ago(job.last_progress_at, now)),
    !isFinished(job.status) && job.last_contact_at && row("Last contact", ago(job.last_contact_at, now)),
  ].filter((each) => each instanceof HTMLElement);
}

/** @param {string} name @param {Node | string} value @param {string} [kind] */
function row(name, value, kind) {
  return el("div", { class: `fact ${kind ?? ""}`.trim() }, el("dt", null, name), el("dd", null, value));
}

/** @param {string} iso */
function time(iso) {
  return el("time", { datetime: iso }, moment(iso));
}

/** @param {string} jobId */
export function jobLink(jobId) {
  return el("a", { href: `/jobs/${encodeURIComponent(jobId)}` }, jobId);
}

/** @param {string} text */
function copyable(text) {
  const code = el("code", { class: "copyable" }, text);
  if (!navigator.clipboard) return code;
  const button = el("button", { type: "button", class: "small", "aria-label": "Copy the trace id" }, "Copy");
  button.addEventListener("click", async () => {
    const isCopied = await navigator.clipboard.writeText(text).then(() => true, () => false);
    button.textContent = isCopied ? "Copied" : "Select it";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MILLISECONDS);
  });
  return el("span", { class: "copy" }, code, button);
}

/** @param {Job} job @param {Map<string, boolean>} open */
function valueBlocks(job, open) {
  /** @type {[string, unknown, boolean][]} */
  const values = [
    ["More from the worker", job.detail, true],
    ["Metadata", job.metadata, true],
    ["Where to resume", job.resume, false],
    ["Result", isFinished(job.status) ? null : job.result, false],
  ];
  return values
    .filter(([, value]) => !isEmpty(value) && value !== "")
    .map(([name, value, isOpen]) => foldedText(name, jsonText(value), open.get(name) ?? isOpen));
}
