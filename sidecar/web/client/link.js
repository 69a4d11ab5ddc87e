/** One try at one stream: opened with a ticket of its own, and given up when nothing is heard in time. */

import { Timer } from "./clock.js";

/**
 * @typedef {import("./environment.js").Environment} Environment
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {import("./transport_sse.js").Listener} TransportListener
 * @typedef {"overloaded" | "draining"} TurnedAway
 * @typedef {"lost" | "refused" | "blocked" | "silent" | "unauthorized" | "forbidden" | TurnedAway} Broken
 * @typedef {(ticket: string | null, listener: TransportListener) => () => void} Open
 *
 * @typedef {object} LinkListener
 * @property {(event: Event) => void} onEvent
 * @property {(reason: Broken, retrySeconds: number | null) => void} onBroken once, and nothing after it;
 *   `retrySeconds` is how long the server wants to be left alone, if it says so
 */

export class Link {
  /** @type {Environment} */ #environment;
  /** @type {LinkListener} */ #listener;
  /** @type {Timer} */ #watchdog;
  #closing = new AbortController();
  /** @type {number | null} */ #openedAt = null;

  /**
   * @param {Environment} environment
   * @param {LinkListener} listener
   */
  constructor(environment, listener) {
    this.#environment = environment;
    this.#listener = listener;
    this.#watchdog = new Timer(environment.clock);
  }

  /** Whether anything was heard. */
  get wasOpen() {
    return this.#openedAt !== null;
  }

  /** How long ago the first event was heard. */
  get livedSeconds() {
    return this.#openedAt === null ? 0 : (this.#environment.clock.now() - this.#openedAt) / 1000;
  }

  /**
   * @param {(signal: AbortSignal) => Promise<string | null>} getTicket
   * @param {Open} open
   */
  async open(getTicket, open) {
    const { signal } = this.#closing;
    this.#watchdog.start(this.#environment.timings.firstEventSeconds, () => this.#break("blocked"));
    try {
      const ticket = await getTicket(signal);
      if (signal.aborted) return;
      const listener = { onEvent: this.#hear.bind(this), onBroken: this.#break.bind(this) };
      const close = open(ticket, listener);
      if (signal.aborted) close();
      else signal.addEventListener("abort", close, { once: true });
    } catch (error) {
      this.#break(/** @type {any} */ (error)?.fatalReason ?? "lost");
    }
  }

  close() {
    this.#watchdog.stop();
    this.#closing.abort();
  }

  /** End it as if it had broken. @param {Broken} reason */
  interrupt(reason) {
    this.#break(reason);
  }

  /** @param {Event} event */
  #hear(event) {
    if (this.#closing.signal.aborted) return;
    if (event.name === "overloaded") return this.#refuse(event.data);
    this.#openedAt ??= this.#environment.clock.now();
    this.#watchdog.start(this.#environment.timings.silenceSeconds, () => this.#break("silent"));
    this.#listener.onEvent(event);
  }

  /** @param {{reason?: unknown, retry_after_seconds?: unknown}} data of a server that takes no more streams */
  #refuse({ reason, retry_after_seconds: seconds }) {
    const retrySeconds = typeof seconds === "number" && seconds >= 0 ? seconds : null;
    this.#break(reason === "draining" ? "draining" : "overloaded", retrySeconds);
  }

  /** @param {Broken} reason @param {number | null} [retrySeconds] */
  #break(reason, retrySeconds = null) {
    if (this.#closing.signal.aborted) return;
    this.close();
    this.#listener.onBroken(reason, retrySeconds);
  }
}
