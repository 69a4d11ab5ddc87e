/** A job in a few lines: what `<progress-job>` shows. */

import { createAnnouncer } from "./announcer.js";
import { endSentence } from "./end.js";
import { errorBlock } from "./error.js";
import { createEta } from "./eta.js";
import { createShare } from "./share.js";
import { connectionWord, countedText, isFinished, stallText, statusWord } from "../page/words.js";
import { el, write } from "../page/text.js";

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
      write(status, statusWord(job.status));
      body.show(job, now);
      announcer.show(job);
    },
    /** @param {import("../progress.js").State} state */
    connected(state) {
      connection.hidden = state !== "reconnecting" && state !== "polling";
      write(connection, connectionWord(state));
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
  const share = createShare(name, { numberClass: "number" });
  const left = el("span", { class: "muted" });
  const eta = createEta(clock, (text) => write(left, text?.startsWith("about") ? `${text} left` : text));
  const numbers = el("div", { class: "line" }, share.number, left);
  const [going, ended] = [createGoing(), createEnded()];
  const element = el("div", { class: "card-body" }, numbers, share.bar, going.element, ended.element);
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    share.show(job);
    eta.show(job, now);
    const isOver = isFinished(job.status);
    if (isOver) ended.show(job);
    else going.show(job);
    ended.element.hidden = !isOver;
    if (isOver) going.element.hidden = true;
  }
  function stop() {
    share.stop();
    eta.stop();
  }
  return { element, show, stop };
}

/** What it does: each line is made once, so that a reader can select it and copy. */
function createGoing() {
  const stage = el("span");
  const counted = el("span", { class: "muted" });
  const line = el("p", { class: "line small" }, stage, counted);
  const message = el("p", { class: "small muted" });
  const stall = el("p", { class: "notice small" });
  const blocked = el("p", { class: "notice small" });
  const element = el("div", { class: "lines" }, line, message, stall, blocked);
  /** @param {Job} job */
  function show(job) {
    write(stage, job.stage_label ?? job.stage);
    write(counted, countedText(job));
    write(message, job.message);
    write(stall, job.stall && stallText(job.stall));
    write(blocked, job.status === "blocked" && job.blocked_on ? `Waits for ${job.blocked_on}` : "");
    for (const each of [line, message, stall, blocked]) each.hidden = each.textContent === "";
    element.hidden = [line, message, stall, blocked].every((each) => each.hidden);
  }
  return { element, show };
}

/** How it ended. */
function createEnded() {
  const element = el("div", { class: "lines" });
  let shown = "";
  /** @param {Job} job */
  function show(job) {
    const version = `${job.attempt} ${job.version}`;
    if (shown === version) return;
    shown = version;
    const sentence = el("p", { class: "end", "data-status": job.status }, endSentence(job));
    const error = job.status === "failed" && job.error ? [errorBlock(job.error, false)] : [];
    element.replaceChildren(sentence, ...error);
  }
  return { element, show };
}
