/** An error as a worker reported it: the message first, then where, then the rest for whoever asks. */

import { isEmpty, jsonText } from "../page/words.js";
import { el } from "../page/text.js";

/**
 * @param {import("../progress.js").JobError} error
 * @param {boolean} isOpen whether its context is shown unasked
 */
export function errorBlock(error, isOpen) {
  return el(
    "div",
    { class: "error-block" },
    el("p", { class: "error-message" }, error.message || "The worker did not say why."),
    error.type && el("p", { class: "error-type" }, error.type),
    !isEmpty(error.context) && foldedText("Context", jsonText(error.context), isOpen),
    error.stack && foldedText("Stack", error.stack, false),
  );
}

/**
 * Text that is as it was written, behind a summary.
 * @param {string} summary
 * @param {string} text
 * @param {boolean} isOpen
 */
export function foldedText(summary, text, isOpen) {
  const pre = el("pre", { tabindex: 0, role: "region", "aria-label": summary }, text);
  return el("details", { class: "folded", open: isOpen }, el("summary", null, summary), pre);
}
