/** Reads a timeline page by page, and then what is added to it. */

/**
 * @typedef {import("./job_story.js").TimelineEvent} TimelineEvent
 *
 * @typedef {object} FeedListener
 * @property {(events: TimelineEvent[]) => void} onEvents
 * @property {(state: { hasMore: boolean, isFailing: boolean }) => void} onState
 */

const PAGE = 1000;
/** How many pages are read unasked; then `more` must be called. */
const PAGES_UNASKED = 5;
const SPACING_MILLISECONDS = 1000;
const RETRY_MILLISECONDS = 5000;

export class TimelineFeed {
  /** @type {(after: number, limit: number) => Promise<TimelineEvent[]>} */ #read;
  /** @type {FeedListener} */ #listener;
  /** @type {ReturnType<typeof setTimeout> | null} */ #timer = null;
  #last = 0;
  #pagesLeft = PAGES_UNASKED;
  #isReading = false;
  #isWanted = false;
  #isClosed = false;

  /**
   * @param {(after: number, limit: number) => Promise<TimelineEvent[]>} read
   * @param {FeedListener} listener
   */
  constructor(read, listener) {
    this.#read = read;
    this.#listener = listener;
  }

  /** There may be something new. However often this is called, it is read once a second at most. */
  refresh() {
    if (this.#isClosed) return;
    if (this.#isReading || this.#timer !== null) this.#isWanted = true;
    else void this.#readOn();
  }

  /** Read on, where it stopped because there is so much. */
  more() {
    this.#pagesLeft = PAGES_UNASKED;
    this.refresh();
  }

  close() {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #readOn() {
    this.#isReading = true;
    this.#isWanted = false;
    let isFailing = false;
    try {
      await this.#readPages();
    } catch {
      isFailing = true; // whatever it was: it is shown, and tried again
    }
    this.#isReading = false;
    if (this.#isClosed) return;
    this.#listener.onState({ hasMore: this.#pagesLeft <= 0, isFailing });
    this.#rest(isFailing);
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

  /** @param {boolean} isFailing */
  #rest(isFailing) {
    this.#isWanted ||= isFailing;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#isWanted) this.refresh();
    }, isFailing ? RETRY_MILLISECONDS : SPACING_MILLISECONDS);
  }
}
