/** The parts of one job's page, and what keeps them up to date. */

import { createAnnouncer } from "./announcer.js";
import { ask, readAttempts, readTimeline } from "./api.js";
import { createAttempts } from "./attempts.js";
import { createChart } from "./chart.js";
import { createConnection } from "./connection.js";
import { createControls } from "./controls.js";
import { createDetails } from "./details.js";
import { createEnd } from "./end.js";
import { createHero } from "./hero.js";
import { createItems } from "./items.js";
import { absentNote, goneNotice, refusedNote, waitingNote } from "./notes.js";
import { Points } from "./points.js";
import { createStages } from "./stages.js";
import { Timeline } from "./timeline.js";
import { TimelineFeed } from "./timeline_feed.js";
import { createTitle } from "./title.js";
import { isFinished, isShareUnknown } from "../page/words.js";
import { watch } from "../progress.js";
import { askForToken, link } from "../page/session.js";
import { el, percent } from "../page/text.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {import("./story.js").TimelineEvent} TimelineEvent
 */

const TICK_MILLISECONDS = 1000;
/** How long a line of the timeline may wait that tells of no turn in the job. */
const LEISURE_MILLISECONDS = 5000;

export class JobPage {
  #jobId;
  /** @type {Job | null} */ #job = null;
  /** @type {import("../progress.js").Watching | null} */ #watching = null;
  #now = () => this.#watching?.now() ?? Date.now();
  /** @type {TimelineFeed | null} */ #feed = null;
  /** @type {number | undefined} */ #ticking;
  /** @type {number | null} */ #frame = null;
  #attemptsShown = "";
  #turnShown = "";
  #points = new Points();

  #announcer = createAnnouncer();
  #attempts = createAttempts();
  #chart = createChart();
  #connection = createConnection(this.#now, (isAway) => this.#controls.turn(isAway));
  #details = createDetails();
  #end = createEnd();
  #items = createItems();
  #stages = createStages();
  #timeline = new Timeline(this.#now, () => this.#feed?.more());
  #controls;
  #hero;
  #note;
  #parts;
  #title;

  /**
   * @param {string} jobId
   * @param {HTMLElement} main
   * @param {HTMLElement} connection where it is shown how the page hears of the job
   */
  constructor(jobId, main, connection) {
    this.#jobId = jobId;
    this.#controls = createControls({
      isOffered: link === null, // who was handed a link may look
      ask: (wish) => ask(jobId, wish),
      askForToken: (why) => askForToken(document.body, why),
    });
    this.#title = createTitle(jobId);
    this.#hero = createHero(this.#controls.element, this.#now);
    this.#note = waitingNote(jobId);
    this.#parts = el(
      "div",
      { class: "parts", hidden: true },
      this.#title.element,
      this.#end.element,
      this.#hero.element,
      this.#stages.element,
      el("div", { class: "columns" }, this.#chart.element, this.#items.element),
      this.#attempts.element,
      el("div", { class: "columns" }, this.#timeline.element, this.#details.element),
    );
    connection.replaceChildren(this.#connection.element);
    main.replaceChildren(this.#announcer.element, this.#connection.notices, this.#note, this.#parts);
  }

  /** Watch the job. */
  open() {
    this.#ticking = window.setInterval(() => this.#tick(), TICK_MILLISECONDS);
    this.#watching = watch(this.#jobId, {
      followsAttempts: true,
      link: link ?? undefined,
      onProgress: (job) => this.#take(job),
      onGone: () => this.#lose(),
      onState: (state, detail) => this.#connected(state, detail),
    });
  }

  /** Stop, for good. */
  close() {
    clearInterval(this.#ticking);
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#watching?.close();
    this.#feed?.close();
    this.#connection.stop();
    this.#hero.stop();
  }

  /** @param {Job} job */
  #take(job) {
    this.#job = job;
    for (const at of [job.last_progress_at ?? job.updated_at, job.updated_at]) {
      this.#points.add(job.attempt, Date.parse(at), job.percent ?? 0);
    }
    this.#note.hidden = true;
    document.title = titleOf(job);
    this.#announcer.show(job);
    this.#renderSoon();
    this.#readTimeline(job);
    this.#readAttempts(job);
  }

  #lose() {
    this.#tell(this.#job ? goneNotice() : absentNote(this.#jobId));
    this.#controls.element.hidden = true;
    clearInterval(this.#ticking);
  }

  /** @param {import("../progress.js").State} state @param {import("../progress.js").StateDetail} detail */
  #connected(state, detail) {
    this.#connection.show(state, detail);
    if (detail.reason === "unauthorized" || detail.reason === "forbidden")
      this.#tell(refusedNote(detail.reason));
  }

  /** @param {HTMLElement} note instead of the one that is there */
  #tell(note) {
    this.#note.replaceWith(note);
    this.#note = note;
  }

  #renderSoon() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#render();
    });
  }

  #tick() {
    if (this.#job && !isFinished(this.#job.status)) this.#render();
  }

  #render() {
    const job = this.#job;
    if (!job) return;
    const now = this.#now();
    this.#parts.hidden = false;
    this.#title.show(job);
    this.#hero.show(job, now);
    this.#controls.show(job);
    this.#end.show(job, now);
    this.#stages.show(job, now);
    this.#items.show(job);
    this.#details.show(job, now);
    this.#chart.show(job, this.#points.all, now);
  }

  /** @param {Job} job */
  #readTimeline(job) {
    this.#timeline.name(job.stages);
    this.#feed ??= new TimelineFeed((after, limit) => readTimeline(this.#jobId, after, limit), {
      onEvents: (events) => this.#hear(events),
      onState: (state) => this.#timeline.tell(state),
    });
    const { attempt, status, stage, cancel_requested, pause_requested, stall } = job;
    const turn = JSON.stringify([attempt, status, stage, cancel_requested, pause_requested, stall?.since]);
    this.#feed.refresh(turn === this.#turnShown ? LEISURE_MILLISECONDS : 0);
    this.#turnShown = turn;
  }

  /** @param {TimelineEvent[]} events */
  #hear(events) {
    this.#timeline.add(events);
    for (const { type, attempt, at, details } of events) {
      if (type === "progress" && typeof details.percent === "number") {
        this.#points.add(attempt, Date.parse(at), details.percent);
      }
    }
    this.#renderSoon();
  }

  /**
   * They change when another one begins, or this one ends.
   * @param {Job} job
   */
  #readAttempts(job) {
    const wanted = `${job.attempt} ${job.status}`;
    if (job.attempt < 2 || this.#attemptsShown === wanted) return;
    this.#attemptsShown = wanted;
    readAttempts(this.#jobId).then(
      (attempts) => this.#attempts.show(attempts, this.#now()),
      () => (this.#attemptsShown = ""),
    );
  }
}

/** @param {Job} job */
function titleOf(job) {
  const share = isShareUnknown(job) ? job.status : percent(job.percent);
  return `${isFinished(job.status) ? job.status : share} · ${job.job_id}`;
}
