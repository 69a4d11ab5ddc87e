/** How the page hears of the job: a dot, and a word that says the same. */

import { Reach } from "../page/reach.js";
import { connectionWord } from "../page/words.js";
import { el, write } from "../page/text.js";

/**
 * @typedef {import("../progress.js").State} State
 * @typedef {import("../progress.js").StateDetail} StateDetail
 */

/**
 * @param {() => number} now
 * @param {(isAway: boolean) => void} onAway whether the sidecar is away, told after a moment
 */
export function createConnection(now, onAway) {
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
  const away = el("p", { class: "notice", "data-kind": "away", role: "alert", hidden: true });
  const reach = new Reach(now, (text) => {
    away.hidden = text === null;
    write(away, text);
    onAway(text !== null);
  });
  /** @param {State} state @param {StateDetail} detail */
  function show(state, { isDegraded, reason }) {
    element.dataset.state = state;
    write(element, connectionWord(state));
    degraded.hidden = !isDegraded;
    reach.show(state !== "reconnecting" || reason === "overloaded", reason);
  }
  const notices = el("div", { class: "notices" }, degraded, away);
  return { element, notices, show, stop: () => reach.stop() };
}
