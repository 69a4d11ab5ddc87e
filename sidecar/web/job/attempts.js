/** What each try at the job has reached. */

import { elapsedSeconds, statusWord } from "../page/words.js";
import { duration, el, moment, percent, when } from "../page/text.js";

/**
 * @typedef {object} AttemptRow
 * @property {number} attempt
 * @property {string} status
 * @property {number | null} percent
 * @property {string | null} stage
 * @property {import("../progress.js").JobError | null} error
 * @property {string | null} started_at
 * @property {string | null} finished_at
 */

export function createAttempts() {
  const body = el("tbody");
  const names = ["Attempt", "How it went", "Reached", "Started", "Took"];
  const head = el("tr", null, ...names.map((name) => el("th", { scope: "col" }, name)));
  const table = el("table", { class: "attempts" }, el("thead", null, head), body);
  const frame = el(
    "div",
    { class: "table-frame", tabindex: 0, role: "region", "aria-labelledby": "attempts-title" },
    table,
  );
  const element = el(
    "section",
    { class: "panel card", hidden: true },
    el("h2", { id: "attempts-title" }, "Attempts"),
    frame,
  );
  /** @param {AttemptRow[]} attempts oldest first @param {number} now */
  function show(attempts, now) {
    element.hidden = attempts.length < 2;
    body.replaceChildren(...attempts.toReversed().map((attempt) => attemptRow(attempt, now)));
  }
  return { element, show };
}

/** @param {AttemptRow} attempt @param {number} now */
function attemptRow(attempt, now) {
  const { status, error, started_at: start } = attempt;
  const how = el(
    "td",
    null,
    el("span", { class: "badge", "data-status": status }, statusWord(status)),
    error?.message && el("span", { class: "attempt-error" }, error.message),
  );
  const reached = [percent(attempt.percent), attempt.stage].filter(Boolean).join(" · ");
  return el(
    "tr",
    null,
    el("th", { scope: "row" }, attempt.attempt),
    how,
    el("td", null, reached),
    el("td", null, el("time", { datetime: start, title: moment(start) }, when(start, now))),
    el("td", null, duration(elapsedSeconds(attempt, now))),
  );
}
