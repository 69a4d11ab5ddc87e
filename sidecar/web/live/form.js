/** The choice of a project and of a type, among the names that have turned up. */

import { el } from "../page/text.js";

/**
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {Pick<Filters, "project" | "jobType">} Selected
 */

/** Of so many names can one be chosen; those that turn up later stand in addresses only. */
const MOST_NAMES = 1_000;

export class FilterForm {
  /** @type {HTMLSelectElement} */ #project;
  /** @type {HTMLSelectElement} */ #jobType;
  #known = { project: new Set(["*"]), jobType: new Set([""]) };

  /**
   * @param {HTMLFormElement} form with a select `project` and a select `job_type`
   * @param {(selected: Selected) => void} onChoose
   */
  constructor(form, onChoose) {
    this.#project = select(form, "project");
    this.#jobType = select(form, "job_type");
    this.#project.append(el("option", { value: "*" }, "All"));
    this.#jobType.append(el("option", { value: "" }, "All"));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => {
      onChoose({ project: this.#project.value, jobType: this.#jobType.value });
    });
  }

  /** @param {Selected} selected */
  show({ project, jobType }) {
    offer(this.#project, this.#known.project, project);
    offer(this.#jobType, this.#known.jobType, jobType);
    this.#project.value = project;
    this.#jobType.value = jobType;
  }

  /** Offer the names that a job has. @param {{ project: string, job_type: string }} job */
  learn({ project, job_type: jobType }) {
    if (this.#known.project.size < MOST_NAMES) offer(this.#project, this.#known.project, project);
    if (this.#known.jobType.size < MOST_NAMES) offer(this.#jobType, this.#known.jobType, jobType);
  }
}

/**
 * Put a name that is new in its alphabetical place.
 * @param {HTMLSelectElement} choice
 * @param {Set<string>} known
 * @param {string} name
 */
function offer(choice, known, name) {
  if (known.has(name)) return;
  known.add(name);
  const next = Array.from(choice.options).find((option, index) => index > 0 && option.value > name);
  choice.insertBefore(el("option", { value: name }, name), next ?? null);
}

/** @param {HTMLFormElement} form @param {string} name */
function select(form, name) {
  return /** @type {HTMLSelectElement} */ (form.elements.namedItem(name));
}
