/**
 * Tabs of one origin that watch the same share one connection: the one that holds a Web Lock follows, and
 * tells the others by a BroadcastChannel. One that comes is greeted with all that is known, and heeds nothing
 * before: so each knows everything up to a cursor, and whoever takes over goes on from there.
 */

import { Timer } from "./clock.js";
import { Follower, MOVING, isSame } from "./follower.js";

/**
 * @typedef {import("./follower.js").FollowListener} FollowListener
 * @typedef {import("./follower.js").Status} Status
 * @typedef {import("./streams.js").Connection} Connection
 * @typedef {import("./transport_sse.js").Event} Event
 * @typedef {(cursor: string | null, listener: FollowListener) => Follower} MakeFollower
 *
 * @typedef {object} Told what the leader broadcasts
 * @property {Event | null} event
 * @property {Status | null} status
 *
 * @typedef {object} Greeting what it broadcasts when it begins to lead, and when another tab comes
 * @property {Event[]} greeting what tells all that is known
 * @property {string | null} cursor up to where that is
 * @property {Status} status
 *
 * @typedef {FollowListener & { readonly told: Event[] }} SharingListener one that can tell what it knows
 */

/** How long a break is kept from the others: a tab that is being closed loses its connection first. */
const SURE_SECONDS = 0.5;
/** How long a broadcast may take to arrive. */
const LAST_SECONDS = 1;

export class SharedFollower {
  /** @type {import("./environment.js").Environment} */ #environment;
  /** @type {string} */ #name;
  /** @type {MakeFollower} */ #make;
  /** @type {SharingListener} */ #listener;
  /** @type {BroadcastChannel} */ #channel;
  /** @type {Follower | null} not null: this tab leads */ #follower = null;
  /** @type {Timer} of a leader: to say that it lives; of the others: to notice that it does not */ #pulse;
  /** @type {Timer} */ #hesitation;
  /** @type {(() => void) | null} */ #release = null;
  #candidacy = new AbortController();
  /** Whether all was told that was known when this tab came. */
  #isGreeted = false;
  /** @type {string | null} up to where this tab has heard */ #cursor = null;
  /** @type {Status} */ #status = { state: "connecting", reason: null, transport: null, failures: 0 };

  /**
   * @param {import("./environment.js").Environment} environment with locks and BroadcastChannel
   * @param {string} name of what is shared
   * @param {MakeFollower} make
   * @param {SharingListener} listener
   */
  constructor(environment, name, make, listener) {
    this.#environment = environment;
    this.#name = name;
    this.#make = make;
    this.#listener = listener;
    this.#channel = new environment.BroadcastChannel(name);
    this.#pulse = new Timer(environment.clock);
    this.#hesitation = new Timer(environment.clock);
  }

  /** @param {import("./environment.js").Environment} environment */
  static isPossible({ locks, BroadcastChannel }) {
    return Boolean(locks && BroadcastChannel);
  }

  start() {
    this.#listener.onStatus(this.#status);
    this.#channel.onmessage = ({ data }) => (data === "hello" ? this.#greet() : this.#hear(data));
    this.#environment.page?.addEventListener("pagehide", this.#leave);
    this.#environment.page?.addEventListener("pageshow", this.#return);
    this.#join();
  }

  stop() {
    this.#environment.page?.removeEventListener("pagehide", this.#leave);
    this.#environment.page?.removeEventListener("pageshow", this.#return);
    this.#leave();
    this.#channel.close();
  }

