/** Brings the parts of the live page together. */

import { isFinished } from "../page/words.js";
import { Announcer } from "./announcer.js";
import { Counts, counted } from "./counts.js";
import {
  EVERYTHING,
  isOnlyFinished,
  isSameSelection,
  isWanted,
  parseFilters,
  queryOf,
  toggled,
} from "./filters.js";
import { FinishedJobs } from "./finished.js";
import { FilterForm } from "./form.js";
import { listenToKeys, openOnClick, tellWhatIsCut } from "./keys.js";
import { Lists } from "./lists.js";
import { NothingShown } from "./nothing.js";
import { Notices } from "./notices.js";
import { Search } from "./search.js";
import { watchJobs } from "../progress.js";
import { openSession, signOut } from "../page/session.js";
import { count, write } from "../page/text.js";

/**
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {import("./words.js").RowJob} RowJob
 */

const TICK_MILLISECONDS = 1_000;
const NO_HISTORY = "Finished jobs cannot be read at the moment. Trying again …";

export class LivePage {
  /** @type {import("../progress.js").WatchingJobs | null} */
  #watching = null;
  #now = () => this.#watching?.now() ?? Date.now();
  #lists = new Lists(byId("active"), byId("finished"), this.#now, {
    onJob: (job) => this.#form.learn(job),
    onOutcome: (job, outcome) => this.#announce(job, outcome),
    onDrawn: () => this.#summarise(),
  });
  #past = new FinishedJobs({
    onJobs: (jobs) => {
      this.#isPastKnown = true;
      for (const job of jobs) this.#lists.change(job.job_id, job);
      this.#lists.redraw();
    },
    onMore: (statuses) => {
      this.#more = statuses;
      this.#lists.redraw();
    },
    onTrouble: (isFailing) => this.#notices.tell("history", isFailing ? NO_HISTORY : null),
  });
  #notices = new Notices(byId("notices"), byId("connection"), this.#now);
  #announcer = new Announcer(byId("announcements"));
  #nothing = new NothingShown(byId("nothing"));
  #counts = new Counts(byId("counts"), (pressed) => this.#press(pressed));
  #form = new FilterForm(formOf("filters"), (selected) => this.#choose({ ...this.#filters, ...selected }));
  #search = new Search(formOf("search"), byId("search-hint"), {
    onType: (search) => this.#choose({ ...this.#filters, search }, { isTyped: true }),
    findShown: (text) => meant(this.#lists.ids, text),
  });
  #filters = parseFilters(location.search);
  #isSynced = false;
  #isPastKnown = false;
  /** @type {ReadonlySet<string>} the statuses of which the sidecar has more jobs than it was asked for */
  #more = new Set();

  async start() {
    listenToKeys(() => this.#search.focus());
    for (const list of [byId("active"), byId("finished")]) {
      openOnClick(list);
      tellWhatIsCut(list);
    }
    addEventListener("popstate", () => this.#apply(parseFilters(location.search)));
    byId("clear").addEventListener("click", () => this.#choose(EVERYTHING));
    byId("sign-out").addEventListener("click", signOut);
    setInterval(() => this.#lists.tick(this.#now()), TICK_MILLISECONDS);
    this.#show();
    await this.#open();
  }

  async #open() {
    const { isTokenRequired } = await openSession(document.body);
    byId("sign-out").hidden = !isTokenRequired;
    if (isTokenRequired) this.#nothing.requireToken();
    this.#watch();
  }

  #watch() {
    this.#watching?.close();
    this.#past.stop();
    this.#lists.clear();
    this.#more = new Set();
    this.#isSynced = this.#isPastKnown = false;
    const { project, jobType } = this.#filters;
    this.#watching = watchJobs(
      { project, jobType: jobType || null },
      {
        onChange: (job) => this.#lists.change(job.job_id, /** @type {RowJob} */ (job)),
        onGone: (jobId) => this.#lists.change(jobId, null),
        onSynced: () => this.#sync(),
        onState: (state, detail) => this.#connect(state, detail),
      },
    );
  }

  /** Everything that is unfinished is known now; what has finished is another question. */
  #sync() {
    this.#isSynced = true;
    this.#past.ask(this.#filters);
    this.#lists.whole();
  }

  /** @param {import("../progress.js").State} state @param {import("../progress.js").StateDetail} detail */
  #connect(state, detail) {
    this.#notices.connect(state, detail);
    if (detail.reason === "unauthorized") this.#open();
  }

  /** @param {RowJob} job @param {string} outcome */
  #announce(job, outcome) {
    if (isFinished(job.status)) this.#past.askSoon();
    if (isWanted(this.#filters, job)) this.#announcer.say(job.job_id, outcome);
  }

  #summarise() {
    const { active, finished } = this.#lists.sizes;
    const numbers = counted(this.#lists.counted());
    const isKnown = { now: this.#isSynced, past: this.#isPastKnown };
    this.#counts.show(numbers, new Set([...this.#more, ...this.#lists.uncounted]), isKnown);
    write(byId("active-count"), this.#isSynced ? countOf(active) : "");
    write(byId("finished-count"), count(finished.shown));
    const isOnlyOfPast = isOnlyFinished(this.#filters);
    byId("jobs").hidden = isOnlyOfPast && finished.shown > 0;
    byId("active-title").hidden = isOnlyOfPast;
    byId("active").hidden = active.shown === 0;
    byId("past").hidden = byId("to-past").hidden = finished.shown === 0;
    this.#nothing.show(this.#whatIsMissing(active, finished));
    const isCut = active.wanted > active.shown;
    this.#notices.tell("many", isCut ? `Only the newest ${count(active.shown)} are listed.` : null);
    const title = titleOf(numbers);
    if (document.title !== title) document.title = title;
  }

  /**
   * @param {import("./rows.js").Rows["sizes"]} active
   * @param {import("./rows.js").Rows["sizes"]} finished
   * @returns {import("./nothing.js").Nothing}
   */
  #whatIsMissing(active, finished) {
    if (active.wanted > 0) return null;
    if (!this.#isSynced) return "loading";
    if (this.#filters.search && finished.shown === 0) return "unfound";
    if (isOnlyFinished(this.#filters)) return "unmatched";
    if (active.all > 0 || queryOf(this.#filters)) return "unmatchedNow";
    return finished.all > 0 ? "idle" : "empty";
  }

  /** @param {import("./counts.js").Counted} pressed */
  #press(pressed) {
    const filters = this.#filters;
    this.#choose(
      pressed === "stalled" ? { ...filters, isStalled: !filters.isStalled } : toggled(filters, pressed),
    );
  }

  /** @param {Filters} filters @param {{ isTyped?: boolean }} [how] typing makes no history */
  #choose(filters, { isTyped = false } = {}) {
    const url = `${location.pathname}${queryOf(filters)}`;
    if (isTyped) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    this.#apply(filters);
    scrollTo({ top: 0 }); // not where other rows were; by the way back the browser does what is due
  }

  /** @param {Filters} filters */
  #apply(filters) {
    const before = this.#filters;
    this.#filters = filters;
    this.#show();
    if (this.#watching === null) return; // nobody has signed in yet
    if (!isSameSelection(before, filters)) this.#watch();
  }

  #show() {
    const filters = this.#filters;
    this.#form.show(filters);
    this.#search.show(filters.search);
    this.#counts.press(filters);
    byId("clear").toggleAttribute("data-none", queryOf(filters) === "");
    this.#lists.filter((job) => isWanted(filters, job));
  }
}

/**
 * Return the id that is meant: this one, or the only one that is shown.
 * @param {string[]} ids
 * @param {string} text
 */
function meant(ids, text) {
  return ids.includes(text) ? text : ids.length === 1 ? ids[0] : null;
}

/** @param {{ all: number, wanted: number }} sizes */
function countOf({ all, wanted }) {
  return wanted === all ? count(all) : `${count(wanted)} of ${count(all)}`;
}

/** @param {ReadonlyMap<string, number>} numbers */
function titleOf(numbers) {
  const said = ["stalled", "running"].map((each) =>
    numbers.get(each) ? `${count(numbers.get(each))} ${each}` : null,
  );
  return [...said, "Progress"].filter(Boolean).join(" · ");
}

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} id */
function formOf(id) {
  return /** @type {HTMLFormElement} */ (byId(id));
}
