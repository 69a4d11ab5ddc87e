/** Tells a screen reader how jobs end and which ones stall: not more than a sentence in some seconds. */

import { el } from "./text.js";

const PAUSE_MILLISECONDS = 4_000;
const MOST_KEPT = 20;

export class Announcer {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {string[]} */
    this.waiting = [];
    this.isPausing = false;
  }

  /** @param {string} sentence */
  say(sentence) {
    this.waiting.push(sentence);
    if (!this.isPausing) this.#flush();
  }

  #flush() {
    const [first, ...others] = this.waiting;
    this.waiting = [];
    this.isPausing = first !== undefined;
    if (!this.isPausing) return;
    const text = others.length ? `${first} And ${others.length} more.` : first;
    this.root.append(el("p", null, text));
    while (this.root.childElementCount > MOST_KEPT) this.root.firstElementChild?.remove();
    setTimeout(() => this.#flush(), PAUSE_MILLISECONDS);
  }
}
