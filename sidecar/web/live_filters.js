/** What the page is asked to show: kept in its address, so that a view can be sent to somebody. */

import { el } from "./text.js";

/**
 * @typedef {object} Filters
 * @property {string} project `*` for every one
 * @property {string} jobType empty for any
 * @property {string} status empty for any
 * @property {boolean} isStalled whether only stalled jobs are wanted
 * @property {string} search part of an id
 */

/** @type {Record<string, string>} */
const NOTHING = { project: "*", job_type: "", status: "", stalled: "", search: "" };

/**
 * Read filters out of the query of an address.
 * @param {string} query
 * @returns {Filters}
 */
export function parseFilters(query) {
  const given = new URLSearchParams(query);
  return {
    project: given.get("project") || "*",
    jobType: given.get("job_type") ?? "",
    status: given.get("status") ?? "",
    isStalled: given.get("stalled") === "true",
    search: given.get("search") ?? "",
  };
}

/**
 * Return the query of an address; what is not asked for is left out.
 * @param {Filters} filters
 */
export function queryOf({ project, jobType, status, isStalled, search }) {
  const all = { project, job_type: jobType, status, stalled: isStalled ? "true" : "", search: search.trim() };
  const given = Object.entries(all).filter(([name, value]) => value !== NOTHING[name]);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/**
 * Whether a job is one of those that are looked for. Project and type are asked of the sidecar already.
 * @param {Filters} filters
 * @param {import("./progress.js").BriefJob} job
 */
export function isWanted({ status, isStalled, search }, job) {
  const hasStatus = status === "" || job.status === status;
  const isFound = job.job_id.toLowerCase().includes(search.trim().toLowerCase());
  return hasStatus && isFound && (!isStalled || Boolean(job.stall_reason));
}

/** @param {Filters} a @param {Filters} b whether both ask the sidecar for the same */
export function isSameSelection(a, b) {
  return a.project === b.project && a.jobType === b.jobType;
}

/** The form, and the names that have turned up to choose from. */
export class FilterForm {
  /**
   * @param {HTMLFormElement} form
   * @param {{ statuses: readonly string[], onChange: (filters: Filters) => void, onOpen: (jobId: string) => void }} options
   */
  constructor(form, { statuses, onChange, onOpen }) {
    this.form = form;
    this.fields = /** @type {Record<string, HTMLInputElement & HTMLSelectElement>} */ (
      Object.fromEntries(["project", "job_type", "status", "stalled", "search"].map((name) => [name, form.elements.namedItem(name)]))
    );
    fill(this.fields.project, [["*", "All"]]);
    fill(this.fields.job_type, [["", "Any"]]);
    fill(this.fields.status, [["", "Any"], ...statuses.map((status) => /** @type {[string, string]} */ ([status, status]))]);
    form.addEventListener("input", () => onChange(this.filters));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.filters.search.trim()) onOpen(this.filters.search.trim());
    });
  }

  /** @returns {Filters} */
  get filters() {
    const { project, job_type: jobType, status, stalled, search } = this.fields;
    const [isStalled, text] = [stalled.checked, search.value];
    return { project: project.value, jobType: jobType.value, status: status.value, isStalled, search: text };
  }

  /** @param {Filters} filters */
  show({ project, jobType, status, isStalled, search }) {
    this.learn("project", project);
    this.learn("job_type", jobType);
    this.fields.project.value = project;
    this.fields.job_type.value = jobType;
    this.fields.status.value = status;
    this.fields.stalled.checked = isStalled;
    if (this.fields.search.value.trim() !== search.trim()) this.fields.search.value = search;
  }

  /**
   * Offer a name, in its alphabetical place.
   * @param {"project" | "job_type"} field
   * @param {string} name
   */
  learn(field, name) {
    const select = this.fields[field];
    const known = Array.from(select.options);
    if (known.some((option) => option.value === name)) return;
    const next = known.slice(1).find((option) => option.value > name);
    select.insertBefore(el("option", { value: name }, name), next ?? null);
  }
}

/** @param {HTMLSelectElement} select @param {[string, string][]} choices */
function fill(select, choices) {
  select.replaceChildren(...choices.map(([value, text]) => el("option", { value }, text)));
}
