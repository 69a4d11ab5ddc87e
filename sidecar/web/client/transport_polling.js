/** Asking again and again, where nothing else gets through. */

import { Timer } from "./clock.js";

/**
 * @typedef {import("./clock.js").Clock} Clock
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {(signal: AbortSignal, waitSeconds: number) => Promise<Event[]>} Ask
 *
 * @typedef {object} PollListener
 * @property {(events: Event[]) => void} onAnswer
 * @property {(error: any) => void} onFailure
 */

/** The least between an answer and the next question. */
const PAUSE_SECONDS = 0.05;

export class Polling {
  /** @type {Clock} */ #clock;
  /** @type {Ask} */ #ask;
  /** @type {PollListener} */ #listener;
  /** @type {Timer} */ #next;
  /** @type {AbortController | null} */ #running = null;
  #intervalSeconds = 0;

  /**
   * @param {Clock} clock
   * @param {Ask} ask
   * @param {PollListener} listener
   */
  constructor(clock, ask, listener) {
    this.#clock = clock;
    this.#ask = ask;
    this.#listener = listener;
    this.#next = new Timer(clock);
  }

  get isRunning() {
    return this.#running !== null;
  }

  /**
   * Ask now, and from then on once in so many seconds; each question waits that long at the server for news.
   * @param {number} intervalSeconds
   */
  start(intervalSeconds) {
    this.#intervalSeconds = intervalSeconds;
    if (this.isRunning) return;
    this.#running = new AbortController();
    this.#once(this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
    this.#next.stop();
  }

  /** @param {AbortSignal} signal */
  async #once(signal) {
    const startedAt = this.#clock.now();
    let leastSeconds = PAUSE_SECONDS;
    try {
      const events = await this.#ask(signal, this.#intervalSeconds);
      if (!signal.aborted) this.#listener.onAnswer(events);
    } catch (error) {
      if (!signal.aborted) this.#listener.onFailure(error);
      leastSeconds = /** @type {any} */ (error)?.retrySeconds || leastSeconds;
    }
    if (signal.aborted) return;
    const tookSeconds = (this.#clock.now() - startedAt) / 1000;
    this.#next.start(Math.max(leastSeconds, this.#intervalSeconds - tookSeconds), () => this.#once(signal));
  }
}
