/** What time it is at the sidecar: its clock tells the times of jobs, and that of the reader may be wrong. */

/**
 * @typedef {import("./follower.js").FollowListener} FollowListener
 * @typedef {import("./shared_tabs.js").SharingListener} SharingListener
 * @typedef {import("./transport_sse.js").Event} Event
 *
 * @typedef {object} Reading of both clocks at the same moment, in milliseconds since 1970
 * @property {number} server
 * @property {number} reader
 */

/** What only the watches of this browser tell each other; a `connected` that came late would tell a wrong time. */
const CLOCK = "clock";
/** A header tells whole seconds: a clock that is off by no more than this may be right. */
const COARSE_MILLISECONDS = 1500;

export class ServerTime {
  /** @type {() => number} */ #readerNow;
  /** @type {Reading | null} */ #reading = null;
  #isExact = false;

  /** @param {() => number} [readerNow] the reader's clock */
  constructor(readerNow = () => Date.now()) {
    this.#readerNow = readerNow;
  }

  /** Milliseconds since 1970, by the sidecar's clock as soon as it is known, until then by the reader's. */
  now() {
    return this.#readerNow() + (this.#reading === null ? 0 : this.#reading.server - this.#reading.reader);
  }

  /** What tells another tab as much as this one knows. @returns {Event[]} */
  get told() {
    return this.#reading === null ? [] : [{ name: CLOCK, data: this.#reading, cursor: null }];
  }

  /** Take the time that a stream begins with. @param {string | undefined} iso */
  read(iso) {
    const server = Date.parse(iso ?? "");
    if (!Number.isNaN(server)) this.#take({ server, reader: this.#readerNow() });
  }

  /** Take the time from the head of an answer, as long as nothing better is known. @param {string | null} date */
  readHeader(date) {
    const [server, reader] = [Date.parse(date ?? "") + 500, this.#readerNow()];
    if (this.#isExact || Number.isNaN(server)) return;
    const isOff = Math.abs(server - reader) > COARSE_MILLISECONDS;
    this.#reading = { server: isOff ? server : reader, reader };
  }

  /**
   * Return a listener that tells the other tabs, too, what time it is.
   * @param {FollowListener} listener
   * @returns {FollowListener}
   */
  telling(listener) {
    const tell = () => this.told.forEach((event) => listener.onEvent(event));
    return {
      onEvent: (event) => {
        if (event.name === "connected" && event.data.server_time) {
          this.read(event.data.server_time);
          tell();
        }
        listener.onEvent(event);
      },
      onStatus: (status) => {
        if (status.state === "polling") tell();
        listener.onStatus(status);
      },
    };
  }

  /**
   * Return a listener that is told what time it is, and keeps it from the one that it stands for.
   * @param {SharingListener} listener
   * @returns {SharingListener}
   */
  hearing(listener) {
    const told = () => [...this.told, ...listener.told];
    return {
      onEvent: (event) => (event.name === CLOCK ? this.#take(event.data) : listener.onEvent(event)),
      onStatus: (status) => listener.onStatus(status),
      get told() {
        return told();
      },
    };
  }

  /** @param {Reading} reading */
  #take(reading) {
    this.#reading = reading;
    this.#isExact = true;
  }
}
