/** One job as a row: made once, and after that only what has changed is written. */

import { isFinished, remainingText, statusWord } from "./job_words.js";
import { ago, count, duration, el, moment, percent } from "./text.js";

/** @typedef {import("./progress.js").BriefJob} BriefJob */

/** @type {Record<string, string>} */
const TONES = { completed: "good", failed: "bad", lost: "bad", cancelled: "calm", paused: "calm", blocked: "warn" };

/** What stands above the columns, of jobs that run and of those that have finished. */
export const HEADS = {
  active: ["Status", "Job", "Progress", "Message", "ETA", "Progress made"],
  finished: ["Status", "Job", "Progress", "Message", "Took", "Finished"],
};

export class Row {
  /** @param {BriefJob} job */
  constructor(job) {
    this.status = el("span", { class: "badge" });
    this.stall = el("span", { class: "badge", "data-status": "stalled", hidden: true });
    this.link = el("a", { class: "id", href: `/jobs/${encodeURIComponent(job.job_id)}` }, job.job_id);
    this.kind = el("span", { class: "kind" });
    this.fill = el("div", { class: "fill" });
    this.bar = el(
      "div",
      { class: "bar", role: "progressbar", "aria-label": job.job_id, "aria-valuemin": 0, "aria-valuemax": 100 },
      this.fill,
    );
    this.percent = el("span", { class: "percent" });
    this.stage = el("span", { class: "stage" });
    this.message = el("div", { class: "message", role: "cell" });
    this.eta = el("div", { class: "number", role: "cell", "data-label": "ETA" });
    this.time = el("time");
    this.element = el(
      "div",
      { class: "job", role: "row" },
      el("div", { class: "statuses", role: "cell" }, this.status, this.stall),
      el("div", { class: "name", role: "cell" }, this.link, this.kind),
      el("div", { class: "progress", role: "cell" }, this.bar, this.percent, this.stage),
      this.message,
      this.eta,
      el("div", { class: "number muted", role: "cell" }, this.time),
    );
    this.job = job;
    this.show(job);
  }

  /** @param {BriefJob} job */
  show(job) {
    this.job = job;
    write(this.status, statusWord(job.status));
    set(this.status, "data-status", job.status);
    write(this.kind, job.project === job.job_type ? job.project : `${job.project} · ${job.job_type}`);
    write(this.message, job.message ?? "");
    this.#showStall(job.stall_reason ?? null);
    this.#showShare(job);
    this.tick(Date.now());
  }

  /** Write what changes by itself. @param {number} now */
  tick(now) {
    const { job } = this;
    const at = (isFinished(job.status) ? job.updated_at : (job.last_progress_at ?? job.updated_at)) ?? null;
    write(this.time, ago(at, now));
    if (at && this.time.dateTime !== at) {
      this.time.dateTime = at;
      this.time.title = moment(at);
    }
    set(this.eta, "data-label", isFinished(job.status) ? "Took" : "ETA");
    write(this.eta, isFinished(job.status) ? duration(secondsOf(job)) : etaText(job, now));
  }

  /** @param {string | null} reason */
  #showStall(reason) {
    this.stall.hidden = reason === null;
    write(this.stall, reason === null ? "" : `Stalled: ${reason.replaceAll("_", " ")}`);
    this.element.toggleAttribute("data-stalled", reason !== null);
  }

  /** @param {BriefJob} job */
  #showShare(job) {
    const isOver = isFinished(job.status);
    const isUnknown = !isOver && !job.percent && job.total === null;
    const shown = isUnknown ? "" : percent(job.percent);
    write(this.percent, shown);
    write(this.stage, stageText(job));
    this.bar.classList.toggle("indeterminate", isUnknown && job.status === "running");
    this.fill.style.transform = isUnknown ? "" : `scaleX(${(job.percent ?? 0) / 100})`;
    set(this.bar, "data-tone", job.stall_reason ? "warn" : (TONES[job.status] ?? null));
    set(this.bar, "aria-valuenow", isUnknown ? null : String(job.percent ?? 0));
    set(this.bar, "aria-valuetext", isUnknown ? "share unknown" : shown);
  }
}

/** @param {BriefJob} job what it is at: the stage, and what it has counted there */
function stageText(job) {
  const total = job.total === null ? "" : ` of ${count(job.total)}`;
  const counted = job.current === null ? "" : `${count(job.current)}${total} ${job.unit ?? ""}`.trim();
  return [job.stage_label || job.stage, counted].filter(Boolean).join(" · ");
}

/** @param {BriefJob} job @param {number} now */
function etaText(job, now) {
  if (typeof job.eta_seconds !== "number") return "–";
  const left = job.eta_seconds - (now - Date.parse(job.updated_at)) / 1000;
  return remainingText(Math.max(0, left)).replace("about ", "");
}

/** @param {BriefJob} job */
function secondsOf(job) {
  return (Date.parse(job.updated_at) - Date.parse(job.created_at)) / 1000;
}

/** @param {Node} node @param {string} text */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} element @param {string} name @param {string | null} value */
function set(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}
