/** One job as a row: its elements are made once, and after that only what has changed is written. */

import { statusWord } from "../page/words.js";
import {
  NOTHING,
  isShareUnknown,
  messageText,
  movedAt,
  shareText,
  stageText,
  stallWords,
  timeText,
} from "./words.js";
import { ago, el, moment, write } from "../page/text.js";

/** @typedef {import("./words.js").RowJob} RowJob */

/** @type {Record<string, string>} */
const TONES = {
  completed: "good",
  failed: "bad",
  lost: "bad",
  cancelled: "calm",
  paused: "calm",
  queued: "calm",
  blocked: "warn",
};

export class Row {
  /** @type {RowJob} */ #job;
  /** @type {() => number} */ #now;
  /** Whether the browser leaves the row out, as it is far from what is on the screen. */ #isSkipped = false;
  #status = el("span", { class: "status" });
  #link = el("a", { class: "id" });
  #type = el("div", { class: "type cut", role: "cell" });
  #project = el("div", { class: "project cut", role: "cell" });
  #fill = el("div", { class: "fill" });
  #bar;
  #share = el("span", { class: "share" });
  #stall = el("span", { class: "badge", "data-status": "stalled", hidden: true });
  #stage = el("span", { class: "stage" });
  #message = el("span", { class: "message" });
  #time = el("div", { class: "eta number", role: "cell" });
  #moved = el("time");

  /** @param {RowJob} job @param {() => number} now */
  constructor(job, now) {
    this.#job = job;
    this.#now = now;
    this.#link.textContent = job.job_id;
    this.#link.setAttribute("href", `/jobs/${encodeURIComponent(job.job_id)}`);
    const share = { role: "progressbar", "aria-label": job.job_id, "aria-valuemin": 0, "aria-valuemax": 100 };
    this.#bar = el("div", { class: "bar", ...share }, this.#fill);
    this.element = el(
      "div",
      { class: "job", role: "row" },
      el("div", { class: "state", role: "cell" }, this.#status),
      el("div", { class: "name cut", role: "rowheader" }, this.#link),
      this.#type,
      this.#project,
      el("div", { class: "progress", role: "cell" }, this.#bar, this.#share),
      el("div", { class: "doing cut", role: "cell" }, this.#stall, this.#stage, this.#message),
      this.#time,
      el("div", { class: "moved number", role: "cell" }, this.#moved),
    );
    this.element.addEventListener("contentvisibilityautostatechange", (event) =>
      this.#skip(Boolean(/** @type {any} */ (event).skipped)),
    );
    this.show(job);
  }

  /** @param {RowJob} job */
  show(job) {
    this.#job = job;
    write(this.#status, statusWord(job.status));
    set(this.#status, "data-status", job.status);
    write(this.#type, job.job_type);
    write(this.#project, job.project);
    write(this.#stage, stageText(job));
    write(this.#message, messageText(job));
    this.#showStall(job.stall_reason ?? null);
    this.#showShare(job);
    this.#writeTimes(this.#now());
  }

  /** Write what changes as time goes by, where somebody can see it. @param {number} now */
  tick(now) {
    if (this.#isSkipped) return;
    this.#writeTimes(now);
    this.#moved.title = moment(this.#moved.dateTime); // too slow to be done with each update
  }

  /** @param {boolean} isSkipped */
  #skip(isSkipped) {
    this.#isSkipped = isSkipped;
    this.tick(this.#now());
  }

  /** @param {number} now */
  #writeTimes(now) {
    const at = movedAt(this.#job);
    const time = timeText(this.#job, now);
    write(this.#time, time);
    this.#time.toggleAttribute("data-none", time === NOTHING);
    write(this.#moved, ago(at, now));
    if (this.#moved.dateTime !== at) this.#moved.dateTime = at;
  }

  /** @param {string | null} reason */
  #showStall(reason) {
    if (this.#stall.hidden === (reason === null) && reason === null) return;
    this.#stall.hidden = reason === null;
    write(this.#stall, reason === null ? "" : stallWords(reason));
    this.element.toggleAttribute("data-stalled", reason !== null);
  }

  /** @param {RowJob} job */
  #showShare(job) {
    const isUnknown = isShareUnknown(job);
    const text = shareText(job);
    write(this.#share, text);
    this.#bar.classList.toggle("indeterminate", isUnknown && job.status === "running");
    const transform = isUnknown ? "" : `scaleX(${(job.percent ?? 0) / 100})`;
    if (this.#fill.style.transform !== transform) this.#fill.style.transform = transform;
    set(this.#bar, "data-tone", job.stall_reason ? "warn" : (TONES[job.status] ?? null));
    set(this.#bar, "aria-valuenow", isUnknown ? null : String(job.percent ?? 0));
    set(
      this.#bar,
      "aria-valuetext",
      [isUnknown ? "share unknown" : text, statusWord(job.status).toLowerCase()]
        .filter((each) => each !== NOTHING)
        .join(", "),
    );
  }
}

/** @param {Element} element @param {string} name @param {string | null} value */
function set(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}
