/**
 * Requests to the sidecar, each with a deadline and the caller's right; and tickets for what can send no
 * header.
 */

import { Timer } from "./clock.js";

/**
 * @typedef {import("./environment.js").Environment} Environment
 * @typedef {import("./address.js").Address} Address
 * @typedef {import("./server_time.js").ServerTime} ServerTime
 * @typedef {import("../progress.js").ConnectionOptions} ConnectionOptions
 */

const FATAL = new Map([
  [401, "unauthorized"],
  [403, "forbidden"],
]);

const ANY_JSON = { Accept: "application/json" };

/** An answer that is neither what was asked for nor "no such job". */
export class RequestError extends Error {
  /** @param {number} status @param {number} retrySeconds how long the server wants to be left alone */
  constructor(status, retrySeconds = 0) {
    super(`the sidecar answered ${status}`);
    this.name = "RequestError";
    this.status = status;
    this.retrySeconds = retrySeconds;
  }

  /** Why it makes no sense to ask again, null if it does. */
  get fatalReason() {
    return FATAL.get(this.status) ?? null;
  }
}

export class Requests {
  /** @type {Environment} */ #environment;
  /** @type {Address} */ #address;
  /** @type {ServerTime} */ #time;
  /** @type {Pick<ConnectionOptions, "token" | "getTicket" | "link">} */ #rights;

  /**
   * @param {Environment} environment
   * @param {Address} address
   * @param {ServerTime} time is told by each answer
   * @param {Pick<ConnectionOptions, "token" | "getTicket" | "link">} rights
   */
  constructor(environment, address, time, rights) {
    this.#environment = environment;
    this.#address = address;
    this.#time = time;
    this.#rights = rights;
  }

  /** Tells whose right is used, as far as it can be told: two tokens differ, two functions do not. */
  get identity() {
    const { token, getTicket, link } = this.#rights;
    if (link) return digest(link);
    if (getTicket) return "ticket";
    return typeof token === "string" && token ? digest(token) : typeof token;
  }

  /**
   * GET JSON; null for 204 and 404, which `status` tells apart.
   * @param {string} url
   * @param {AbortSignal} signal
   * @param {number} [waitSeconds] how long the server may take on purpose
   * @returns {Promise<{status: number, body: any}>}
   * @throws {RequestError} for any other answer; whatever `fetch` throws when none came in time
   */
  async get(url, signal, waitSeconds = 0) {
    const { token, getTicket } = this.#rights;
    if (getTicket && !token) {
      const ticketed = `${url}${url.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(await getTicket())}`;
      return this.#send(ticketed, { headers: ANY_JSON }, signal, waitSeconds);
    }
    return this.#withToken((headers) => this.#send(url, { headers }, signal, waitSeconds));
  }

  /**
   * Return a new ticket for one connection, null if none is used.
   * @param {AbortSignal} signal
   * @returns {Promise<string | null>}
   */
  async ticket(signal) {
    const { token, getTicket } = this.#rights;
    if (getTicket) return getTicket();
    if (!token) return null;
    /** @param {Record<string, string>} headers */
    const exchange = (headers) => this.#send(this.#address.tickets(), { method: "POST", headers }, signal);
    return (await this.#withToken(exchange)).body?.ticket ?? null;
  }

  /**
   * Send with the token, and once more with a new one where a function gives it: the last may just have
   * expired.
   * @template Answer
   * @param {(headers: Record<string, string>) => Promise<Answer>} send
   * @returns {Promise<Answer>}
   */
  async #withToken(send) {
    try {
      return await send(await this.#headers());
    } catch (error) {
      const isExpired = error instanceof RequestError && error.status === 401;
      if (!isExpired || typeof this.#rights.token !== "function") throw error;
      return send(await this.#headers());
    }
  }

  /** @returns {Promise<Record<string, string>>} */
  async #headers() {
    const { token } = this.#rights;
    const value = typeof token === "function" ? await token() : token;
    return { ...ANY_JSON, ...(value && { Authorization: `Bearer ${value}` }) };
  }

  /**
   * @param {string} url
   * @param {RequestInit} request
   * @param {AbortSignal} signal
   * @param {number} [waitSeconds]
   */
  async #send(url, request, signal, waitSeconds = 0) {
    const { clock, fetch, timings } = this.#environment;
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    const deadline = new Timer(clock);
    deadline.start(waitSeconds + timings.requestSeconds, () =>
      controller.abort(new Error("no answer in time")),
    );
    try {
      const answer = await fetch(url, { ...request, cache: "no-store", signal: controller.signal });
      this.#time.readHeader(answer.headers.get("Date"));
      return await read(answer);
    } finally {
      deadline.stop();
      signal.removeEventListener("abort", abort);
    }
  }
}

/** Return what does not give a secret away (FNV-1a, 32 bits). @param {string} text */
function digest(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

/** @param {Response} answer */
async function read(answer) {
  if (answer.status === 204) return { status: 204, body: null };
  if (answer.ok) return { status: answer.status, body: await answer.json() };
  await answer.body?.cancel();
  if (answer.status === 404) return { status: 404, body: null };
  throw new RequestError(answer.status, Number(answer.headers.get("Retry-After")) || 0);
}
