/** The search field: narrows the lists as one types, and opens a job by its id. */

import { request } from "../page/session.js";

/**
 * @typedef {object} SearchOptions
 * @property {(text: string) => void} onType
 * @property {(text: string) => string | null} findShown returns the id that is meant, if that job is shown
 */

export class Search {
  /** @type {HTMLInputElement} */ #field;
  /** @type {HTMLElement} */ #hint;
  /** @type {SearchOptions} */ #options;

  /**
   * @param {HTMLFormElement} form with a field `search`
   * @param {HTMLElement} hint where is told that nothing was found
   * @param {SearchOptions} options
   */
  constructor(form, hint, options) {
    this.#field = /** @type {HTMLInputElement} */ (form.elements.namedItem("search"));
    this.#hint = hint;
    this.#options = options;
    this.#field.addEventListener("input", () => this.#type());
    this.#field.addEventListener("keydown", (event) => this.#leave(event));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#open(this.#field.value.trim());
    });
  }

  /** @param {string} text */
  show(text) {
    if (this.#field.value.trim() !== text) this.#field.value = text;
  }

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  #type() {
    this.#hint.textContent = "";
    this.#options.onType(this.#field.value.trim());
  }

  /** @param {KeyboardEvent} event */
  #leave(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    if (this.#field.value === "") this.#field.blur();
    this.#field.value = "";
    this.#type();
  }

  /** @param {string} text */
  async #open(text) {
    if (text === "") return;
    const shown = this.#options.findShown(text);
    this.#hint.textContent = shown === null ? "Looking …" : "";
    const problem = shown === null ? await problemOf(text) : null;
    if (this.#field.value.trim() !== text) return;
    this.#hint.textContent = problem ?? "";
    if (problem === null) location.assign(`/jobs/${encodeURIComponent(shown ?? text)}`);
  }
}

/** Return why there is no job to open, null if there is one. @param {string} jobId */
async function problemOf(jobId) {
  try {
    const { ok, status } = await request(`/v1/jobs/${encodeURIComponent(jobId)}?view=brief`);
    if (ok) return null;
    return status === 404 || status === 403 || status === 422
      ? "No job has this id."
      : `The sidecar answered ${status}.`;
  } catch {
    return "The sidecar cannot be reached.";
  }
}
