/** The top of a job's page: what it is, how far it is, and when it may end. */

import { createBar } from "./job_bar.js";
import { jobLink } from "./job_details.js";
import {
  barText,
  countedText,
  elapsedSeconds,
  isFinished,
  isShareUnknown,
  remaining,
  remainingText,
  stallText,
  statusWord,
  tone,
} from "./job_words.js";
import { smoothEta } from "./smooth.js";
import { ago, count, duration, el, moment, percent, when } from "./text.js";

/** @typedef {import("./progress.js").Job} Job */

/** @param {string} jobId */
export function createTitle(jobId) {
  const status = el("span", { class: "badge", hidden: true });
  const scope = el("p", { class: "scope muted" });
  const element = el("div", { class: "title" }, el("div", { class: "title-name" }, el("h1", null, jobId), scope), status);
  /** @param {Job} job */
  function show(job) {
    status.hidden = false;
    status.dataset.status = job.status;
    status.textContent = statusWord(job.status);
    scope.replaceChildren(...scopeParts(job));
  }
  return { element, show };
}

/** @param {HTMLElement} controls */
export function createHero(controls) {
  const number = el("span", { class: "big-number" });
  const bar = createBar("Whole job", { className: "big", onMove: (position) => (number.textContent = percent(position)) });
  const stage = createStageLine();
  const message = el("p", { class: "message" });
  const notices = el("div", { class: "notices" });
  const facts = createFacts();
  const parts = [notices, el("div", { class: "hero-bar" }, number, bar.element), stage.element, message, facts.element];
  const element = el("section", { class: "panel card hero", "aria-label": "Progress" }, ...parts, controls);
  let isFirst = true;

  /** @param {Job} job @param {number} now */
  function show(job, now) {
    const share = isShareUnknown(job) ? null : job.percent;
    bar.show({ percent: share, text: barText(job), tone: tone(job), isAtOnce: isFirst });
    if (isFirst) number.textContent = percent(job.percent);
    number.hidden = share === null;
    stage.show(job, isFirst);
    message.textContent = job.message ?? "";
    message.hidden = !job.message;
    showNotices(notices, job);
    facts.show(job, now);
    isFirst = false;
  }
  function stop() {
    bar.stop();
    stage.stop();
    facts.stop();
  }
  return { element, show, stop };
}

/** @param {Job} job @returns {(Node | string)[]} */
function scopeParts(job) {
  const parts = [`${job.project} / ${job.job_type}`];
  if (job.attempt > 1) parts.push(`attempt ${job.attempt}`);
  return job.parent_id ? [`${parts.join(" · ")} · part of `, jobLink(job.parent_id)] : [parts.join(" · ")];
}

function createStageLine() {
  const name = el("span", { class: "stage-title" });
  const counted = el("span", { class: "muted" });
  const bar = createBar("Stage", { className: "thin" });
  const element = el("div", { class: "stage-bar" },
    el("p", { class: "stage-bar-line" }, name, " ", counted), bar.element);
  let shown = "";
  /** @param {Job} job @param {boolean} isFirst */
  function show(job, isFirst) {
    const label = job.stage_label ?? job.stage;
    const text = countedText(job) ?? "";
    element.hidden = isFinished(job.status) || (!label && !text);
    name.textContent = label ?? "";
    counted.textContent = text;
    bar.element.hidden = !label;
    bar.element.setAttribute("aria-label", label ? `Stage ${label}` : "Stage");
    const isOther = shown !== `${job.attempt} ${job.stage}`;
    shown = `${job.attempt} ${job.stage}`;
    const share = job.stage_percent === null ? "share unknown" : percent(job.stage_percent);
    const said = text ? `${share}, ${text}` : share;
    bar.show({ percent: job.stage_percent, text: said, tone: tone(job), isAtOnce: isFirst || isOther });
  }
  return { element, show, stop: bar.stop };
}

/** @param {HTMLElement} notices @param {Job} job */
function showNotices(notices, job) {
  const texts = [
    job.stall && ["stall", stallText(job.stall)],
    job.status === "blocked" && ["blocked", `It waits for ${job.blocked_on ?? "something that its worker did not name"}.`],
    job.status === "queued" && ["queued", "Nobody has begun it yet."],
    job.cancel_requested && !isFinished(job.status) && ["wish", "It was asked to stop; its worker hears of it when it reports next."],
    job.pause_requested && job.status === "running" && ["wish", "It was asked to pause; its worker hears of it when it reports next."],
  ].filter(Array.isArray);
  const shown = JSON.stringify(texts);
  if (notices.dataset.shown === shown) return;
  notices.dataset.shown = shown;
  notices.replaceChildren(...texts.map(([kind, text]) => el("p", { class: "notice", "data-kind": kind }, text)));
}

function createFacts() {
  const left = fact("Time left");
  const elapsed = fact("Elapsed");
  const rate = fact("Rate");
  const updated = fact("Last update");
  const eta = smoothEta((seconds) => left.say(seconds === null ? "–" : remainingText(seconds)));
  const element = el("dl", { class: "hero-facts" }, left.element, elapsed.element, rate.element, updated.element);
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    const isOver = isFinished(job.status);
    const soon = remaining(job, now);
    left.element.hidden = isOver;
    eta.moveTo(soon?.seconds ?? null);
    if (!soon) left.say("–");
    left.note(soon ? etaNote(job, soon, now) : "not known yet");
    elapsed.name(isOver ? "Took" : "Elapsed");
    elapsed.say(duration(elapsedSeconds(job, now)));
    elapsed.note(job.started_at ? `since ${when(job.started_at, now)}` : "");
    rate.element.hidden = isOver || job.rate_per_second === null;
    rate.say(`${count(job.rate_per_second)} ${job.unit ?? ""}/s`.replace(" /s", "/s"));
    const at = isOver ? job.finished_at : job.updated_at;
    updated.name(isOver ? "Ended" : "Last update");
    updated.say(isOver ? when(at, now) : ago(at, now));
    updated.note(isOver ? "" : when(at, now), moment(at));
  }
  return { element, show, stop: () => eta.stop() };
}

/** @param {Job} job @param {NonNullable<ReturnType<typeof remaining>>} soon @param {number} now */
function etaNote(job, { low, high }, now) {
  const end = job.eta?.finish_at ? `until ${when(job.eta.finish_at, now)}` : "";
  return low === null || high === null ? end : `${duration(Math.round(low))} to ${duration(Math.round(high))}`;
}

/** @param {string} name */
function fact(name) {
  const title = el("dt", null, name);
  const value = el("dd", { class: "hero-value" });
  const note = el("dd", { class: "hero-note muted" });
  return {
    element: el("div", { class: "hero-fact" }, title, value, note),
    /** @param {string} text */
    name: (text) => (title.textContent = text),
    /** @param {string} text */
    say: (text) => (value.textContent = text),
    /** @param {string} text @param {string} [whole] */
    note(text, whole = "") {
      note.textContent = text;
      note.title = whole;
    },
  };
}
