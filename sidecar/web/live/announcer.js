/** Tells a screen reader how jobs end and which ones stall: not more than a sentence in some seconds. */

import { statusWord } from "../page/words.js";
import { el } from "../page/text.js";

/** @typedef {import("../progress.js").BriefJob} BriefJob */

const PAUSE_MILLISECONDS = 5_000;
const MOST_NAMED = 3;
const MOST_KEPT = 10;
/** What is named first. */
const WORST_FIRST = ["failed", "lost", "stalled", "cancelled", "completed"];

export class Announcer {
  /** @type {HTMLElement} */ #root;
  /** @type {Map<string, string>} what became of which job */ #waiting = new Map();
  #isPausing = false;

  /** @param {HTMLElement} root a live region */
  constructor(root) {
    this.#root = root;
  }

  /** @param {string} jobId @param {string} outcome a finished status, or `stalled` */
  say(jobId, outcome) {
    this.#waiting.set(jobId, outcome);
    if (!this.#isPausing) this.#flush();
  }

  #flush() {
    this.#isPausing = this.#waiting.size > 0;
    if (!this.#isPausing) return;
    this.#root.append(el("p", null, sentence(this.#waiting)));
    this.#waiting.clear();
    while (this.#root.childElementCount > MOST_KEPT) this.#root.firstElementChild?.remove();
    setTimeout(() => this.#flush(), PAUSE_MILLISECONDS);
  }
}

/**
 * `Failed: crawl-7. Completed: plan-1, plan-2, plan-3 and 12 more.`
 * @param {ReadonlyMap<string, string>} outcomes by job
 */
export function sentence(outcomes) {
  const said = WORST_FIRST.map((outcome) => {
    const jobs = [...outcomes].filter(([, each]) => each === outcome).map(([jobId]) => jobId);
    if (jobs.length === 0) return "";
    const more = jobs.length > MOST_NAMED ? ` and ${jobs.length - MOST_NAMED} more` : "";
    const word = outcome === "stalled" ? "Stalled" : statusWord(outcome);
    return `${word}: ${jobs.slice(0, MOST_NAMED).join(", ")}${more}.`;
  });
  return said.filter(Boolean).join(" ");
}
