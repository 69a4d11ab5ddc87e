/** What happened to a job, newest first, by type. */

import { storyText, typeWord } from "./story.js";
import { el, moment, when } from "../page/text.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {import("./story.js").TimelineEvent} TimelineEvent
 */

const CHUNK = 50;
/** Samples are what the line shows; in the list they would hide the rest. */
const HIDDEN_AT_FIRST = new Set(["progress"]);
const MOST_SHOWN_CHARACTERS = 240;

export class Timeline {
  /** @type {TimelineEvent[]} oldest first */ #events = [];
  /** @type {Map<string, { button: HTMLButtonElement, number: HTMLElement, count: number }>} */ #types =
    new Map();
  /** @type {Job["stages"]} */ #stages = [];
  #most = CHUNK;

  #chips = el("div", { class: "chips", role: "group", "aria-label": "Show by type" });
  #list = el("ol", { class: "timeline", reversed: true });
  #empty = el("p", { class: "muted" }, "Nothing to show yet.");
  #trouble = el(
    "p",
    { class: "muted", hidden: true },
    "The timeline cannot be read at the moment. Trying again …",
  );
  #older = el("button", { type: "button", onclick: () => this.#showOlder() }, "Show older");
  #more;
  /** @type {() => number} */ #clock;

  /** @param {() => number} clock @param {() => void} onMore reads on */
  constructor(clock, onMore) {
    this.#clock = clock;
    this.#more = el("button", { type: "button", hidden: true, onclick: onMore }, "Load later events");
    this.element = el(
      "section",
      { class: "panel card", "aria-labelledby": "timeline-title" },
      el("h2", { id: "timeline-title" }, "Timeline"),
      this.#chips,
      this.#trouble,
      this.#more,
      this.#list,
      this.#empty,
      this.#older,
    );
    this.#showButtons();
  }

  /** @param {Job["stages"]} stages what stages are called */
  name(stages) {
    this.#stages = stages;
  }

  /** @param {TimelineEvent[]} events later than all before */
  add(events) {
    this.#events.push(...events);
    for (const event of events) this.#count(event.type);
    const fresh = events.filter((event) => this.#isShown(event.type)).slice(-this.#most);
    this.#list.prepend(...fresh.reverse().map((event) => this.#row(event)));
    while (this.#list.children.length > this.#most) this.#list.lastElementChild?.remove();
    this.#showButtons();
  }

  /** @param {{ hasMore: boolean, isFailing: boolean }} state */
  tell({ hasMore, isFailing }) {
    this.#more.hidden = !hasMore;
    this.#trouble.hidden = !isFailing;
  }

  #shownEvents() {
    return this.#events.filter((event) => this.#isShown(event.type));
  }

  /** @param {string} type */
  #isShown(type) {
    return this.#types.get(type)?.button.getAttribute("aria-pressed") !== "false";
  }

  /** @param {string} type */
  #count(type) {
    const known = this.#types.get(type) ?? this.#chip(type);
    known.count += 1;
    known.number.textContent = String(known.count);
  }

  /** @param {string} type */
  #chip(type) {
    const number = el("span", { class: "chip-count" });
    const pressed = String(!HIDDEN_AT_FIRST.has(type));
    const button = el(
      "button",
      { type: "button", class: "chip", "aria-pressed": pressed, "data-type": type },
      typeWord(type),
      " ",
      number,
    );
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!this.#isShown(type)));
      this.#most = CHUNK;
      this.#render();
    });
    const made = { button, number, count: 0 };
    this.#types.set(type, made);
    this.#chips.append(button);
    return made;
  }

  #showOlder() {
    this.#most += CHUNK;
    this.#render();
  }

  #render() {
    const newest = this.#shownEvents().slice(-this.#most).reverse();
    this.#list.replaceChildren(...newest.map((event) => this.#row(event)));
    this.#showButtons();
  }

  #showButtons() {
    const number = this.#shownEvents().length;
    this.#empty.hidden = number > 0;
    this.#older.hidden = number <= this.#list.children.length;
  }

  /** @param {TimelineEvent} event */
  #row(event) {
    const { at, type, attempt } = event;
    const again = attempt > 1 && [" ", el("span", { class: "muted" }, `attempt ${attempt}`)];
    return el(
      "li",
      { "data-type": type },
      el("time", { datetime: at, title: moment(at) }, when(at, this.#clock())),
      el("span", { class: "timeline-type" }, typeWord(type), again),
      told(storyText(event, this.#stages)),
    );
  }
}

/** @param {string} text */
function told(text) {
  if (text.length <= MOST_SHOWN_CHARACTERS) return el("span", { class: "timeline-text" }, text);
  const summary = el("summary", null, `${text.slice(0, MOST_SHOWN_CHARACTERS)} …`);
  return el("details", { class: "timeline-text" }, summary, el("p", null, text));
}
