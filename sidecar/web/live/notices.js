/** What the reader must know about the page itself: how it is connected, and what keeps jobs from it. */

import { connectionWord } from "../page/words.js";
import { Reach } from "../page/reach.js";
import { el, write } from "../page/text.js";

/**
 * @typedef {import("../progress.js").State} State
 * @typedef {import("../progress.js").StateDetail} StateDetail
 * @typedef {"degraded" | "overloaded" | "away" | "forbidden" | "history" | "many"} Kind
 */

const DEGRADED =
  "SQL serves: Redis is away. Nothing is lost; changes come about once a second until it is back.";
const OVERLOADED =
  "This sidecar has all the watchers that it can take. Until there is room, the page asks now and then.";
const FORBIDDEN = "Your token may not see the jobs of this project.";

export class Notices {
  /** @type {HTMLElement} */ #root;
  /** @type {HTMLElement} */ #connection;
  /** @type {Reach} */ #reach;
  /** @type {Map<Kind, HTMLElement>} */ #shown = new Map();
  #isFull = false;

  /** @param {HTMLElement} root @param {HTMLElement} connection @param {() => number} now */
  constructor(root, connection, now) {
    this.#reach = new Reach(now, (text) => this.tell("away", text));
    this.#root = root;
    this.#connection = connection;
  }

  /** @param {State} state @param {StateDetail} detail */
  connect(state, { reason, isDegraded }) {
    this.#connection.dataset.state = state;
    write(this.#connection, connectionWord(state));
    this.tell("degraded", isDegraded ? DEGRADED : null);
    if (state !== "polling") this.#isFull = reason === "overloaded";
    this.tell("overloaded", this.#isFull ? OVERLOADED : null);
    this.tell("forbidden", reason === "forbidden" ? FORBIDDEN : null);
    this.#reach.show(state !== "reconnecting" || this.#isFull, reason);
  }

  /** Show a line, or take it away. @param {Kind} kind @param {string | null} text */
  tell(kind, text) {
    const known = this.#shown.get(kind);
    if (text === null) {
      known?.remove();
      this.#shown.delete(kind);
    } else if (known) write(known, text);
    else {
      const line = el("p", { class: "notice", "data-kind": kind }, text);
      this.#shown.set(kind, line);
      this.#root.append(line);
    }
  }
}
