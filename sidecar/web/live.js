/** The live page: what is running now. */

import { connectionWord, isFinished, statusWord } from "./job_words.js";
import { Announcer } from "./live_announcer.js";
import { Counts } from "./live_counts.js";
import { FilterForm, isSameSelection, isWanted, parseFilters, queryOf } from "./live_filters.js";
import { HEADS } from "./live_row.js";
import { Rows } from "./live_rows.js";
import { watchJobs } from "./progress.js";
import { openSession, request } from "./session.js";
import { count, el } from "./text.js";

/**
 * @typedef {import("./progress.js").BriefJob} BriefJob
 * @typedef {import("./live_filters.js").Filters} Filters
 */

const MOST_FINISHED = 50;
const TICK_MILLISECONDS = 1_000;
const STATUSES = ["queued", "running", "paused", "blocked", "completed", "failed", "cancelled", "lost"];
const DEGRADED = "SQL serves: Redis is away. Nothing is lost; changes come about once a second until it is back.";
const OVERLOADED = "This sidecar has all the streams that it can take. The jobs are asked for now and then meanwhile.";

class LivePage {
  constructor() {
    this.active = new Rows(byId("active"), {
      label: "Unfinished jobs",
      heads: HEADS.active,
      at: (job) => job.created_at,
    });
    this.finished = new Rows(byId("finished"), {
      label: "Finished jobs",
      heads: HEADS.finished,
      at: (job) => job.updated_at,
      most: MOST_FINISHED,
    });
    this.counts = new Counts(byId("counts"), (status) => this.#press(status));
    this.announcer = new Announcer(byId("announcements"));
    const [onChange, onOpen] = [this.#choose.bind(this), open];
    this.form = new FilterForm(/** @type {HTMLFormElement} */ (byId("filters")), { statuses: STATUSES, onChange, onOpen });
    this.filters = parseFilters(location.search);
    /** @type {Map<string, BriefJob | null>} what has changed since the last frame; null: it is gone */
    this.changes = new Map();
    this.isSynced = false;
    /** @type {import("./progress.js").WatchingJobs | null} */
    this.watching = null;
  }

  start() {
    addEventListener("popstate", () => this.#apply(parseFilters(location.search)));
    addEventListener("keydown", focusSearch);
    setInterval(() => this.#tick(), TICK_MILLISECONDS);
    this.form.show(this.filters);
    this.#watch();
    this.#showChosen();
  }

  #watch() {
    this.watching?.close();
    this.changes.clear();
    this.active.clear();
    this.finished.clear();
    this.isSynced = false;
    const { project, jobType } = this.filters;
    this.watching = watchJobs({ project, jobType: jobType || null }, {
      onChange: (job) => this.#note(job.job_id, job),
      onGone: (jobId) => this.#note(jobId, null),
      onSynced: (jobs) => this.#sync(jobs),
      onState: (state, detail) => showConnection(state, detail),
    });
  }

  /** @param {string} jobId @param {BriefJob | null} job */
  #note(jobId, job) {
    if (this.changes.size === 0) requestAnimationFrame(() => this.#draw());
    this.changes.set(jobId, job);
  }

  #draw() {
    for (const [jobId, job] of this.changes) {
      if (job === null) [this.active, this.finished].forEach((rows) => rows.remove(jobId));
      else this.#put(job);
    }
    this.changes.clear();
    this.#summarise();
  }

  /** @param {BriefJob} job */
  #put(job) {
    const before = this.active.rows.get(job.job_id)?.job;
    this.form.learn("project", job.project);
    this.form.learn("job_type", job.job_type);
    const [here, there] = isFinished(job.status) ? [this.finished, this.active] : [this.active, this.finished];
    there.remove(job.job_id);
    here.put(job, isWanted(this.filters, job));
    if (before) this.#announce(before, job);
  }

  /** @param {BriefJob} before @param {BriefJob} job */
  #announce(before, job) {
    if (isFinished(job.status)) this.announcer.say(`${job.job_id}: ${statusWord(job.status)}.`);
    else if (job.stall_reason && !before.stall_reason) this.announcer.say(`${job.job_id} has stalled.`);
  }

