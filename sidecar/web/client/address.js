/** Where the sidecar is, and the URLs of what it serves. */

const SERVED_AT = /\/web\/client\/address\.js(?:[?#].*)?$/;

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */

export class Address {
  /** @type {string} */ #base;
  /** @type {string | undefined} */ #link;

  /**
   * @param {string | URL} [url] of the sidecar; by default where this module came from, else the page's
   * origin
   * @param {string} [link] the right to one job, which is a part of each URL
   */
  constructor(url, link) {
    this.#link = link || undefined;
    this.#base = String(url ?? ownBase()).replace(/\/+$/, "");
  }

  /** The sidecar's URL, without a slash at its end. */
  get base() {
    return this.#base;
  }

  /** @param {string} jobId @param {Query} [query] */
  job(jobId, query) {
    return this.#url(`/v1/jobs/${encodeURIComponent(jobId)}`, query);
  }

  /** @param {string} jobId @param {Query} [query] */
  jobEvents(jobId, query) {
    return this.#url(`/v1/jobs/${encodeURIComponent(jobId)}/events`, query);
  }

  /** @param {Query} [query] */
  jobs(query) {
    return this.#url("/v1/jobs", query);
  }

  /** @param {Query} [query] */
  events(query) {
    return this.#url("/v1/events", query);
  }

  tickets() {
    return this.#url("/v1/tickets");
  }

  /** @param {Query} [query] */
  socket(query) {
    return this.#url("/v1/ws", query).replace(/^http/, "ws");
  }

  /** @param {string} path @param {Query} [query] */
  #url(path, query = {}) {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...query, link: this.#link })) {
      if (value !== null && value !== undefined) parameters.set(name, String(value));
    }
    const text = parameters.toString();
    return this.#base + path + (text && `?${text}`);
  }
}

function ownBase() {
  const from = import.meta.url;
  if (/^https?:/.test(from) && SERVED_AT.test(from)) return from.replace(SERVED_AT, "");
  if (/^https?:/.test(globalThis.location?.origin ?? "")) return globalThis.location.origin;
  throw new TypeError("`url` must say where the sidecar is: neither this module nor a page came from there");
}
