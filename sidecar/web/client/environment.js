/** What the client takes from the browser, or from its caller's options instead. */

import { systemClock } from "./clock.js";
import { TIMINGS } from "./timings.js";

/**
 * @typedef {import("../progress.js").ConnectionOptions} ConnectionOptions
 * @typedef {import("../progress.js").Clock} Clock
 *
 * @typedef {object} Environment
 * @property {typeof globalThis.fetch} fetch
 * @property {any} EventSource null where there is none
 * @property {any} WebSocket null where there is none
 * @property {any} BroadcastChannel null where there is none
 * @property {any} locks Web Locks, null where there are none
 * @property {EventTarget | null} page what tells that the page is left, and come back to
 * @property {Clock} clock
 * @property {() => number} random
 * @property {Readonly<import("../progress.js").Timings>} timings
 */

/**
 * @param {ConnectionOptions} options
 * @returns {Environment}
 */
export function environment(options) {
  return {
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    EventSource: given(options, "EventSource"),
    WebSocket: given(options, "WebSocket"),
    BroadcastChannel: given(options, "BroadcastChannel"),
    locks: options.locks === undefined ? (globalThis.navigator?.locks ?? null) : options.locks,
    page: options.page ?? (typeof globalThis.addEventListener === "function" ? globalThis : null),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    timings: { ...TIMINGS, ...options.timings },
  };
}

/**
 * Call what the caller gave; an exception in there is reported, and stops nothing here.
 * @template {unknown[]} Given
 * @param {((...given: Given) => void) | undefined} callback
 * @param {Given} values
 */
export function notify(callback, ...values) {
  try {
    callback?.(...values);
  } catch (error) {
    if (typeof globalThis.reportError === "function") globalThis.reportError(error);
    else console.error(error);
  }
}

/** An option, or the global of that name; null, given or found, means that there is none.
 * @param {any} options
 * @param {string} name
 */
function given(options, name) {
  return options[name] === undefined ? (/** @type {any} */ (globalThis)[name] ?? null) : options[name];
}
