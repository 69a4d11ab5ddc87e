/** Many jobs, as each transport asks for them. */

import { eventOf } from "./source_job.js";

/**
 * @typedef {import("./address.js").Address} Address
 * @typedef {import("./requests.js").Requests} Requests
 * @typedef {import("./source_job.js").Source} Source
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {import("../progress.js").Selection} Selection
 */

const PAGE_JOBS = 1000;
const MOST_PAGES = 20;
const AT_ONCE = 8;
/** Changes this old are asked for again: they may have become visible late. */
const OVERLAP_MILLISECONDS = 2000;

/** @implements {Source} */
export class JobsSource {
  /** @type {Address} */ #address;
  /** @type {Requests} */ #requests;
  /** @type {Selection} */ #wanted;
  /** @type {import("../progress.js").Clock} */ #clock;
  /** @type {number} */ #fullPollSeconds;
  /** Up to when changes were asked for; 0: not at all. */
  #since = 0;
  #fullAt = -Infinity;

  /**
   * @param {import("./streams.js").Connection} connection
   * @param {Selection} wanted
   */
  constructor({ environment, address, requests }, wanted) {
    this.#address = address;
    this.#requests = requests;
    this.#wanted = wanted;
    this.#clock = environment.clock;
    this.#fullPollSeconds = environment.timings.fullPollSeconds;
  }

  get selection() {
    const { project, jobType, status, jobIds, view } = this.#wanted;
    return {
      project,
      ...(jobType && { job_type: jobType }),
      ...(status?.length && { status: [...status].sort() }),
      ...(jobIds?.length && { job_ids: [...jobIds].sort() }),
      view: view ?? "brief",
    };
  }

  /** @param {string | null} cursor @param {string | null} ticket */
  eventsUrl(cursor, ticket) {
    const { project, jobType, status, jobIds, view } = this.#wanted;
    return this.#address.events({
      project,
      job_type: jobType,
      status: status?.join(",") || null,
      job_id: jobIds?.join(",") || null,
      view: view ?? "brief",
      ping: "event",
      last_event_id: cursor,
      ticket,
    });
  }

  /** @param {AbortSignal} signal @returns {Promise<Event[]>} */
  async confirm(signal) {
    await this.#requests.get(this.#address.jobs({ ...this.#filter(), limit: 1 }), signal);
    return [];
  }

  /**
   * The whole state at first and now and then, in between what has changed; deletions show in the whole
   * state.
   * @param {AbortSignal} signal
   * @returns {Promise<Event[]>}
   */
  async ask(signal) {
    const now = this.#clock.now() / 1000;
    const isFull = this.#since === 0 || now - this.#fullAt >= this.#fullPollSeconds || this.#hasIds;
    const jobs = await (this.#hasIds ? this.#named(signal) : this.#pages(signal, isFull));
    this.#since = Math.max(this.#since, ...jobs.map((job) => Date.parse(job.updated_at)));
    const events = jobs.map((job) => ({ ...eventOf(job), cursor: null }));
    if (!isFull) return events;
    this.#fullAt = now;
    return [whole("connected", { recovered: false }), ...events, whole("synced", { cursor: null })];
  }

  /**
   * Return the newest job, null if there is none; unlike what a stream begins with, it may have ended.
   * @param {AbortSignal} signal
   * @returns {Promise<any>}
   */
  async newest(signal) {
    const { body } = await this.#requests.get(this.#address.jobs({ ...this.#filter(), limit: 1 }), signal);
    return body.jobs[0] ?? null;
  }

  /**
   * Return one job as it is, null if there is none.
   * @param {string} jobId
   * @param {AbortSignal} signal
   * @returns {Promise<any>}
   */
  async job(jobId, signal) {
    const url = this.#address.job(jobId, { view: this.#wanted.view ?? "brief" });
    return (await this.#requests.get(url, signal)).body;
  }

  get #hasIds() {
    return (this.#wanted.jobIds?.length ?? 0) > 0;
  }

  #filter() {
    const { project, jobType, view } = this.#wanted;
    return { project: project === "*" ? null : project, job_type: jobType, view: view ?? "brief" };
  }

  /** @param {AbortSignal} signal */
  async #named(signal) {
    const jobs = await inTurns(this.#wanted.jobIds ?? [], (jobId) => this.job(jobId, signal));
    return jobs.filter((job) => job !== null);
  }

  /** @param {AbortSignal} signal @param {boolean} isFull */
  async #pages(signal, isFull) {
    const since = new Date(this.#since - OVERLAP_MILLISECONDS).toISOString();
    const part = isFull ? { active: true } : { updated_since: since, order: "updated_at" };
    const jobs = [];
    let page = null;
    for (let count = 0; count < MOST_PAGES; count++) {
      const query = { ...this.#filter(), ...part, limit: PAGE_JOBS, page };
      const { body } = await this.#requests.get(this.#address.jobs(query), signal);
      jobs.push(...body.jobs);
      page = body.next;
      if (page === null) break;
    }
    return jobs;
  }
}

/**
 * Ask for each of many, a few at a time.
 * @template Key, Found
 * @param {readonly Key[]} keys
 * @param {(key: Key) => Promise<Found>} find
 * @returns {Promise<Found[]>}
 */
export async function inTurns(keys, find) {
  const found = [];
  for (let start = 0; start < keys.length; start += AT_ONCE) {
    found.push(...(await Promise.all(keys.slice(start, start + AT_ONCE).map(find))));
  }
  return found;
}

/**
 * Return what is said of all jobs, or of one without its place.
 * @param {string} name
 * @param {object} data
 * @returns {Event}
 */
export function whole(name, data) {
  return { name, data, cursor: null };
}
