/** What the page is asked to show. It stands in the address, so that a view can be sent on. All pure. */

/**
 * @typedef {import("../progress.js").BriefJob} BriefJob
 * @typedef {import("../progress.js").JobStatus} JobStatus
 *
 * @typedef {object} Filters
 * @property {string} project `*`: every one
 * @property {string} jobType empty: any
 * @property {readonly JobStatus[]} statuses empty: any
 * @property {boolean} isStalled whether only stalled jobs are wanted
 * @property {string} search a part of the id
 */

/** @type {readonly JobStatus[]} */
export const UNFINISHED = ["running", "queued", "paused", "blocked"];
/** @type {readonly JobStatus[]} */
export const FINISHED = ["completed", "failed", "cancelled", "lost"];
const STATUSES = [...UNFINISHED, ...FINISHED];

/** What projects and types may be called. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** @type {Readonly<Filters>} */
export const EVERYTHING = Object.freeze({
  project: "*",
  jobType: "",
  statuses: [],
  isStalled: false,
  search: "",
});

/**
 * Read filters from the query of an address; what makes no sense is left out.
 * @param {string} query
 * @returns {Filters}
 */
export function parseFilters(query) {
  const given = new URLSearchParams(query);
  const statuses = given.getAll("status").flatMap((each) => each.split(","));
  return {
    project: nameIn(given.get("project")) || EVERYTHING.project,
    jobType: nameIn(given.get("job_type")),
    statuses: STATUSES.filter((status) => statuses.includes(status)),
    isStalled: given.get("stalled") === "true",
    search: (given.get("search") ?? "").trim(),
  };
}

/**
 * Return the query of an address, empty if everything is wanted.
 * @param {Filters} filters
 */
export function queryOf({ project, jobType, statuses, isStalled, search }) {
  const query = new URLSearchParams();
  if (project !== EVERYTHING.project) query.set("project", project);
  if (jobType) query.set("job_type", jobType);
  if (statuses.length) query.set("status", statuses.join(","));
  if (isStalled) query.set("stalled", "true");
  if (search) query.set("search", search);
  const text = query.toString().replaceAll("%2C", ",");
  return text && `?${text}`;
}

/**
 * Whether a job is one of those that are looked for.
 * @param {Filters} filters
 * @param {BriefJob} job
 */
export function isWanted({ statuses, isStalled, search }, job) {
  if (statuses.length > 0 && !statuses.includes(job.status)) return false;
  if (isStalled && !job.stall_reason) return false;
  return search === "" || job.job_id.toLowerCase().includes(search.toLowerCase());
}

/**
 * Whether both ask the sidecar for the same jobs; all else is chosen here.
 * @param {Filters} one
 * @param {Filters} other
 */
export function isSameSelection(one, other) {
  return one.project === other.project && one.jobType === other.jobType;
}

/**
 * Whether no unfinished job can be among those that are wanted.
 * @param {Filters} filters
 */
export function isOnlyFinished({ statuses }) {
  return statuses.length > 0 && statuses.every((status) => FINISHED.includes(status));
}

/**
 * Add a status to those that are wanted, or take it away.
 * @param {Filters} filters
 * @param {JobStatus} status
 * @returns {Filters}
 */
export function toggled(filters, status) {
  const { statuses } = filters;
  const rest = statuses.filter((each) => each !== status);
  return { ...filters, statuses: rest.length < statuses.length ? rest : [...statuses, status] };
}

/** @param {string | null} text */
function nameIn(text) {
  return text !== null && NAME.test(text) ? text : "";
}
