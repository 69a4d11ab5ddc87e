/** Reads a timeline page by page, and then what is added to it. */

/**
 * @typedef {import("./story.js").TimelineEvent} TimelineEvent
 *
 * @typedef {object} FeedListener
 * @property {(events: TimelineEvent[]) => void} onEvents
 * @property {(state: { hasMore: boolean, isFailing: boolean }) => void} onState
 */

const PAGE = 1000;
/** How many pages are read unasked; then `more` must be called. */
const PAGES_UNASKED = 20;
const SPACING_MILLISECONDS = 1000;
const RETRY_MILLISECONDS = 5000;

export class TimelineFeed {
  /** @type {(after: number, limit: number) => Promise<TimelineEvent[]>} */ #read;
  /** @type {FeedListener} */ #listener;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #dueAt = Infinity;
  #restsUntil = 0;
  #last = 0;
  #pagesLeft = PAGES_UNASKED;
  #isReading = false;
  #isClosed = false;

  /**
   * @param {(after: number, limit: number) => Promise<TimelineEvent[]>} read
   * @param {FeedListener} listener
   */
  constructor(read, listener) {
    this.#read = read;
    this.#listener = listener;
  }

  /**
   * There may be something new. However often this is called, it is read once a second at most.
   * @param {number} [delayMilliseconds] how long that may wait
   */
  refresh(delayMilliseconds = 0) {
    const dueAt = Math.max(performance.now() + delayMilliseconds, this.#restsUntil);
    if (this.#isClosed || dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    this.#schedule();
  }

  /** Read on, where it stopped because there is so much. */
  more() {
    this.#pagesLeft = PAGES_UNASKED;
    this.refresh();
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule() {
    if (this.#isReading || this.#dueAt === Infinity) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#readOn(), Math.max(0, this.#dueAt - performance.now()));
  }

  async #readOn() {
    this.#isReading = true;
    this.#dueAt = Infinity;
    const isFailing = await this.#readPages().then(
      () => false,
      () => true, // whatever it was: it is shown, and tried again
    );
    this.#isReading = false;
    if (this.#isClosed) return;
    this.#listener.onState({ hasMore: this.#pagesLeft <= 0, isFailing });
    this.#restsUntil = performance.now() + SPACING_MILLISECONDS;
    if (isFailing) this.refresh(RETRY_MILLISECONDS);
    this.#dueAt = Math.max(this.#dueAt, this.#restsUntil);
    this.#schedule();
  }

  async #readPages() {
    for (; this.#pagesLeft > 0; this.#pagesLeft--) {
      const events = await this.#read(this.#last, PAGE);
      if (this.#isClosed) return;
      this.#last = events.at(-1)?.number ?? this.#last;
      if (events.length > 0) this.#listener.onEvents(events);
      if (events.length < PAGE) return;
    }
  }
}
