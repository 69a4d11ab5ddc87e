/** What is shown in the place of a job that is not there. */

import { link } from "../page/session.js";
import { el } from "../page/text.js";

/** @param {string} jobId */
export function waitingNote(jobId) {
  return note(
    el("h1", null, "Looking for ", el("span", { class: "id" }, jobId)),
    el("p", { class: "muted" }, "If it is about to begin, it appears here with its first report."),
  );
}

/** @param {string} jobId */
export function absentNote(jobId) {
  return note(
    el("h1", null, "There is no job ", el("span", { class: "id" }, jobId)),
    el(
      "p",
      { class: "muted" },
      "It has never reported, was deleted, is older than what is kept, or is not yours to see.",
    ),
    el("button", { type: "button", onclick: () => location.reload() }, "Look again"),
    link === null && el("p", null, el("a", { href: "/" }, "All jobs")),
  );
}

/** For a job that was shown until now. */
export function goneNotice() {
  return el(
    "p",
    { class: "notice", role: "alert" },
    "This job was deleted. What you see is the last that was heard of it.",
  );
}

/** What keeps the reader from seeing it. @param {string} reason of the watching's end */
export function refusedNote(reason) {
  const why =
    reason === "forbidden" ? "Your token does not reach this job's project." : "Your session has ended.";
  return note(
    el("h1", null, "You cannot see this job"),
    el("p", { class: "muted" }, why),
    el("button", { type: "button", onclick: () => location.reload() }, "Try again"),
  );
}

/** @param {...(Node | false)} children */
function note(...children) {
  return el("section", { class: "panel card note" }, ...children);
}
