/** One job, as each transport asks for it. */

import { isOver } from "./job_order.js";

/**
 * @typedef {import("./address.js").Address} Address
 * @typedef {import("./requests.js").Requests} Requests
 * @typedef {import("./transport_sse.js").Event} Event
 *
 * @typedef {object} Source what is followed
 * @property {(cursor: string | null, ticket: string | null) => string} eventsUrl
 * @property {object} selection what a WebSocket is asked to watch
 * @property {(signal: AbortSignal, cursor: string | null, waitSeconds: number) => Promise<Event[]>} ask
 *   what is news after a cursor; without one, what is
 * @property {(signal: AbortSignal) => Promise<Event[]>} confirm ask plainly, after a stream was refused:
 *   fails for who
 *   has no right, and tells what is if that is the end
 */

/** @implements {Source} */
export class JobSource {
  /** @type {Address} */ #address;
  /** @type {Requests} */ #requests;
  /** @type {string} */ #jobId;
  /** @type {string} */ #view;

  /**
   * @param {Address} address
   * @param {Requests} requests
   * @param {string} jobId
   * @param {"full" | "brief"} view
   */
  constructor(address, requests, jobId, view) {
    this.#address = address;
    this.#requests = requests;
    this.#jobId = jobId;
    this.#view = view;
  }

  get selection() {
    return { job_id: this.#jobId, view: this.#view };
  }

  /** @param {string | null} cursor @param {string | null} ticket */
  eventsUrl(cursor, ticket) {
    return this.#address.jobEvents(this.#jobId, {
      view: this.#view,
      ping: "event",
      last_event_id: cursor,
      ticket,
    });
  }

  /**
   * @param {AbortSignal} signal
   * @param {string | null} cursor
   * @param {number} waitSeconds
   * @returns {Promise<Event[]>}
   */
  async ask(signal, cursor, waitSeconds) {
    const waiting = cursor === null ? {} : { after: cursor, wait: waitSeconds };
    const url = this.#address.job(this.#jobId, { view: this.#view, ...waiting });
    const { status, body } = await this.#requests.get(url, signal, cursor === null ? 0 : waitSeconds);
    if (status === 204) return [];
    if (status === 404) return [{ name: "unknown", data: { job_id: this.#jobId }, cursor: null }];
    return [eventOf(body)];
  }

  /** @param {AbortSignal} signal */
  confirm(signal) {
    return this.ask(signal, null, 0);
  }
}

/**
 * Return the event that a stream would have sent of a job.
 * @param {any} job
 * @returns {Event}
 */
export function eventOf(job) {
  if (!isOver(job.status)) return { name: "progress", data: job, cursor: job.cursor };
  return { name: "done", data: { job_id: job.job_id, status: job.status, job }, cursor: job.cursor };
}
