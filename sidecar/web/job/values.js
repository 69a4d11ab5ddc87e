/** Values of any shape, as their worker wrote them. One that changes stays where it is, open or not. */

import { foldedText } from "./error.js";
import { isEmpty, isFinished, jsonText } from "../page/words.js";
import { el } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

export function createValues() {
  const blocks = [
    createBlock("More from the worker", true, (job) => job.detail),
    createBlock("Metadata", true, (job) => job.metadata),
    createBlock("Where to resume", false, (job) => job.resume),
    createBlock("Result so far", false, (job) => (isFinished(job.status) ? null : job.result)),
  ];
  const element = el("div", { class: "values" }, ...blocks.map((block) => block.element));
  /** @param {Job} job */
  function show(job) {
    for (const block of blocks) block.show(job);
  }
  return { element, show };
}

/**
 * @param {string} name
 * @param {boolean} isOpen
 * @param {(job: Job) => unknown} valueOf
 */
function createBlock(name, isOpen, valueOf) {
  const element = foldedText(name, "", isOpen);
  const place = /** @type {Element} */ (element.lastElementChild);
  /** @param {Job} job */
  function show(job) {
    const value = valueOf(job);
    const text = isEmpty(value) ? "" : jsonText(value);
    element.hidden = text === "";
    if (place.textContent !== text) place.textContent = text;
  }
  return { element, show };
}
