/** A list of jobs, newest first: its rows stay the same elements, wherever they stand. */

import { Row } from "./live_row.js";
import { el } from "./text.js";

/** @typedef {import("./progress.js").BriefJob} BriefJob */

export class Rows {
  /**
   * @param {HTMLElement} root
   * @param {{ label: string, heads: string[], at: (job: BriefJob) => string, most?: number }} options `at`: the time
   *   that orders them; `most`: how many are kept, the oldest of them leave
   */
  constructor(root, { label, heads: names, at, most = Infinity }) {
    this.at = at;
    this.most = most;
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    const numbers = new Set([4, 5]);
    const heads = names.map((head, n) => el("div", { role: "columnheader", class: numbers.has(n) ? "number" : "" }, head));
    this.body = el("div", { role: "rowgroup" });
    root.setAttribute("role", "table");
    root.setAttribute("aria-label", label);
    root.replaceChildren(el("div", { role: "rowgroup" }, el("div", { class: "heads", role: "row" }, heads)), this.body);
  }

  /** How many are shown. */
  get shown() {
    return Array.from(this.rows.values()).filter((row) => !row.element.hidden).length;
  }

  /** Show a job, in its place if it is new. @param {BriefJob} job @param {boolean} isWanted */
  put(job, isWanted) {
    const known = this.rows.get(job.job_id);
    if (known && this.at(known.job) === this.at(job)) {
      known.show(job);
      known.element.hidden = !isWanted;
      return;
    }
    this.remove(job.job_id);
    const row = new Row(job);
    row.element.hidden = !isWanted;
    this.rows.set(job.job_id, row);
    this.body.insertBefore(row.element, this.#follower(job));
    if (this.rows.size > this.most) this.#dropLast();
  }

  /** @param {string} jobId */
  remove(jobId) {
    this.rows.get(jobId)?.element.remove();
    this.rows.delete(jobId);
  }

  clear() {
    this.rows.clear();
    this.body.replaceChildren();
  }

  /** Hide what is not wanted. @param {(job: BriefJob) => boolean} isWanted */
  filter(isWanted) {
    for (const row of this.rows.values()) row.element.hidden = !isWanted(row.job);
  }

  /** @param {number} now */
  tick(now) {
    for (const row of this.rows.values()) if (!row.element.hidden) row.tick(now);
  }

  /** Return the row before which a job belongs. @param {BriefJob} job */
  #follower(job) {
    const rows = this.body.children;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#timeAt(rows[middle]) > this.at(job)) low = middle + 1;
      else high = middle;
    }
    return rows[low] ?? null;
  }

  /** @param {Element} element */
  #timeAt(element) {
    const row = this.rows.get(element.querySelector(".id")?.textContent ?? "");
    return row ? this.at(row.job) : "";
  }

  #dropLast() {
    const last = this.body.lastElementChild?.querySelector(".id")?.textContent;
    if (last) this.remove(last);
  }
}
