/** A list of jobs, newest first. A job keeps its elements for as long as it is in the list. */

import { Row } from "./row.js";
import { el } from "../page/text.js";

/**
 * @typedef {import("./words.js").RowJob} RowJob
 *
 * @typedef {object} Entry
 * @property {RowJob} job
 * @property {string} at what orders it
 * @property {Row | null} row null: it was never shown
 * @property {boolean} isStale whether the row does not show the job as it is
 *
 * @typedef {object} RowsOptions
 * @property {string} label
 * @property {readonly string[]} heads
 * @property {(job: RowJob) => string} at the time that orders jobs
 * @property {number} mostShown the newest that are wanted
 * @property {() => number} now
 * @property {number} [mostOfStatus] kept of any status; older ones are forgotten
 */

export class Rows {
  /** @type {RowsOptions} */ #options;
  /** @type {HTMLElement} */ #body = el("div", { role: "rowgroup" });
  /** @type {Map<string, Entry>} */ #entries = new Map();
  /** @type {Entry[]} newest first */ #order = [];
  /** @type {Set<Entry>} */ #shown = new Set();
  /** @type {(job: RowJob) => boolean} */ #isWanted = () => true;
  #wanted = 0;
  /** @type {Set<string>} statuses of which older jobs were forgotten */ #forgotten = new Set();
  /** Whether other rows are to be shown than are. */
  #isMoved = false;

  /**
   * @param {HTMLElement} root
   * @param {RowsOptions} options
   */
  constructor(root, options) {
    this.#options = options;
    const heads = options.heads.map((head) => el("div", { role: "columnheader" }, head));
    root.setAttribute("role", "table");
    root.setAttribute("aria-label", options.label);
    root.replaceChildren(
      el(
        "div",
        { role: "rowgroup", class: "heads-group" },
        el("div", { class: "heads", role: "row" }, heads),
      ),
      this.#body,
    );
  }

  /** How many jobs are here, how many of them are wanted, and how many of those are shown. */
  get sizes() {
    return { all: this.#entries.size, wanted: this.#wanted, shown: this.#shown.size };
  }

  /** @returns {IterableIterator<RowJob>} newest first */
  *jobs() {
    for (const { job } of this.#order) yield job;
  }

  /** The statuses of which there were more jobs than are kept. @returns {ReadonlySet<string>} */
  get forgotten() {
    return this.#forgotten;
  }

  /** @param {string} jobId */
  job(jobId) {
    return this.#entries.get(jobId)?.job ?? null;
  }

  /** The jobs that are shown, in their order. */
  get ids() {
    return Array.from(this.#shown, ({ job }) => job.job_id);
  }

  /** Take in a job, or its new state. @param {RowJob} job */
  put(job) {
    const known = this.#entries.get(job.job_id);
    if (known && known.at === this.#options.at(job)) {
      if (this.#isWanted(known.job) !== this.#isWanted(job)) this.#isMoved = true;
      known.job = job;
      known.isStale = true;
      return;
    }
    if (known) this.#take(known);
    this.#insert({ job, at: this.#options.at(job), row: known?.row ?? null, isStale: true });
    this.#forgetOldest(job.status);
  }

  /** @param {string} jobId */
  remove(jobId) {
    const known = this.#entries.get(jobId);
    if (known) this.#take(known);
  }

  clear() {
    this.#entries.clear();
    this.#order = [];
    this.#forgotten.clear();
    this.#isMoved = true;
  }

  /** @param {(job: RowJob) => boolean} isWanted */
  filter(isWanted) {
    this.#isWanted = isWanted;
    this.#isMoved = true;
  }

  /** Write what has changed since the last time. */
  draw() {
    if (this.#isMoved) this.#place();
    for (const entry of this.#shown) {
      if (!entry.isStale) continue;
      entry.isStale = false;
      entry.row?.show(entry.job);
    }
  }

  /** @param {number} now */
  tick(now) {
    for (const { row } of this.#shown) row?.tick(now);
  }

  /** Show what is wanted: rows that stay are not touched. */
  #place() {
    this.#isMoved = false;
    const wanted = this.#order.filter(({ job }) => this.#isWanted(job));
    const shown = new Set(wanted.slice(0, this.#options.mostShown));
    for (const entry of this.#shown) if (!shown.has(entry)) entry.row?.element.remove();
    let next = this.#body.firstElementChild;
    for (const entry of shown) {
      const { element } = this.#rowOf(entry);
      if (element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(element, next);
    }
    this.#shown = shown;
    this.#wanted = wanted.length;
  }

  /** @param {Entry} entry */
  #rowOf(entry) {
    if (entry.row) return entry.row;
    entry.isStale = false;
    return (entry.row = new Row(entry.job, this.#options.now));
  }

  /** @param {Entry} entry */
  #insert(entry) {
    this.#entries.set(entry.job.job_id, entry);
    this.#order.splice(this.#placeOf(entry), 0, entry);
    this.#isMoved = true;
  }

  /** @param {Entry} entry */
  #take(entry) {
    this.#entries.delete(entry.job.job_id);
    this.#order.splice(this.#order.indexOf(entry), 1);
    this.#isMoved = true;
  }

  /** Return how many entries are newer. @param {Entry} entry */
  #placeOf(entry) {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.#order[middle], entry)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {string} status */
  #forgetOldest(status) {
    const { mostOfStatus = Infinity } = this.#options;
    if (mostOfStatus === Infinity) return;
    const same = this.#order.filter(({ job }) => job.status === status);
    for (const entry of same.slice(mostOfStatus)) {
      this.#take(entry);
      this.#forgotten.add(status);
    }
  }
}

/** @param {Entry} one @param {Entry} other */
function isBefore(one, other) {
  return one.at === other.at ? one.job.job_id < other.job.job_id : one.at > other.at;
}