  #join() {
    this.#isGreeted = false;
    this.#channel.postMessage("hello");
    this.#stand();
  }

  /** The page is left: the browser is about to break its connection, which concerns no other tab. */
  #leave = () => {
    this.#candidacy.abort();
    this.#pulse.stop();
    this.#abdicate();
  };

  /** The page is shown; one that was left had been kept, and is come back to. */
  #return = () => {
    if (this.#candidacy.signal.aborted) this.#join();
  };

  /**
   * Stop, and say why. The lock is kept until the others have heard of the end, too.
   * @param {string} reason
   */
  end(reason) {
    this.#environment.page?.removeEventListener("pageshow", this.#return);
    this.#candidacy.abort();
    this.#hesitation.stop();
    this.#follower?.stop();
    this.#pulse.start(LAST_SECONDS, () => this.stop());
    this.#listener.onStatus({ ...this.#status, state: "ended", reason, transport: null });
  }

  /**
   * Wait for the lock, and lead while holding it; steal it from a leader that is silent.
   * @param {boolean} [steal]
   */
  async #stand(steal = false) {
    this.#candidacy.abort();
    const { signal } = (this.#candidacy = new AbortController());
    this.#await();
    try {
      const terms = steal ? { steal } : { signal };
      await this.#environment.locks.request(this.#name, terms, () => this.#lead());
    } catch {
      if (signal.aborted) return;
      if (this.#follower) this.#yield();
      else this.#lead(); // there are no locks here after all
    }
  }

  /** Another tab has stolen the lock, because this one was silent for too long. */
  #yield() {
    this.#abdicate();
    this.#stand();
  }

  /** @returns {Promise<void> | undefined} kept as long as this tab leads */
  #lead() {
    if (this.#candidacy.signal.aborted) return undefined;
    const follower = this.#make(this.#cursor, {
      onEvent: (event) => this.#tell({ event, status: null }),
      onStatus: (status) => this.#hasBegun(status) && this.#tell({ event: null, status }),
    });
    const led = new Promise((/** @type {(value: void) => void} */ resolve) => (this.#release = resolve));
    this.#follower = follower;
    this.#isGreeted = true;
    this.#greet(); // whoever came while nobody led
    this.#beat();
    follower.start();
    return led;
  }

  /**
   * Whether a status is worth telling: whoever takes over need not say that it has yet to connect.
   * @param {Status} status
   */
  #hasBegun(status) {
    return status.state !== "connecting" || this.#status.state === "connecting";
  }

  #abdicate() {
    this.#hesitation.stop();
    this.#follower?.stop();
    this.#follower = null;
    this.#release?.();
    this.#release = null;
  }

  /** @param {Told} told */
  #tell(told) {
    const { state, reason } = told.status ?? {};
    if (state === "ended") return this.end(reason ?? "ended"); // another tab may have the right
    if (state) this.#hesitation.stop();
    if (state === "reconnecting") this.#hesitation.start(SURE_SECONDS, () => this.#channel.postMessage(told));
    else this.#channel.postMessage(told);
    this.#take(told);
  }

  /** @param {Told | Greeting} told */
  #hear(told) {
    if (this.#follower || this.#candidacy.signal.aborted) return;
    this.#await();
    if (this.#isGreeted) return "greeting" in told ? undefined : this.#take(told);
    if (!("greeting" in told)) return; // what was before it is not known yet
    this.#isGreeted = true;
    this.#take({ event: null, status: told.status });
    for (const event of told.greeting) this.#take({ event, status: null });
    this.#cursor = told.cursor;
  }

  /** @param {Told} told */
  #take({ event, status }) {
    if (event && MOVING.has(event.name)) this.#cursor = event.cursor ?? this.#cursor;
    if (status && !isSame(status, this.#status)) {
      this.#status = status;
      this.#listener.onStatus(status);
    }
    if (event) this.#listener.onEvent(event);
  }

  /** Tell a tab that has just come what is known. */
  #greet() {
    if (!this.#follower) return;
    /** @type {Greeting} */
    const greeting = { greeting: this.#listener.told, cursor: this.#cursor, status: this.#status };
    this.#channel.postMessage(greeting);
  }

  #beat() {
    this.#pulse.start(this.#environment.timings.tabHeartbeatSeconds, () => {
      this.#channel.postMessage({ event: null, status: null });
      this.#beat();
    });
  }

  #await() {
    this.#pulse.start(this.#environment.timings.tabSilenceSeconds, () => this.#stand(true));
  }
}
