/** The jobs of each status that have finished last, as the sidecar lists them; asked again when others have. */

import { FINISHED } from "./filters.js";
import { rowOf } from "./words.js";
import { request } from "../page/session.js";

/**
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {import("./words.js").RowJob} RowJob
 *
 * @typedef {object} FinishedListener
 * @property {(jobs: RowJob[]) => void} onJobs
 * @property {(statuses: ReadonlySet<string>) => void} onMore of which there are more than were listed
 * @property {(isFailing: boolean) => void} onTrouble
 */

/** So many of each status are listed. */
export const MOST_FINISHED = 50;
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
  ask(filters) {
    return this.#ask(filters, async () => {
      const lists = await Promise.all(
        FINISHED.map((status) => listed(filters, { status }, MOST_FINISHED + 1)),
      );
      const more = FINISHED.filter((_, number) => lists[number].length > MOST_FINISHED);
      this.#listener.onMore(new Set(more));
      return lists.flatMap((jobs) => jobs.slice(0, MOST_FINISHED));
    });
  }

  /** Ask for the last ones in some seconds: rows do not tell errors, and when a job began. */
  askSoon() {
    const filters = this.#filters;
    if (filters)
      this.#later(() => this.#ask(filters, () => listed(filters, { active: "false" }, MOST_FINISHED)));
  }

  stop() {
    this.#asking.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {Filters} filters @param {() => Promise<RowJob[]>} read */
  async #ask(filters, read) {
    this.stop();
    this.#filters = filters;
    const { signal } = (this.#asking = new AbortController());
    try {
      const jobs = await read();
      if (signal.aborted) return;
      this.#listener.onJobs(jobs);
      this.#listener.onTrouble(false);
    } catch {
      if (signal.aborted) return;
      this.#listener.onTrouble(true);
      this.#later(() => this.ask(filters));
    }
  }

  /** @param {() => void} ask */
  #later(ask) {
    this.#timer ??= setTimeout(ask, AGAIN_MILLISECONDS);
  }
}

/**
 * @param {Filters} filters
 * @param {Record<string, string>} part
 * @param {number} limit
 * @returns {Promise<RowJob[]>}
 */
async function listed({ project, jobType }, part, limit) {
  const query = new URLSearchParams({ ...part, order: "-updated_at", limit: String(limit) });
  if (project !== "*") query.set("project", project);
  if (jobType) query.set("job_type", jobType);
  const response = await request(`/v1/jobs?${query}`);
  if (!response.ok) throw new Error(`the list was answered ${response.status}`);
  return (await response.json()).jobs.map(rowOf);
}
