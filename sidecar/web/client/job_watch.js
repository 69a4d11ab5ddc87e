/** What one watcher of one job is told: nothing older than what it knows, no lower percent, each end once. */

import { notify } from "./environment.js";
import { held, isNewer, isOver } from "./job_order.js";
import { eventOf } from "./source_job.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {import("../progress.js").WatchCallbacks} WatchCallbacks
 * @typedef {import("./follower.js").Status} Status
 * @typedef {import("./transport_sse.js").Event} Event
 *
 * @typedef {object} Following
 * @property {() => void} start
 * @property {() => void} stop
 * @property {(reason: string) => void} end
 */

export class JobWatch {
  /** @type {WatchCallbacks} */ #callbacks;
  /** @type {import("./environment.js").Environment} */ #environment;
  /** @type {string} */ #jobId;
  /** @type {(reason: string | null) => void} */ #onEnded;
  /** @type {Following | null} */ #following = null;
  /** @type {Job | null} */ #job;
  /** The attempt whose end has been told. */
  #endedAttempt;
  /** @type {number | null} since when nobody knows the job */ #unknownAt = null;
  /** @type {Status | null} */ #status = null;
  #isDegraded = false;
  #isClosed = false;

  /**
   * @param {import("./environment.js").Environment} environment
   * @param {string} jobId
   * @param {WatchCallbacks} callbacks
   * @param {Job | null} known how the attempt before has ended, if one was watched
   * @param {(reason: string | null) => void} onEnded when nothing will follow of this attempt
   */
  constructor(environment, jobId, callbacks, known, onEnded) {
    this.#environment = environment;
    this.#jobId = jobId;
    this.#callbacks = callbacks;
    this.#job = known;
    this.#endedAttempt = known?.attempt ?? 0;
    this.#onEnded = onEnded;
  }

  /** The newest state, null before there is one. */
  get job() {
    return this.#job;
  }

  get state() {
    return this.#status?.state ?? "connecting";
  }

  /** What tells another watcher as much as this one knows. @returns {Event[]} */
  get told() {
    const store = this.#isDegraded ? [{ name: "degraded", data: { store: "sql" }, cursor: null }] : [];
    const isOfBefore = !this.#job || (isOver(this.#job.status) && this.#job.attempt === this.#endedAttempt);
    return this.#job && !isOfBefore ? [...store, eventOf(this.#job)] : store;
  }

  /** @param {Following} following */
  start(following) {
    this.#following = following;
    queueMicrotask(() => this.#isClosed || following.start()); // no callback before the caller has its handle
  }

  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#following?.stop();
  }

  /** @param {Event} event */
  onEvent({ name, data }) {
    if (this.#isClosed) return;
    if (name !== "unknown" && name !== "ping") this.#unknownAt = null;
    if (name === "progress") this.#show(data);
    else if (name === "done") this.#finish(data.job);
    else if (name === "gone") this.#lose();
    else if (name === "unknown") this.#doubt();
    else if (name === "degraded") this.#degrade(data.store === "sql");
    else if (name === "connected") this.#degrade(false); // if not, that is said next
  }

  /** @param {Status} status */
  onStatus(status) {
    if (this.#isClosed) return;
    this.#status = status;
    if (status.state === "ended") {
      this.#isClosed = true;
      this.#onEnded(status.reason);
    }
    const { state, reason, transport, failures } = status;
    notify(this.#callbacks.onState, state, { reason, transport, failures, isDegraded: this.#isDegraded });
  }

  /** @param {Job} job */
  #show(job) {
    if (!isNewer(this.#job, job)) return;
    this.#job = held(this.#job, job);
    notify(this.#callbacks.onProgress, this.#job);
  }

  /** @param {Job} job */
  #finish(job) {
    this.#show(job);
    if (this.#isClosed) return; // by who was just told
    if (!this.#job || !isOver(this.#job.status)) return; // the next attempt has been heard of already
    if (this.#job.attempt > this.#endedAttempt) notify(this.#callbacks.onDone, this.#job);
    this.#end("done");
  }

  #lose() {
    notify(this.#callbacks.onGone, this.#jobId);
    this.#end("gone");
  }

  /** A job that was there is gone; one that was not may have yet to come. */
  #doubt() {
    const { clock, timings } = this.#environment;
    this.#unknownAt ??= clock.now();
    if (this.#job || (clock.now() - this.#unknownAt) / 1000 >= timings.unknownSeconds) this.#lose();
  }

  /** @param {boolean} isDegraded */
  #degrade(isDegraded) {
    const isNews = this.#isDegraded !== isDegraded;
    this.#isDegraded = isDegraded;
    if (isNews && this.#status) this.onStatus(this.#status);
  }

  /** @param {string} reason */
  #end(reason) {
    if (!this.#isClosed) this.#following?.end(reason);
  }
}
