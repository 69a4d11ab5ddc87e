/** One connection of Server-Sent Events. */

/**
 * @typedef {object} Event what any transport hears
 * @property {string} name
 * @property {any} data
 * @property {string | null} cursor
 *
 * @typedef {object} Listener
 * @property {(event: Event) => void} onEvent
 * @property {(reason: "lost" | "refused") => void} onBroken once, and nothing after it
 */

const NAMES = ["connected", "progress", "synced", "done", "gone", "degraded", "overloaded", "ping"];
const CLOSED = 2;

/**
 * Open it, and return what closes it.
 *
 * An `EventSource` would come back by itself, to the same URL with the same ticket: it is closed before it
 * can, and whoever listens opens another one. `refused` is any answer but 200, 204 among them.
 * @param {any} EventSource
 * @param {string} url
 * @param {Listener} listener
 * @returns {() => void}
 */
export function openEventSource(EventSource, url, listener) {
  const source = new EventSource(url);
  for (const name of NAMES) {
    source.addEventListener(name, (/** @type {MessageEvent} */ message) => {
      const data = JSON.parse(message.data);
      const cursor = name === "synced" ? data.cursor : message.lastEventId;
      listener.onEvent({ name, data, cursor: cursor || null });
    });
  }
  source.addEventListener("error", () => {
    const reason = source.readyState === CLOSED ? "refused" : "lost";
    source.close();
    listener.onBroken(reason);
  });
  return () => source.close();
}
