/** A job in a few lines: what `<progress-job>` shows. */

import { createAnnouncer } from "./announcer.js";
import { createBar } from "./bar.js";
import { endSentence } from "./end.js";
import { errorBlock } from "./error.js";
import { createEta } from "./eta.js";
import {
  barText,
  connectionWord,
  countedText,
  isFinished,
  isShareUnknown,
  stallText,
  statusWord,
  tone,
} from "../page/words.js";
import { el, percent } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

/**
 * @param {{ name: string, clock: () => number, onClose: (() => void) | null }} options null: there is nothing to
 * close
 */
export function createCard({ name, clock, onClose }) {
  const status = el("span", { class: "badge" }, connectionWord("connecting"));
  const connection = el("span", { class: "small muted", hidden: true });
  const closing = { type: "button", class: "close", "aria-label": "Close", onclick: onClose };
  const close = onClose && el("button", closing, "×");
  const head = el(
    "div",
    { class: "head" },
    el("h2", { class: "name", title: name }, name),
    connection,
    status,
    close,
  );
  const body = createBody(name, clock);
  const announcer = createAnnouncer();
  const element = el("div", { class: "card" }, head, body.element, announcer.element);
  return {
    element,
    /** @param {Job} job @param {number} now */
    show(job, now) {
      status.dataset.status = job.status;
      status.textContent = statusWord(job.status);
      body.show(job, now);
      announcer.show(job);
    },
    /** @param {import("../progress.js").State} state */
    connected(state) {
      connection.hidden = state !== "reconnecting" && state !== "polling";
      connection.textContent = connectionWord(state);
    },
    /** Instead of the job. @param {string} text */
    say(text) {
      status.hidden = true;
      body.element.replaceChildren(el("p", { class: "muted" }, text));
    },
    leave: () => element.classList.add("leaving"),
    stop: body.stop,
  };
}

/** @param {string} name @param {() => number} clock */
function createBody(name, clock) {
  const number = el("span", { class: "number" });
  const bar = createBar(name, { onMove: (position) => (number.textContent = percent(position)) });
  const left = el("span", { class: "muted" });
  const eta = createEta(clock, (text) => (left.textContent = text?.startsWith("about") ? `${text} left` : text));
  const numbers = el("div", { class: "line" }, number, left);
  const rest = el("div");
  const element = el("div", { class: "card-body" }, numbers, bar.element, rest);
  let isFirst = true;
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    const share = isShareUnknown(job) ? null : job.percent;
    bar.show({ percent: share, text: barText(job), tone: tone(job), isAtOnce: isFirst });
    if (isFirst) number.textContent = percent(job.percent);
    number.hidden = share === null;
    eta.show(job, now);
    rest.replaceChildren(...(isFinished(job.status) ? ended(job) : going(job)));
    isFirst = false;
  }
  function stop() {
    bar.stop();
    eta.stop();
  }
  return { element, show, stop };
}

/** @param {Job} job */
function going(job) {
  const stage = job.stage_label ?? job.stage;
  const counted = countedText(job);
  const isLine = stage || counted;
  return [
    isLine &&
      el(
        "p",
        { class: "line small" },
        el("span", null, stage ?? ""),
        el("span", { class: "muted" }, counted),
      ),
    job.message && el("p", { class: "small muted" }, job.message),
    job.stall && el("p", { class: "notice small" }, stallText(job.stall)),
    job.status === "blocked" &&
      job.blocked_on &&
      el("p", { class: "notice small" }, `Waits for ${job.blocked_on}`),
  ].filter((each) => each instanceof HTMLElement);
}

/** @param {Job} job */
function ended(job) {
  const sentence = el("p", { class: "end", "data-status": job.status }, endSentence(job));
  return job.status === "failed" && job.error ? [errorBlock(job.error, false), sentence] : [sentence];
}
