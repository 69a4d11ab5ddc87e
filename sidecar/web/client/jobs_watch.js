/**
 * What a watcher of many jobs is told: each change once, in the right order, and which jobs are no longer
 * there.
 */

import { notify } from "./environment.js";
import { held, isNewer, isOver } from "./job_order.js";
import { inTurns, whole } from "./source_jobs.js";

/**
 * @typedef {import("../progress.js").BriefJob} BriefJob
 * @typedef {import("../progress.js").Selection} Selection
 * @typedef {import("../progress.js").WatchJobsCallbacks} WatchJobsCallbacks
 * @typedef {import("./follower.js").Status} Status
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {(jobId: string, signal: AbortSignal) => Promise<BriefJob | null>} FindJob
 */

/** Of so many jobs that left is it known how they did, so that the same word of them is no news. */
const MOST_LEFT = 10_000;

export class JobsWatch {
  /** @type {Selection} */ #selection;
  /** @type {WatchJobsCallbacks} */ #callbacks;
  /** @type {FindJob} */ #find;
  /** @type {Map<string, BriefJob>} unfinished ones of the selection */ #jobs = new Map();
  /** @type {Map<string, Pick<BriefJob, "attempt" | "version" | "cursor" | "percent">>} */ #left = new Map();
  /** @type {Set<string> | null} named since a whole state began */ #named = null;
  /** @type {Set<string>} not named by the whole state, and now looked for one by one */ #doubted = new Set();
  /** Whether anything was said yet, and whether all was said once. */
  #hasBegun = false;
  #isWhole = false;
  #closing = new AbortController();
  /** @type {Status | null} */ #status = null;
  #isDegraded = false;

  /**
   * @param {Selection} selection
   * @param {WatchJobsCallbacks} callbacks
   * @param {FindJob} find
   */
  constructor(selection, callbacks, find) {
    this.#selection = selection;
    this.#callbacks = callbacks;
    this.#find = find;
  }

  /** The unfinished jobs of the selection, by id. */
  get jobs() {
    return new Map(this.#jobs);
  }

  get state() {
    return this.#status?.state ?? "connecting";
  }

  close() {
    this.#closing.abort();
  }

  /** What tells another watcher as much as this one knows; if that is not all, the rest is to follow. */
  get told() {
    if (!this.#hasBegun) return [];
    const isSure = (/** @type {string} */ jobId) =>
      !this.#doubted.has(jobId) && this.#named?.has(jobId) !== false;
    const jobs = [...this.#jobs.values()].filter((job) => isSure(job.job_id));
    return [
      whole("connected", { recovered: false }),
      ...(this.#isDegraded ? [whole("degraded", { store: "sql" })] : []),
      ...jobs.map((job) => whole("progress", job)),
      ...(this.#isWhole && !this.#named ? [whole("synced", { cursor: null })] : []),
    ];
  }

  /** @param {Event} event */
  onEvent({ name, data }) {
    if (this.#closing.signal.aborted) return;
    if (name === "connected") this.#begin(data.recovered);
    else if (name === "progress") this.#show(data);
    else if (name === "done") this.#show(data.job);
    else if (name === "gone") this.#lose(data.job_id);
    else if (name === "synced") this.#settle();
    else if (name === "degraded") this.#degrade(data.store === "sql");
  }

  /** @param {Status} status */
  onStatus(status) {
    if (this.#closing.signal.aborted) return;
    this.#status = status;
    const { state, reason, transport, failures } = status;
    notify(this.#callbacks.onState, state, { reason, transport, failures, isDegraded: this.#isDegraded });
  }

  /** @param {boolean} isRecovered false: the whole state follows */
  #begin(isRecovered) {
    this.#hasBegun = true;
    if (!isRecovered) this.#named = new Set();
    this.#degrade(false); // if not, that is said next
  }

  /** @param {BriefJob} job */
  #show(job) {
    this.#named?.add(job.job_id);
    const known = this.#jobs.get(job.job_id) ?? this.#left.get(job.job_id);
    if (!isNewer(known, job)) return;
    const isMatch = this.#wants(job);
    if (!isMatch && !this.#jobs.has(job.job_id)) return;
    const shown = held(known, job);
    this.#keep(shown, isMatch);
    notify(this.#callbacks.onChange, shown, { isMatch });
    if (isOver(shown.status)) notify(this.#callbacks.onDone, shown);
  }

  /** @param {BriefJob} job @param {boolean} isMatch */
  #keep(job, isMatch) {
    this.#jobs.delete(job.job_id);
    this.#left.delete(job.job_id);
    if (isMatch && !isOver(job.status) && job.status !== "lost") this.#jobs.set(job.job_id, job);
    else this.#remember(job);
  }

  /** @param {BriefJob} job */
  #remember({ job_id: jobId, attempt, version, cursor, percent }) {
    this.#left.set(jobId, { attempt, version, cursor, percent });
    const [oldest] = this.#left.keys();
    if (this.#left.size > MOST_LEFT && oldest !== undefined) this.#left.delete(oldest);
  }

  /** @param {string} jobId */
  #lose(jobId) {
    this.#jobs.delete(jobId);
    this.#left.delete(jobId);
    notify(this.#callbacks.onGone, jobId);
  }

  /** The state is complete: what it does not name has finished meanwhile, or is gone. */
  async #settle() {
    const named = this.#named;
    this.#named = null;
    this.#isWhole = true;
    const { signal } = this.#closing;
    if (named) {
      const missing = [...this.#jobs.keys()].filter((jobId) => !named.has(jobId));
      this.#doubted = new Set(missing);
      await inTurns(missing, (jobId) => this.#look(jobId, signal));
      this.#doubted = new Set();
    }
    if (!signal.aborted) notify(this.#callbacks.onSynced, this.jobs, { isRecovered: named === null });
  }

  /** @param {string} jobId @param {AbortSignal} signal */
  async #look(jobId, signal) {
    const before = this.#jobs.get(jobId);
    try {
      const job = await this.#find(jobId, signal);
      if (signal.aborted || this.#jobs.get(jobId) !== before) return; // heard of meanwhile
      if (job) this.#show(job);
      else this.#lose(jobId);
    } catch {
      // Whoever cannot be asked now stays, until the next whole state.
    }
  }

  /** @param {BriefJob} job */
  #wants(job) {
    const { project, jobType, status, jobIds } = this.#selection;
    return (
      (project === "*" || job.project === project) &&
      (!jobType || job.job_type === jobType) &&
      (!status?.length || status.includes(job.status)) &&
      (!jobIds?.length || jobIds.includes(job.job_id))
    );
  }

  /** @param {boolean} isDegraded */
  #degrade(isDegraded) {
    const isNews = this.#isDegraded !== isDegraded;
    this.#isDegraded = isDegraded;
    if (isNews && this.#status) this.onStatus(this.#status);
  }
}
