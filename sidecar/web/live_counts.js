/** How many jobs there are of each status, to be read and to be pressed. */

import { statusWord } from "./job_words.js";
import { count, el } from "./text.js";

/** What is counted: whatever runs, and what needs somebody's eye. */
export const COUNTED = ["running", "stalled", "queued", "paused", "blocked"];

/** @type {Record<string, string>} */
const TONES = { stalled: "warn", blocked: "warn" };

export class Counts {
  /** @param {HTMLElement} root @param {(status: string) => void} onPress */
  constructor(root, onPress) {
    this.numbers = new Map(COUNTED.map((status) => [status, el("span", { class: "number" }, "0")]));
    this.buttons = new Map(COUNTED.map((status) => [status, this.#button(status, onPress)]));
    root.replaceChildren(...this.buttons.values());
  }

  /** @param {Iterable<import("./progress.js").BriefJob>} jobs */
  show(jobs) {
    const found = new Map(COUNTED.map((status) => [status, 0]));
    for (const { status, stall_reason: reason } of jobs) {
      if (found.has(status)) found.set(status, (found.get(status) ?? 0) + 1);
      if (reason) found.set("stalled", (found.get("stalled") ?? 0) + 1);
    }
    for (const [status, number] of found) this.#write(status, number);
  }

  /** Show which of them the page is narrowed down to. @param {string} status @param {boolean} isStalled */
  press(status, isStalled) {
    for (const [name, button] of this.buttons) {
      button.setAttribute("aria-pressed", String(name === "stalled" ? isStalled : name === status));
    }
  }

  /** @param {string} status @param {(status: string) => void} onPress */
  #button(status, onPress) {
    return el(
      "button",
      { type: "button", "aria-pressed": "false", onclick: () => onPress(status) },
      this.numbers.get(status),
      el("span", { class: "word" }, status === "stalled" ? "Stalled" : statusWord(status)),
    );
  }

  /** @param {string} status @param {number} number */
  #write(status, number) {
    const shown = this.numbers.get(status);
    if (!shown || shown.textContent === count(number)) return;
    shown.textContent = count(number);
    const tone = number > 0 ? TONES[status] : undefined;
    if (tone) this.buttons.get(status)?.setAttribute("data-tone", tone);
    else this.buttons.get(status)?.removeAttribute("data-tone");
  }
}
