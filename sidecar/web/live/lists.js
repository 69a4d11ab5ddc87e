/** The two lists of the page, unfinished and finished jobs: what has changed is written in one frame. */

import { isNewer } from "../client/job_order.js";
import { isFinished } from "../page/words.js";
import { MOST_FINISHED } from "./finished.js";
import { Rows } from "./rows.js";

/**
 * @typedef {import("./words.js").RowJob} RowJob
 *
 * @typedef {object} ListsListener
 * @property {(job: RowJob) => void} onJob a state of a job that is new
 * @property {(job: RowJob, outcome: string) => void} onOutcome a job that ran has ended, or has stalled
 * @property {() => void} onDrawn
 */

const MOST_SHOWN = 1_000;
/** Frames in which something is written are this far apart: nobody reads faster. */
const DRAW_MILLISECONDS = 100;
/** How long to wait for a whole state, which comes in pieces: each of them would push aside what was there. */
const PATIENCE_MILLISECONDS = 1_000;
/** How long to wait for a frame: there are none while nobody looks. */
const FRAME_MILLISECONDS = 1_000;

const HEADS = ["Status", "Job", "Type", "Project", "Progress", "Stage and message"];

export class Lists {
  /** @type {Rows} */ #active;
  /** @type {Rows} */ #finished;
  /** @type {ListsListener} */ #listener;
  /** @type {Map<string, RowJob | null>} what has changed since the last frame; null: it is gone */
  #changes = new Map();
  /** @type {ReturnType<typeof setTimeout> | null} what is to be drawn soon */ #drawing = null;
  #drawnAt = -Infinity;
  #heldUntil = -Infinity;

  /**
   * @param {HTMLElement} active
   * @param {HTMLElement} finished
   * @param {() => number} now by the clock that tells the times of jobs
   * @param {ListsListener} listener
   */
  constructor(active, finished, now, listener) {
    this.#listener = listener;
    this.#active = new Rows(active, {
      label: "Unfinished jobs, newest first",
      heads: [...HEADS, "ETA", "Progressed"],
      at: (job) => job.created_at,
      mostShown: MOST_SHOWN,
      now,
    });
    this.#finished = new Rows(finished, {
      label: "Finished jobs, newest first",
      heads: [...HEADS, "Took", "Finished"],
      at: (job) => job.updated_at,
      mostShown: MOST_FINISHED,
      now,
      mostOfStatus: MOST_FINISHED,
    });
  }

  /** How many jobs there are in each list. */
  get sizes() {
    return { active: this.#active.sizes, finished: this.#finished.sizes };
  }

  /** The jobs that are counted: all unfinished ones, and of the finished ones as many of each status as are kept. */
  *counted() {
    yield* this.#active.jobs();
    yield* this.#finished.jobs();
  }

  /** The statuses of which there are more than are counted, as far as is known here. */
  get uncounted() {
    return this.#finished.forgotten;
  }

  /** The ids of the jobs that are shown, in their order. */
  get ids() {
    return [...this.#active.ids, ...this.#finished.ids];
  }

  /** Take in a state of a job, or that it is gone. @param {string} jobId @param {RowJob | null} job */
  change(jobId, job) {
    const before = this.#changes.get(jobId);
    if (job && before && isNewer(job, before)) return;
    this.#changes.set(jobId, job);
    this.redraw();
  }

  /** Forget all jobs, and show what there is instead once it is `whole`. */
  clear() {
    this.#changes.clear();
    for (const rows of [this.#active, this.#finished]) rows.clear();
    this.#heldUntil = performance.now() + PATIENCE_MILLISECONDS;
    this.#schedule();
  }

  /** All has been told that there is. */
  whole() {
    this.#heldUntil = -Infinity;
    this.#schedule();
  }

  /** @param {(job: RowJob) => boolean} isWanted */
  filter(isWanted) {
    for (const rows of [this.#active, this.#finished]) rows.filter(isWanted);
    this.redraw();
  }

  /** @param {number} now */
  tick(now) {
    for (const rows of [this.#active, this.#finished]) rows.tick(now);
  }

  /** Write soon what has changed. */
  redraw() {
    if (this.#drawing === null) this.#schedule();
  }

  #schedule() {
    if (this.#drawing !== null) clearTimeout(this.#drawing);
    const dueAt = Math.max(this.#drawnAt + DRAW_MILLISECONDS, this.#heldUntil);
    const wait = Math.max(0, dueAt - performance.now());
    this.#drawing = setTimeout(() => inFrame(() => this.#draw()), wait);
  }

  #draw() {
    if (this.#heldUntil > performance.now()) return; // it was cleared meanwhile, and is scheduled anew
    this.#drawing = null;
    this.#drawnAt = performance.now();
    for (const [jobId, job] of this.#changes) {
      if (job) this.#put(job);
      else for (const rows of [this.#active, this.#finished]) rows.remove(jobId);
    }
    this.#changes.clear();
    for (const rows of [this.#active, this.#finished]) rows.draw();
    this.#listener.onDrawn();
  }

  /** @param {RowJob} job */
  #put(job) {
    const [running, past] = [this.#active.job(job.job_id), this.#finished.job(job.job_id)];
    const known = running ?? past;
    if (known && isNewer(job, known)) return;
    this.#listener.onJob(job);
    if (isFinished(job.status)) {
      this.#active.remove(job.job_id);
      this.#finished.put(past?.attempt === job.attempt ? { ...past, ...job } : job);
      if (running) this.#listener.onOutcome(job, job.status);
    } else {
      this.#finished.remove(job.job_id);
      this.#active.put(job);
      if (running && job.stall_reason && !running.stall_reason) this.#listener.onOutcome(job, "stalled");
    }
  }
}

/**
 * Draw in the next frame, or without one: what has changed must not pile up in a tab that nobody looks at.
 * @param {() => void} draw
 */
function inFrame(draw) {
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, FRAME_MILLISECONDS);
  function once() {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    draw();
  }
}
