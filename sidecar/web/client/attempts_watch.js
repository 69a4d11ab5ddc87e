/** After an attempt has ended: asks now and then, and more and more rarely, whether another one has begun. */

import { Timer } from "./clock.js";
import { isOver } from "./job_order.js";

/**
 * @typedef {import("./environment.js").Environment} Environment
 * @typedef {import("./source_job.js").Source} Source
 * @typedef {import("../progress.js").BriefJob} BriefJob
 *
 * @typedef {object} AttemptsListener
 * @property {() => void} onAttempt another one has begun
 * @property {() => void} onGone the job was deleted
 */

/** By how much the next question comes later than the last one, and how much later at most. */
const SLOWER = 1.5;
const MOST_TIMES = 4;

export class AttemptsWatch {
  /** @type {Environment} */ #environment;
  /** @type {Source} */ #source;
  /** @type {AttemptsListener} */ #listener;
  /** @type {Timer} */ #timer;
  /** @type {Pick<BriefJob, "attempt" | "cursor">} */ #known;
  #stopping = new AbortController();
  #isAsking = false;
  #seconds;

  /**
   * @param {Environment} environment
   * @param {Source} source of the job
   * @param {Pick<BriefJob, "attempt" | "cursor">} known the attempt that has ended
   * @param {AttemptsListener} listener
   */
  constructor(environment, source, known, listener) {
    this.#environment = environment;
    this.#source = source;
    this.#known = known;
    this.#listener = listener;
    this.#timer = new Timer(environment.clock);
    this.#seconds = environment.timings.attemptSeconds;
  }

  start() {
    this.#environment.page?.addEventListener("visibilitychange", this.#turn);
    this.#wait();
  }

  stop() {
    this.#environment.page?.removeEventListener("visibilitychange", this.#turn);
    this.#stopping.abort();
    this.#timer.stop();
  }

  /** Whoever looks at the page again wants to know now. */
  #turn = () => {
    if (!this.#isHidden && !this.#timer.isRunning && !this.#isAsking) void this.#ask();
  };

  /** Whether nobody looks at the page. */
  get #isHidden() {
    return /** @type {any} */ (this.#environment.page)?.document?.hidden === true;
  }

  #wait() {
    this.#timer.start(this.#seconds, () => this.#isHidden || void this.#ask());
    this.#seconds = Math.min(this.#seconds * SLOWER, this.#environment.timings.attemptSeconds * MOST_TIMES);
  }

  async #ask() {
    const { signal } = this.#stopping;
    this.#isAsking = true;
    const events = await this.#source.ask(signal, this.#known.cursor, 0).catch(() => []);
    this.#isAsking = false;
    if (signal.aborted) return;
    for (const { name, data } of events) {
      if (name === "unknown") return this.#end(this.#listener.onGone);
      const job = name === "done" ? data.job : data;
      if (job.attempt > this.#known.attempt || !isOver(job.status))
        return this.#end(this.#listener.onAttempt);
      this.#known = job;
    }
    this.#wait();
  }

  /** @param {() => void} tell */
  #end(tell) {
    this.stop();
    tell();
  }
}
