/** Whether the sidecar is reached, in words for whoever looks at what it said before. */

import { clock } from "./text.js";

/** A break that is shorter is not worth a line. */
const PATIENCE_MILLISECONDS = 3_000;

const DRAINING =
  "This sidecar is being stopped or restarted. The page goes on by itself at the next one that answers.";

export class Reach {
  /** @type {() => number} */ #now;
  /** @type {(text: string | null) => void} */ #tell;
  /** @type {string} since when nothing gets through */ #brokenAt = "";
  /** @type {string} */ #text = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #doubt;
  #isTold = false;

  /** @param {() => number} now @param {(text: string | null) => void} tell null: there is nothing to tell */
  constructor(now, tell) {
    this.#now = now;
    this.#tell = tell;
  }

  /** @param {boolean} isReached @param {string | null} reason why it is not */
  show(isReached, reason) {
    if (isReached) return this.stop();
    if (this.#doubt === undefined) this.#brokenAt = clock(new Date(this.#now()).toISOString());
    this.#text =
      reason === "draining"
        ? DRAINING
        : `The sidecar has not been reached since ${this.#brokenAt}. This is how it was then.`;
    if (this.#isTold) this.#tell(this.#text);
    this.#doubt ??= setTimeout(() => this.#speak(), PATIENCE_MILLISECONDS);
  }

  /** There is nothing to tell any more. */
  stop() {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
    if (this.#isTold) this.#tell(null);
    this.#isTold = false;
  }

  #speak() {
    this.#isTold = true;
    this.#tell(this.#text);
  }
}
