/** How far the job is: what the page is for. */

import { createFacts } from "./facts.js";
import { createShare } from "./share.js";
import { createStageLine } from "./stage_line.js";
import { isFinished, stallText } from "../page/words.js";
import { el, write } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

const UNNAMED = "something that its worker did not name";
const HEARS = "its worker hears of it when it reports next.";

/** @param {HTMLElement} controls @param {() => number} clock */
export function createHero(controls, clock) {
  const share = createShare("Whole job", { numberClass: "big-number", barClass: "big" });
  const stage = createStageLine();
  const message = el("p", { class: "message" });
  const notices = el("div", { class: "notices" });
  const facts = createFacts(clock);
  const parts = [
    notices,
    el("div", { class: "hero-bar" }, share.number, share.bar),
    stage.element,
    message,
    facts.element,
  ];
  const element = el("section", { class: "panel card hero", "aria-label": "Progress" }, ...parts, controls);
  let isFirst = true;

  /** @param {Job} job @param {number} now */
  function show(job, now) {
    share.show(job);
    stage.show(job, isFirst);
    write(message, job.message);
    message.hidden = !job.message || job.message === job.stage_label; // which stands above it
    showNotices(notices, job);
    facts.show(job, now);
    isFirst = false;
  }
  function stop() {
    share.stop();
    stage.stop();
    facts.stop();
  }
  return { element, show, stop };
}

/** @param {HTMLElement} notices @param {Job} job */
function showNotices(notices, job) {
  const told = noticesOf(job);
  const shown = JSON.stringify(told);
  if (notices.dataset.shown === shown) return;
  notices.dataset.shown = shown;
  const elements = told.map(({ kind, text }) => el("p", { class: "notice", "data-kind": kind }, text));
  notices.replaceChildren(...elements);
}

/** @param {Job} job */
function noticesOf(job) {
  const told = [];
  const isGoing = !isFinished(job.status);
  if (job.stall) told.push({ kind: "stall", text: stallText(job.stall) });
  if (job.status === "blocked")
    told.push({ kind: "blocked", text: `It waits for ${job.blocked_on ?? UNNAMED}.` });
  if (job.status === "queued" && job.stall?.reason !== "not_started")
    told.push({ kind: "queued", text: "Nobody has begun it yet." });
  if (job.cancel_requested && isGoing) told.push({ kind: "wish", text: `It was asked to stop; ${HEARS}` });
  const isPauseUnheard = job.pause_requested && job.status === "running" && !job.cancel_requested;
  if (isPauseUnheard) told.push({ kind: "wish", text: `It was asked to pause; ${HEARS}` });
  return told;
}
