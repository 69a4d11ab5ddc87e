/**
 * Follows a source by whatever gets through: a stream, or else asking again and again, and from there back to
 * a stream. Everything resumes at one cursor, so that changing over misses nothing.
 */

import { Timer } from "./clock.js";
import { Streams, isFatal, isTurnedAway } from "./streams.js";
import { Polling } from "./transport_polling.js";

/**
 * @typedef {import("./source_job.js").Source} Source
 * @typedef {import("./streams.js").Connection} Connection
 * @typedef {import("./streams.js").Failure} Failure
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {import("../progress.js").State} State
 *
 * @typedef {object} Status
 * @property {State} state
 * @property {string | null} reason
 * @property {"sse" | "websocket" | "polling" | null} transport
 * @property {number} failures in a row
 *
 * @typedef {object} FollowListener
 * @property {(event: Event) => void} onEvent
 * @property {(status: Status) => void} onStatus
 *
 * @typedef {object} Pace
 * @property {number} pollSeconds how often to ask where no stream gets through
 * @property {number} quietSeconds after how long without progress a stream is doubted; not finite: never
 */

/** What moves the place where to go on. */
export const MOVING = new Set(["progress", "done", "gone", "synced"]);

export class Follower {
  /** @type {Connection} */ #connection;
  /** @type {Source} */ #source;
  /** @type {Pace} */ #pace;
  /** @type {FollowListener} */ #listener;
  /** @type {Streams} */ #streams;
  /** @type {Polling} */ #polling;
  /** @type {Timer} */ #quiet;
  /** @type {string | null} */ #cursor;
  /** @type {Status} */ #status = { state: "connecting", reason: null, transport: null, failures: 0 };
  /** Answers in a row with news that the open stream did not bring. */
  #unheard = 0;
  #hasPollFailed = false;
  #failures = 0;
  /** Whether the server takes no more streams; a question that waits is one, too. */
  #isTurnedAway = false;

  /**
   * @param {Connection} connection
   * @param {Source} source
   * @param {Pace} pace
   * @param {string | null} cursor where to go on; null: from what is
   * @param {FollowListener} listener
   */
  constructor(connection, source, pace, cursor, listener) {
    this.#connection = connection;
    this.#source = source;
    this.#pace = pace;
    this.#cursor = cursor;
    this.#listener = listener;
    const { clock } = connection.environment;
    this.#quiet = new Timer(clock);
    this.#streams = new Streams(connection, source, () => this.#cursor, {
      onEvent: (event, transport) => this.#heard(event, transport),
      onRefused: (signal) => this.#confirm(signal),
      onFailed: (failure) => this.#failed(failure),
    });
    /**
     * Beside an open stream a question does not wait at the server: a browser has few connections for a server,
     * and those of quiet tabs would take them from everything else.
     * @param {AbortSignal} signal @param {number} seconds
     */
    const ask = (signal, seconds) =>
      source.ask(signal, this.#cursor, this.#isTurnedAway || this.#streams.isOpen ? 0 : seconds);
    this.#polling = new Polling(clock, ask, {
      onAnswer: (events) => this.#answered(events),
      onFailure: (error) => this.#pollFailed(error),
    });
  }

  start() {
    this.#listener.onStatus(this.#status);
    this.#streams.start();
  }

  stop() {
    this.#quiet.stop();
    this.#polling.stop();
    this.#streams.stop();
  }

  /** Stop, and say why. @param {string} reason */
  end(reason) {
    this.stop();
    this.#turn("ended", reason, null);
  }

  /** @param {Event} event @param {"sse" | "websocket"} transport */
  #heard(event, transport) {
    const { timings } = this.#connection.environment;
    const isDoubted = this.#status.reason === "quiet";
    if (
      event.name === "progress" ||
      event.name === "synced" ||
      (this.#status.state !== "live" && !isDoubted)
    ) {
      this.#polling.stop();
      this.#unheard = 0;
      this.#failures = 0;
      this.#isTurnedAway = false;
      this.#turn("live", null, transport);
      this.#quiet.start(this.#pace.quietSeconds, () => this.#polling.start(timings.quietPollSeconds));
    }
    this.#pass(event);
  }

  /** @param {Failure} failure */
  #failed({ reason, failures, wasOpen }) {
    const { timings } = this.#connection.environment;
    this.#quiet.stop();
    if (isFatal(reason)) return this.end(reason);
    if (wasOpen) this.#polling.stop();
    this.#failures = failures;
    this.#isTurnedAway = isTurnedAway(reason);
    if (this.#status.state !== "polling" || !this.#polling.isRunning)
      this.#turn("reconnecting", reason, null);
    if (reason === "draining") return; // another server takes over in a moment
    if (this.#isTurnedAway) this.#polling.start(timings.quietPollSeconds);
    else if (!wasOpen || failures >= timings.failuresBeforePolling)
      this.#polling.start(this.#pace.pollSeconds);
  }

  /** @param {Event[]} events */
  #answered(events) {
    const isOpen = this.#streams.isOpen;
    const reason = isOpen ? "quiet" : this.#status.state === "polling" ? this.#status.reason : "no stream";
    this.#turn("polling", reason, "polling");
    if (this.#hasPollFailed) this.#streams.hurry();
    this.#hasPollFailed = false;
    for (const event of events) this.#pass(event);
    if (isOpen && events.length > 0 && ++this.#unheard > 1) this.#streams.interrupt("silent");
  }

  /** @param {any} error */
  #pollFailed(error) {
    if (isFatal(error?.fatalReason)) return this.end(error.fatalReason);
    if (this.#streams.isOpen) return;
    this.#hasPollFailed = true;
    this.#turn("reconnecting", "unreachable", null);
    const { failuresBeforePolling } = this.#connection.environment.timings;
    const isLater = this.#failures < failuresBeforePolling && !this.#isTurnedAway;
    if (isLater) this.#polling.stop(); // the server is away: asking it each second comes later
  }

  /**
   * A refusal has no reason that a script may see. What has ended says so when it is asked.
   * @param {AbortSignal} signal
   */
  async #confirm(signal) {
    try {
      const events = await this.#source.confirm(signal);
      if (!signal.aborted) for (const event of events) this.#pass(event);
    } catch (error) {
      const { fatalReason } = /** @type {any} */ (error) ?? {};
      if (!signal.aborted && isFatal(fatalReason)) this.end(fatalReason);
    }
  }

  /** @param {Event} event */
  #pass(event) {
    if (this.#status.state === "ended") return;
    if (MOVING.has(event.name)) this.#cursor = event.cursor ?? this.#cursor;
    this.#listener.onEvent(event);
  }

  /** @param {State} state @param {string | null} reason @param {Status["transport"]} transport */
  #turn(state, reason, transport) {
    const before = this.#status;
    if (before.state === "ended") return;
    const after = { state, reason, transport, failures: this.#failures };
    this.#status = after;
    if (!isSame(before, after)) this.#listener.onStatus(after);
  }
}

/**
 * @param {Status} one
 * @param {Status} other
 */
export function isSame(one, other) {
  return (
    one.state === other.state &&
    one.reason === other.reason &&
    one.transport === other.transport &&
    one.failures === other.failures
  );
}
