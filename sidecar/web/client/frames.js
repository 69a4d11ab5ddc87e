/** Runs a function once a frame for as long as it has something to do. */

/**
 * @typedef {import("../smooth.js").AnimationOptions} AnimationOptions
 */

/** A tab that was hidden comes back to this much at once, and not to the hours between. */
const MOST_SECONDS = 1;

export class Frames {
  /** @type {(seconds: number) => boolean} */ #draw;
  /** @type {AnimationOptions["requestAnimationFrame"] | null} */ #requestFrame;
  /** @type {AnimationOptions["cancelAnimationFrame"] | null} */ #cancelFrame;
  /** @type {number | null} */ #request = null;
  /** @type {number | null} */ #drawnAt = null;

  /**
   * @param {(seconds: number) => boolean} draw is told how long ago the last frame was; whether it goes on
   * @param {AnimationOptions} options
   */
  constructor(draw, options) {
    this.#draw = draw;
    const has = typeof globalThis.requestAnimationFrame === "function";
    this.#requestFrame =
      options.requestAnimationFrame ?? (has ? (draw) => requestAnimationFrame(draw) : null);
    this.#cancelFrame =
      options.cancelAnimationFrame ?? (has ? (request) => cancelAnimationFrame(request) : null);
  }

  /** Whether there are frames here. */
  get canMove() {
    return Boolean(this.#requestFrame);
  }

  start() {
    this.#request ??= this.#requestFrame?.((at) => this.#frame(at)) ?? null;
  }

  stop() {
    if (this.#request !== null) this.#cancelFrame?.(this.#request);
    this.#request = null;
    this.#drawnAt = null;
  }

  /** @param {number} at in milliseconds */
  #frame(at) {
    const seconds = this.#drawnAt === null ? 0 : Math.max(0, at - this.#drawnAt) / 1000;
    this.#request = null;
    this.#drawnAt = at;
    if (this.#draw(Math.min(seconds, MOST_SECONDS))) this.start();
    else this.stop();
  }
}

/**
 * Whether the reader has asked for less motion.
 * @param {AnimationOptions} options
 */
export function prefersReducedMotion({ prefersReducedMotion: given }) {
  return given ?? globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;
}
