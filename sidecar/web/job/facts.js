/** When it may end, how long it has run, how fast it is, and when it was heard of. */

import { createEta } from "./eta.js";
import { elapsedSeconds, heardText, isFinished, isStill, remaining } from "../page/words.js";
import { ago, count, duration, el, moment, when, write } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

/** @param {() => number} clock */
export function createFacts(clock) {
  const left = fact("Time left");
  const elapsed = fact("Elapsed");
  const rate = fact("Rate");
  const moved = fact("Last progress");
  const eta = createEta(clock, (text) => left.say(text ?? "–"));
  const element = el(
    "dl",
    { class: "hero-facts" },
    left.element,
    elapsed.element,
    rate.element,
    moved.element,
  );
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    const isOver = isFinished(job.status);
    const soon = remaining(job, now);
    left.element.hidden = isOver;
    eta.show(job, now);
    const unknown = isStill(job.stall?.reason) ? "nothing moves" : "not known yet";
    left.note((soon ? etaNote(job, soon, now) : unknown) ?? "");
    elapsed.name(isOver ? "Took" : "Elapsed");
    elapsed.say(duration(elapsedSeconds(job, now)));
    elapsed.note(job.started_at ? `since ${when(job.started_at, now)}` : "");
    rate.element.hidden = isOver || job.rate_per_second === null;
    rate.say(`${count(job.rate_per_second)} ${job.unit ?? ""}/s`.replace(" /s", "/s"));
    const at = isOver ? job.finished_at : job.last_progress_at;
    moved.name(isOver ? "Ended" : "Last progress");
    moved.say(isOver ? when(at, now) : ago(at, now));
    moved.note(isOver ? "" : (heardText(job, now) ?? when(at, now)), moment(at));
  }
  return { element, show, stop: () => eta.stop() };
}

/** @param {Job} job @param {NonNullable<ReturnType<typeof remaining>>} soon @param {number} now */
function etaNote(job, { low, high, isOverdue }, now) {
  const end = job.eta?.finish_at ? when(job.eta.finish_at, now) : null;
  if (isOverdue) return end ? `it was expected at ${end}` : "";
  return low === null || high === null
    ? end && `at ${end}`
    : `${duration(Math.round(low))} to ${duration(Math.round(high))}`;
}

/** @param {string} name */
function fact(name) {
  const title = el("dt", null, name);
  const value = el("dd", { class: "hero-value" });
  const note = el("dd", { class: "hero-note muted" });
  return {
    element: el("div", { class: "hero-fact" }, title, value, note),
    /** @param {string} text */
    name: (text) => write(title, text),
    /** @param {string} text */
    say: (text) => write(value, text),
    /** @param {string} text @param {string} [whole] */
    note(text, whole = "") {
      write(note, text);
      if (note.title !== whole) note.title = whole;
    },
  };
}
