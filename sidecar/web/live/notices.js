/** What the reader must know about the page itself: how it is connected, and what keeps jobs from it. */

import { connectionWord } from "../page/words.js";
import { el, clock } from "../page/text.js";

/**
 * @typedef {import("../progress.js").State} State
 * @typedef {import("../progress.js").StateDetail} StateDetail
 * @typedef {"degraded" | "overloaded" | "away" | "forbidden" | "history" | "many"} Kind
 */

/** A break that is shorter is not worth a line. */
const PATIENCE_MILLISECONDS = 3_000;

const DEGRADED =
  "SQL serves: Redis is away. Nothing is lost; changes come about once a second until it is back.";
const OVERLOADED =
  "This sidecar has all the watchers that it can take. Until there is room, the page asks now and then.";
const DRAINING =
  "This sidecar is being stopped or restarted. The page goes on by itself at the next one that answers.";
const FORBIDDEN = "Your token may not see the jobs of this project.";

export class Notices {
  /** @type {HTMLElement} */ #root;
  /** @type {HTMLElement} */ #connection;
  /** @type {() => number} */ #now;
  /** @type {Map<Kind, HTMLElement>} */ #shown = new Map();
  #isFull = false;
  /** Since when nothing gets through, and what is said of it. */
  #brokenAt = "";
  #away = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #doubt;

  /** @param {HTMLElement} root @param {HTMLElement} connection @param {() => number} now */
  constructor(root, connection, now) {
    this.#now = now;
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
    this.#reach(state !== "reconnecting" || this.#isFull, reason === "draining");
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

  /** @param {boolean} isReached @param {boolean} isDraining whether that is because it is about to stop */
  #reach(isReached, isDraining) {
    if (isReached) {
      clearTimeout(this.#doubt);
      this.#doubt = undefined;
      this.tell("away", null);
      return;
    }
    this.#brokenAt = this.#doubt === undefined ? clock(new Date(this.#now()).toISOString()) : this.#brokenAt;
    this.#away = isDraining
      ? DRAINING
      : `The sidecar has not been reached since ${this.#brokenAt}. This is how it was then.`;
    if (this.#shown.has("away")) this.tell("away", this.#away);
    this.#doubt ??= setTimeout(() => this.tell("away", this.#away), PATIENCE_MILLISECONDS);
  }
}

/** @param {Node} node @param {string} text */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
