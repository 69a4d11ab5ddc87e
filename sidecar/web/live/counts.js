/** How many jobs there are of each status: numbers to read, and buttons that show only these. */

import { isFinished, statusWord } from "../page/words.js";
import { FINISHED, UNFINISHED } from "./filters.js";
import { count, el, write } from "../page/text.js";

/**
 * @typedef {import("../progress.js").JobStatus} JobStatus
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {JobStatus | "stalled"} Counted
 */

const STALLED = "stalled";

export class Counts {
  /** @type {Map<Counted, { button: HTMLButtonElement, number: HTMLElement }>} */ #chips = new Map();

  /**
   * @param {HTMLElement} root
   * @param {(counted: Counted) => void} onPress
   */
  constructor(root, onPress) {
    root.append(
      this.#group("Now", [STALLED, ...UNFINISHED], onPress),
      this.#group("Finished last", FINISHED, onPress),
    );
  }

  /**
   * @param {ReadonlyMap<string, number>} numbers by status, and of the stalled ones; without a number: 0
   * @param {ReadonlySet<string>} more statuses of which there are more than that
   * @param {{ now: boolean, past: boolean }} isKnown whether it is known what there is
   */
  show(numbers, more, isKnown) {
    for (const [counted, { button, number }] of this.#chips) {
      const known = (isFinished(counted) ? isKnown.past : isKnown.now) ? (numbers.get(counted) ?? 0) : null;
      const text = count(known) + (more.has(counted) ? "+" : "");
      if (number.textContent === text) continue;
      write(number, text);
      button.title = more.has(counted) ? `There are more than the last ${count(numbers.get(counted))}` : "";
      button.toggleAttribute("data-none", !known);
    }
  }

  /** Show which ones the page is narrowed down to. @param {Filters} filters */
  press({ statuses, isStalled }) {
    for (const [counted, { button }] of this.#chips) {
      const isPressed = counted === STALLED ? isStalled : statuses.includes(counted);
      button.setAttribute("aria-pressed", String(isPressed));
    }
  }

  /** @param {string} name @param {readonly Counted[]} all @param {(counted: Counted) => void} onPress */
  #group(name, all, onPress) {
    const chips = all.map((counted) => this.#chip(counted, onPress));
    return el(
      "div",
      { class: "count-group", role: "group", "aria-label": name },
      el("span", { class: "count-caption", "aria-hidden": "true" }, name),
      chips,
    );
  }

  /** @param {Counted} counted @param {(counted: Counted) => void} onPress */
  #chip(counted, onPress) {
    const number = el("span", { class: "number" }, count(null));
    const word = counted === STALLED ? "Stalled" : statusWord(counted);
    const button = el(
      "button",
      {
        type: "button",
        class: "count status",
        "data-status": counted,
        "data-none": true,
        "aria-pressed": "false",
      },
      word,
      " ",
      number,
    );
    button.addEventListener("click", () => onPress(counted));
    this.#chips.set(counted, { button, number });
    return button;
  }
}

/**
 * Count jobs by status, and the stalled ones.
 * @param {Iterable<import("../progress.js").BriefJob>} jobs
 */
export function counted(jobs) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  for (const { status, stall_reason: reason } of jobs) {
    numbers.set(status, (numbers.get(status) ?? 0) + 1);
    if (reason) numbers.set(STALLED, (numbers.get(STALLED) ?? 0) + 1);
  }
  return numbers;
}
