/** Who reads these pages: a session where the sidecar wants a token, and a token in memory for what may change jobs. */

import { el } from "./text.js";

const REQUEST_MILLISECONDS = 10_000;

/** The token that was typed on this page to control jobs; it is kept nowhere else. */
const typed = { token: /** @type {string | null} */ (null) };

/**
 * Resolve when the page may read: at once without tokens or with a session, else when somebody has signed in.
 * @param {HTMLElement} root where the form is put
 */
export async function openSession(root) {
  const response = await request("/v1/session");
  const { is_token_required: isRequired, is_signed_in: isSignedIn } = await response.json();
  if (isRequired && !isSignedIn) await signIn(root);
}

/**
 * Ask for a token that lets this page control jobs, for as long as it is open. Resolves to false if none was given.
 * @param {HTMLElement} root
 * @param {string} why
 */
export async function askForToken(root, why) {
  const token = await ask(root, { title: "A token is needed", why, action: "Go on", canCancel: true }, async () => null);
  typed.token = token ?? typed.token;
  return token !== null;
}

/**
 * Fetch from the sidecar, with the token that was typed if there is one.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export function request(path, options = {}) {
  const headers = new Headers(options.headers);
  if (typed.token !== null) headers.set("Authorization", `Bearer ${typed.token}`);
  return fetch(path, { ...options, headers, signal: options.signal ?? AbortSignal.timeout(REQUEST_MILLISECONDS) });
}

/** @param {HTMLElement} root */
async function signIn(root) {
  const why = "This sidecar shows jobs to those who have a token. The session that it opens can only read.";
  await ask(root, { title: "Sign in", why, action: "Sign in", canCancel: false }, openWith);
}

/**
 * Open a session; returns what is wrong, null if nothing is.
 * @param {string} token
 */
async function openWith(token) {
  const body = JSON.stringify({ token });
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch("/v1/session", { method: "POST", body, headers });
    if (response.ok) return null;
    return response.status === 401 ? "This token is not known here." : "The sidecar refused this token.";
  } catch {
    return "The sidecar cannot be reached.";
  }
}

/**
 * Ask for a token in a dialog until `check` finds nothing wrong. Resolves to it, or to null if it was closed.
 * @param {HTMLElement} root
 * @param {{ title: string, why: string, action: string, canCancel: boolean }} words
 * @param {(token: string) => Promise<string | null>} check
 * @returns {Promise<string | null>}
 */
function ask(root, words, check) {
  return new Promise((resolve) => {
    const field = el("input", { type: "password", name: "token", autocomplete: "current-password", required: true });
    const problem = el("p", { class: "error-text", role: "alert" });
    const cancel = words.canCancel && el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const form = el(
      "form",
      { method: "dialog", onsubmit: submit },
      el("h2", { id: "ask-title" }, words.title),
      el("p", { class: "muted" }, words.why),
      el("label", null, "Token", field),
      problem,
      el("div", { class: "actions" }, cancel, el("button", { class: "primary" }, words.action)),
    );
    const dialog = el("dialog", { "aria-labelledby": "ask-title", oncancel: refuse, onclose: () => end(null) }, form);

    /** @param {SubmitEvent} event */
    async function submit(event) {
      event.preventDefault();
      problem.textContent = (await check(field.value)) ?? "";
      if (problem.textContent === "") end(field.value);
    }

    /** @param {Event} event */
    function refuse(event) {
      if (!words.canCancel) event.preventDefault();
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
