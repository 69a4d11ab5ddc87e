/** Keeps one stream open: an EventSource, or else a WebSocket; after a failure it waits, longer each time. */

import { backoffSeconds, overloadedSeconds } from "./backoff.js";
import { Timer } from "./clock.js";
import { Link } from "./link.js";
import { takePlace } from "./places.js";
import { openEventSource } from "./transport_sse.js";
import { openWebSocket } from "./transport_websocket.js";

/**
 * @typedef {import("./link.js").Broken} Broken
 * @typedef {import("./source_job.js").Source} Source
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {import("./transport_sse.js").Listener} TransportListener
 * @typedef {"sse" | "websocket"} Transport
 *
 * @typedef {object} Connection
 * @property {import("./environment.js").Environment} environment
 * @property {import("./address.js").Address} address
 * @property {import("./requests.js").Requests} requests
 * @property {import("./server_time.js").ServerTime} time
 *
 * @typedef {object} Failure
 * @property {Broken | "unavailable"} reason
 * @property {number} failures how many in a row
 * @property {boolean} wasOpen false: nothing was heard over any transport
 *
 * @typedef {object} StreamListener
 * @property {(event: Event, transport: Transport) => void} onEvent
 * @property {(signal: AbortSignal) => Promise<unknown>} onRefused finds out why, before another transport
 *   is tried
 * @property {(failure: Failure) => void} onFailed
 */

/** How long to wait once it is known that the server is back. */
const SOON_SECONDS = { least: 0.1, most: 1 };

export class Streams {
  /** @type {Connection} */ #connection;
  /** @type {Source} */ #source;
  /** @type {() => string | null} */ #cursor;
  /** @type {StreamListener} */ #listener;
  /** @type {Transport[]} the one that worked last first */ #transports;
  /** @type {Set<Transport>} since the last failure */ #tried = new Set();
  /** @type {Link | null} */ #link = null;
  /** @type {Timer} */ #retry;
  #refused = new AbortController();
  #failures = 0;

  /**
   * @param {Connection} connection
   * @param {Source} source
   * @param {() => string | null} cursor where to go on
   * @param {StreamListener} listener
   */
  constructor(connection, source, cursor, listener) {
    this.#connection = connection;
    this.#source = source;
    this.#cursor = cursor;
    this.#listener = listener;
    this.#retry = new Timer(connection.environment.clock);
    this.#transports = transportsOf(connection.environment);
  }

  /** Whether something was heard on the present stream. */
  get isOpen() {
    return this.#link?.wasOpen ?? false;
  }

  /** Try now. */
  start() {
    this.#retry.stop();
    if (this.#link) return;
    const transport = this.#transports.find((each) => !this.#tried.has(each));
    if (transport === undefined) this.#failed(this.#transports.length ? "blocked" : "unavailable", false);
    else this.#connect(transport);
  }

  stop() {
    this.#retry.stop();
    this.#refused.abort();
    this.#link?.close();
    this.#link = null;
  }

  /** Try soon, if waiting to try: there is reason to believe that it will work. */
  hurry() {
    if (!this.#retry.isRunning) return;
    const { random } = this.#connection.environment;
    const { least, most } = SOON_SECONDS;
    this.#retry.start(least + random() * (most - least), () => this.start());
  }

  /** Give up the present stream and try anew. @param {Broken} reason */
  interrupt(reason) {
    this.#link?.interrupt(reason);
  }

  /** @param {Transport} transport */
  #connect(transport) {
    this.#tried.add(transport);
    const link = new Link(this.#connection.environment, {
      onEvent: (event) => this.#heard(transport, event),
      onBroken: (reason, retrySeconds) => this.#broken(link, reason, retrySeconds),
    });
    this.#link = link;
    link.open(
      (signal) => this.#admitted(transport, signal),
      (ticket, listener) => this.#open(transport, ticket, listener),
    );
  }

  /**
   * Return a ticket, if one is needed. Fails if the tabs have as many event streams as they may: then there is
   * another transport.
   * @param {Transport} transport
   * @param {AbortSignal} signal
   */
  async #admitted(transport, signal) {
    const { address, environment, requests } = this.#connection;
    if (transport === "sse" && this.#transports.length > 1) {
      const leave = await takePlace(environment.locks, address.base);
      if (!leave) throw new Error("all places are taken");
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    }
    return requests.ticket(signal);
  }

  /** @param {Transport} transport @param {string | null} ticket @param {TransportListener} listener */
  #open(transport, ticket, listener) {
    const { address, environment } = this.#connection;
    const cursor = this.#cursor();
    if (transport === "sse") {
      return openEventSource(environment.EventSource, this.#source.eventsUrl(cursor, ticket), listener);
    }
    const request = { watch: this.#source.selection, after: cursor };
    return openWebSocket(environment.WebSocket, address.socket({ ticket }), request, listener);
  }

  /** @param {Transport} transport @param {Event} event */
  #heard(transport, event) {
    if (this.#tried.size > 0) {
      this.#tried.clear();
      this.#transports.sort((one, other) => Number(other === transport) - Number(one === transport));
    }
    this.#listener.onEvent(event, transport);
  }

  /** @param {Link} link @param {Broken} reason @param {number | null} retrySeconds */
  #broken(link, reason, retrySeconds) {
    this.#link = null;
    if (link.livedSeconds >= this.#connection.environment.timings.stableSeconds) this.#failures = 0;
    if (isTurnedAway(reason)) this.#turnedAway(reason, retrySeconds);
    else if (link.wasOpen || isFatal(reason)) this.#failed(reason, link.wasOpen);
    else if (reason === "refused") this.#afterRefusal();
    else this.start();
  }

  async #afterRefusal() {
    this.#refused = new AbortController();
    const { signal } = this.#refused;
    await this.#listener.onRefused(signal);
    if (!signal.aborted) this.start();
  }

  /**
   * The server takes no more streams, and says when to come again. One that is about to stop has not failed:
   * soon there is another one.
   * @param {Broken} reason
   * @param {number | null} retrySeconds
   */
  #turnedAway(reason, retrySeconds) {
    const { random } = this.#connection.environment;
    if (reason !== "draining") this.#failures += 1;
    this.#tried.clear();
    this.#retry.start(retrySeconds ?? overloadedSeconds(random), () => this.start());
    this.#listener.onFailed({ reason, failures: this.#failures, wasOpen: false });
  }

  /** @param {Failure["reason"]} reason @param {boolean} wasOpen */
  #failed(reason, wasOpen) {
    const { random } = this.#connection.environment;
    this.#failures += 1;
    this.#tried.clear();
    if (reason !== "unavailable")
      this.#retry.start(backoffSeconds(this.#failures, random), () => this.start());
    this.#listener.onFailed({ reason, failures: this.#failures, wasOpen });
  }
}

/**
 * Whether the server has said that it takes no more streams.
 * @param {string | null | undefined} reason
 */
export function isTurnedAway(reason) {
  return reason === "overloaded" || reason === "draining";
}

/**
 * Whether trying again makes no sense.
 * @param {string | null | undefined} reason
 */
export function isFatal(reason) {
  return reason === "unauthorized" || reason === "forbidden";
}

/**
 * @param {import("./environment.js").Environment} environment
 * @returns {Transport[]}
 */
function transportsOf({ EventSource, WebSocket }) {
  /** @type {Transport[]} */
  const transports = [];
  if (EventSource) transports.push("sse");
  if (WebSocket) transports.push("websocket");
  return transports;
}
