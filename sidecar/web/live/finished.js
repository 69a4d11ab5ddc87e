/** The jobs that have finished last, as the sidecar lists them; asked for again when others have finished. */

import { FINISHED } from "./filters.js";
import { rowOf } from "./words.js";
import { request } from "../page/session.js";

/**
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {import("./words.js").RowJob} RowJob
 *
 * @typedef {object} FinishedListener
 * @property {(jobs: RowJob[]) => void} onJobs
 * @property {(isFailing: boolean) => void} onTrouble
 */

const MOST_FINISHED = 50;
const AGAIN_MILLISECONDS = 5_000;

export class FinishedJobs {
  /** @type {FinishedListener} */ #listener;
  /** @type {Filters | null} */ #filters = null;
  #asking = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {FinishedListener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Ask now; what was asked for before is not wanted any more. @param {Filters} filters */
  async ask(filters) {
    this.stop();
    this.#filters = filters;
    const { signal } = (this.#asking = new AbortController());
    try {
      const jobs = await finishedJobs(filters);
      if (signal.aborted) return;
      this.#listener.onJobs(jobs);
      this.#listener.onTrouble(false);
    } catch {
      if (signal.aborted) return;
      this.#listener.onTrouble(true);
      this.askSoon();
    }
  }

  /** Ask in some seconds: rows do not tell errors, and when a job began. */
  askSoon() {
    this.#timer ??= setTimeout(() => this.#filters && this.ask(this.#filters), AGAIN_MILLISECONDS);
  }

  stop() {
    this.#asking.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/**
 * Return the last ones of all, which are counted, and the last ones of the statuses that are wanted.
 * @param {Filters} filters
 */
async function finishedJobs(filters) {
  const wanted = FINISHED.filter((status) => filters.statuses.includes(status));
  /** @type {Record<string, string>[]} */
  const parts = [{ active: "false" }, ...(wanted.length ? [{ status: wanted.join(",") }] : [])];
  return (await Promise.all(parts.map((part) => listed(filters, part)))).flat();
}

/**
 * @param {Filters} filters
 * @param {Record<string, string>} part
 * @returns {Promise<RowJob[]>}
 */
async function listed({ project, jobType }, part) {
  const query = new URLSearchParams({ ...part, order: "-updated_at", limit: String(MOST_FINISHED) });
  if (project !== "*") query.set("project", project);
  if (jobType) query.set("job_type", jobType);
  const response = await request(`/v1/jobs?${query}`);
  if (!response.ok) throw new Error(`the list was answered ${response.status}`);
  return (await response.json()).jobs.map(rowOf);
}
