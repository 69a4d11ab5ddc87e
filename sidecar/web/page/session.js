/** Who reads these pages: a session where the sidecar wants a token; a token in memory to control jobs. */

import { el } from "./text.js";

/**
 * @typedef {object} Session
 * @property {boolean} isTokenRequired
 * @property {boolean} mayControl whether jobs can be controlled without asking for another token
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {string} why
 * @property {string} action what the button says
 * @property {boolean} canCancel
 * @property {(token: string) => Promise<string | null>} check returns what is wrong, null if nothing is
 */

const REQUEST_MILLISECONDS = 10_000;
const AGAIN_MILLISECONDS = 2_000;

/** What stands for a token on the page of one job that somebody was handed a link to; null on all others. */
export const link = new URLSearchParams(location.search).get("link");

/** The token that was typed on this page to control jobs; it is kept nowhere else. */
const typed = { token: /** @type {string | null} */ (null) };

/**
 * Resolve when the page may read: at once without tokens or with a session, else when somebody has signed in.
 * While the sidecar does not answer it is asked again and again.
 * @param {HTMLElement} root where the form is put
 * @returns {Promise<Session>}
 */
export async function openSession(root) {
  if (link !== null) return { isTokenRequired: true, mayControl: false };
  const {
    is_token_required: isTokenRequired,
    is_signed_in: isSignedIn,
    may_control: mayControl,
  } = await session();
  if (!isTokenRequired || isSignedIn) return { isTokenRequired, mayControl };
  await ask(root, {
    title: "Sign in",
    why: "This sidecar shows jobs to those who have a token. The session that it opens can only read.",
    action: "Sign in",
    canCancel: false,
    check: openWith,
  });
  return { isTokenRequired, mayControl: false };
}

/** End the session, and show the page as strangers see it. */
export async function signOut() {
  await request("/v1/session", { method: "DELETE" }).catch(() => null);
  location.reload();
}

/**
 * Ask for a token that lets this page control jobs while it is open. Resolves to whether one was given.
 * @param {HTMLElement} root
 * @param {string} why
 */
export async function askForToken(root, why) {
  const check = async () => null; // what it may do shows when it is used
  const token = await ask(root, { title: "A token is needed", why, action: "Go on", canCancel: true, check });
  typed.token = token ?? typed.token;
  return token !== null;
}

/**
 * Fetch from the sidecar, with the token that was typed, if any. Without a `signal` it gives up after 10 s.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export function request(path, options = {}) {
  const headers = new Headers(options.headers);
  if (typed.token !== null) headers.set("Authorization", `Bearer ${typed.token}`);
  const url = new URL(path, location.origin);
  if (link !== null) url.searchParams.set("link", link);
  return fetch(url, {
    ...options,
    headers,
    signal: options.signal ?? AbortSignal.timeout(REQUEST_MILLISECONDS),
  });
}

/** @returns {Promise<any>} */
async function session() {
  for (;;) {
    const answer = await request("/v1/session").catch(() => null);
    if (answer?.ok) return answer.json();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
}

/**
 * Open a session; returns what is wrong, null if nothing is.
 * @param {string} token
 */
async function openWith(token) {
  const body = JSON.stringify({ token });
  try {
    const headers = { "Content-Type": "application/json" };
    const { ok, status } = await request("/v1/session", { method: "POST", body, headers });
    if (ok) return null;
    return status === 401 ? "This token is not known here." : `The sidecar refused this token (${status}).`;
  } catch {
    return "The sidecar cannot be reached.";
  }
}

/**
 * Ask for a token in a dialog until nothing is wrong with it. Resolves to null if the dialog was closed.
 * @param {HTMLElement} root
 * @param {Question} question
 * @returns {Promise<string | null>}
 */
function ask(root, { title, why, action, canCancel, check }) {
  return new Promise((resolve) => {
    const field = el("input", {
      type: "password",
      name: "token",
      autocomplete: "current-password",
      required: true,
    });
    const problem = el("p", { class: "error-text", role: "alert" });
    const cancel = canCancel && el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const go = el("button", { class: "primary" }, action);
    const dialog = el(
      "dialog",
      { "aria-labelledby": "ask-title", oncancel: refuse, onclose: () => end(null) },
      el(
        "form",
        { method: "dialog", onsubmit: submit },
        el("h2", { id: "ask-title" }, title),
        el("p", { class: "muted" }, why),
        el("label", null, "Token", field),
        problem,
        el("div", { class: "actions" }, cancel, go),
      ),
    );

    /** @param {SubmitEvent} event */
    async function submit(event) {
      event.preventDefault();
      const token = field.value.trim();
      go.disabled = true;
      const wrong = await check(token);
      go.disabled = false;
      problem.textContent = wrong ?? "";
      if (wrong === null) end(token);
      else field.select();
    }

    /** @param {Event} event */
    function refuse(event) {
      if (!canCancel) event.preventDefault();
    }

    /** @param {string | null} token */
    function end(token) {
      resolve(token);
      dialog.remove();
    }

    root.append(dialog);
    dialog.showModal();
  });
}
