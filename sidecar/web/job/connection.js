/** How the page hears of the job: a dot, and a word that says the same. */

import { connectionWord } from "../page/words.js";
import { el } from "../page/text.js";

/**
 * @typedef {import("../progress.js").State} State
 * @typedef {import("../progress.js").StateDetail} StateDetail
 */

export function createConnection() {
  const element = el(
    "span",
    { class: "connection", "data-state": "connecting" },
    connectionWord("connecting"),
  );
  const degraded = el(
    "p",
    { class: "notice", "data-kind": "degraded", hidden: true },
    "SQL serves: Redis is away. Nothing is lost; changes come about once a second until it is back.",
  );
  /** @param {State} state @param {Partial<StateDetail>} detail */
  function show(state, { isDegraded = false } = {}) {
    element.dataset.state = state;
    element.textContent = connectionWord(state);
    degraded.hidden = !isDegraded;
  }
  return { element, degraded, show };
}
