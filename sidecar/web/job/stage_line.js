/** The stage that runs now, or what is counted without one, with a bar of its own. */

import { createBar } from "./bar.js";
import { countedText, isFinished, tone } from "../page/words.js";
import { el, percent, write } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

export function createStageLine() {
  const name = el("span", { class: "stage-title" });
  const counted = el("span", { class: "muted" });
  const bar = createBar("Stage", { className: "thin" });
  const element = el(
    "div",
    { class: "stage-bar" },
    el("p", { class: "stage-bar-line" }, name, " ", counted),
    bar.element,
  );
  let shown = "";
  /** @param {Job} job @param {boolean} isFirst */
  function show(job, isFirst) {
    const label = job.stage_label ?? job.stage;
    const text = countedText(job) ?? "";
    element.hidden = isFinished(job.status) || (!label && !text);
    write(name, label);
    name.hidden = !label;
    write(counted, text);
    bar.element.hidden = !label;
    bar.element.setAttribute("aria-label", label ? `Stage ${label}` : "Stage");
    const isOther = shown !== `${job.attempt} ${job.stage}`;
    shown = `${job.attempt} ${job.stage}`;
    const share = job.stage_percent === null ? "share unknown" : percent(job.stage_percent);
    const said = text ? `${share}, ${text}` : share;
    const isWaiting = job.status === "queued";
    const isAtOnce = isFirst || isOther;
    bar.show({ percent: job.stage_percent, text: said, tone: tone(job), isWaiting, isAtOnce });
  }
  return { element, show, stop: bar.stop };
}