  /** Everything is up to date: show what has finished as well. @param {Map<string, BriefJob>} jobs */
  async #sync(jobs) {
    for (const jobId of this.active.rows.keys()) if (!jobs.has(jobId)) this.active.remove(jobId);
    this.isSynced = true;
    this.#summarise();
    const { watching } = this;
    const past = await finishedJobs(this.filters);
    if (watching === this.watching) past.filter((job) => !this.active.rows.has(job.job_id)).forEach((job) => this.#put(job));
    this.#summarise();
  }

  #summarise() {
    const jobs = Array.from(this.active.rows.values(), (row) => row.job);
    const [shown, past] = [this.active.shown, this.finished.shown];
    this.counts.show(jobs);
    byId("active-count").textContent = shown === jobs.length ? count(shown) : `${count(shown)} of ${count(jobs.length)}`;
    byId("finished-count").textContent = past ? count(past) : "";
    byId("active").hidden = shown === 0;
    byId("finished").closest("section")?.toggleAttribute("hidden", this.finished.rows.size === 0);
    showNothing(this.isSynced && shown === 0, jobs.length + this.finished.rows.size === 0);
  }

  /** @param {string} status */
  #press(status) {
    const { status: chosen, isStalled } = this.filters;
    const change = status === "stalled" ? { isStalled: !isStalled } : { status: chosen === status ? "" : status };
    this.#choose({ ...this.filters, ...change });
  }

  /** @param {Filters} filters */
  #choose(filters) {
    history.replaceState(null, "", `${location.pathname}${queryOf(filters)}`);
    this.#apply(filters);
  }

  /** @param {Filters} filters */
  #apply(filters) {
    const before = this.filters;
    this.filters = filters;
    this.form.show(filters);
    if (!isSameSelection(before, filters)) this.#watch();
    this.#showChosen();
  }

  #showChosen() {
    const { status, isStalled } = this.filters;
    this.counts.press(status, isStalled);
    for (const rows of [this.active, this.finished]) rows.filter((job) => isWanted(this.filters, job));
    this.#summarise();
  }

  #tick() {
    const now = Date.now();
    this.active.tick(now);
    this.finished.tick(now);
  }
}

/** @param {Filters} filters @returns {Promise<BriefJob[]>} the jobs that have finished last; none if they cannot be read */
async function finishedJobs({ project, jobType }) {
  const query = new URLSearchParams({ active: "false", order: "-updated_at", limit: String(MOST_FINISHED), view: "brief" });
  if (project !== "*") query.set("project", project);
  if (jobType) query.set("job_type", jobType);
  try {
    const response = await request(`/v1/jobs?${query}`);
    return response.ok ? (await response.json()).jobs : [];
  } catch {
    return [];
  }
}

/** @param {import("./progress.js").State} state @param {import("./progress.js").StateDetail} detail */
function showConnection(state, { reason, isDegraded }) {
  const [dot, notice] = [byId("connection"), byId("notice")];
  dot.dataset.state = state;
  if (dot.textContent !== connectionWord(state)) dot.textContent = connectionWord(state);
  const text = isDegraded ? DEGRADED : reason === "overloaded" ? OVERLOADED : "";
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = text === "";
}

/** @param {boolean} isNothing @param {boolean} isEmpty whether there is no job at all */
function showNothing(isNothing, isEmpty) {
  const root = byId("nothing");
  root.hidden = !isNothing;
  if (!isNothing) return;
  const command = `curl -d current=3 -d total=10 -d message=hello ${location.origin}/v1/jobs/my-job`;
  const [title, hint] = isEmpty
    ? ["No jobs yet", el("pre", { tabindex: 0, "aria-label": "The first job" }, command)]
    : ["Nothing here is running", el("p", { class: "muted" }, "No unfinished job matches these filters.")];
  if (root.firstElementChild?.textContent !== title) root.replaceChildren(el("strong", null, title), hint);
}

/** @param {string} jobId */
function open(jobId) {
  location.assign(`/jobs/${encodeURIComponent(jobId)}`);
}

/** @param {KeyboardEvent} event */
function focusSearch(event) {
  const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key !== "/" || isTyping) return;
  event.preventDefault();
  byId("search").focus();
}

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

await openSession(document.body);
new LivePage().start();
