/** Time, as an argument: what reads it or waits takes a clock, so that tests need not wait. */

/**
 * @typedef {import("../progress.js").Clock} Clock
 */

/** @type {Clock} */
export const systemClock = {
  now: () => performance.now(),
  setTimeout: (callback, milliseconds) => globalThis.setTimeout(callback, milliseconds),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
};

/** One thing to be done later; starting it anew replaces what it waited for. */
export class Timer {
  /** @type {Clock} */ #clock;
  /** @type {any} */ #timer = null;

  /** @param {Clock} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  get isRunning() {
    return this.#timer !== null;
  }

  /**
   * @param {number} seconds not finite: never
   * @param {() => void} callback
   */
  start(seconds, callback) {
    this.stop();
    if (!Number.isFinite(seconds)) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = null;
      callback();
    }, seconds * 1000);
  }

  stop() {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
