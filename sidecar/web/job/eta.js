/** The time that is left, as text that does not jump: it is the moment of the end that moves smoothly. */

import { isFinished, remaining, remainingText } from "../page/words.js";
import { smoothEta } from "../smooth.js";

/** @typedef {import("../progress.js").Job} Job */

/**
 * @param {() => number} clock
 * @param {(text: string | null) => void} onText null: nobody knows
 */
export function createEta(clock, onText) {
  /** @type {number | null} */
  let endSeconds = null;
  let isOverdue = false;
  const tell = () => onText(endSeconds === null ? null : leftText(endSeconds - clock() / 1000, isOverdue));
  const smooth = smoothEta((seconds) => {
    endSeconds = seconds;
    tell();
  });
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    const left = isFinished(job.status) ? null : remaining(job, now);
    isOverdue = left?.isOverdue ?? false;
    smooth.moveTo(left && now / 1000 + left.seconds);
    tell();
  }
  return { show, stop: () => smooth.stop() };
}

/** @param {number} seconds @param {boolean} isOverdue */
function leftText(seconds, isOverdue) {
  return isOverdue ? "later than expected" : remainingText(seconds);
}
