/** What share of the whole job is done: a bar, and the number that moves with it. */

import { createBar } from "./bar.js";
import { barText, isShareUnknown, tone } from "../page/words.js";
import { el, percent, write } from "../page/text.js";

/** @param {string} label @param {{ numberClass: string, barClass?: string }} classes */
export function createShare(label, { numberClass, barClass }) {
  const number = el("span", { class: numberClass });
  const bar = createBar(label, {
    className: barClass,
    onMove: (position) => write(number, percent(position)),
  });
  /** @type {boolean | null} null: nothing was shown yet */
  let wasKnown = null;
  /** @param {import("../progress.js").Job} job */
  function show(job) {
    const share = isShareUnknown(job) ? null : job.percent;
    const [isKnown, isWaiting] = [share !== null, job.status === "queued"];
    const isFirst = wasKnown === null;
    if (isKnown !== wasKnown) write(number, percent(isFirst ? share : 0)); // from where the bar begins to move
    bar.show({ percent: share, text: barText(job), tone: tone(job), isWaiting, isAtOnce: isFirst });
    if (!isKnown) write(number, percent(null));
    number.hidden = !isKnown && !isWaiting;
    wasKnown = isKnown;
  }
  return { number, bar: bar.element, show, stop: bar.stop };
}
