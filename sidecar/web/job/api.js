/** What one job's page asks the sidecar for, beside watching. */

import { request } from "../page/session.js";

/**
 * @typedef {import("./controls.js").Wish} Wish
 * @typedef {import("./controls.js").Refusal} Refusal
 */

const DEADLINE_MILLISECONDS = 10_000;

/**
 * @param {string} jobId
 * @param {number} after
 * @param {number} limit
 * @returns {Promise<import("./story.js").TimelineEvent[]>}
 */
export async function readTimeline(jobId, after, limit) {
  return (await read(`${path(jobId)}/timeline?after=${after}&limit=${limit}`)).events;
}

/**
 * @param {string} jobId
 * @returns {Promise<import("./attempts.js").AttemptRow[]>}
 */
export async function readAttempts(jobId) {
  return (await read(`${path(jobId)}/attempts`)).attempts;
}

/**
 * @param {string} jobId
 * @param {Wish} wish
 * @returns {Promise<Refusal>}
 */
export async function ask(jobId, wish) {
  try {
    const answer = await request(`${path(jobId)}/${wish}`, { method: "POST", signal: deadline() });
    return answer.ok ? null : await refusal(answer);
  } catch {
    return { isForbidden: false, text: "The sidecar did not answer. Try again." };
  }
}

/** @param {Response} answer @returns {Promise<Refusal>} */
async function refusal(answer) {
  if (answer.status === 401 || answer.status === 403) {
    return { isForbidden: true, text: "You may look, but not ask for this. It needs an operator's token." };
  }
  if (answer.status === 409) return { isForbidden: false, text: "The job has finished in the meantime." };
  const problem = await answer.json().catch(() => ({}));
  return { isForbidden: false, text: problem.detail ?? `The sidecar answered ${answer.status}.` };
}

/** @param {string} url @returns {Promise<any>} */
async function read(url) {
  const answer = await request(url, { signal: deadline() });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

/** @param {string} jobId */
function path(jobId) {
  return `/v1/jobs/${encodeURIComponent(jobId)}`;
}

function deadline() {
  return AbortSignal.timeout(DEADLINE_MILLISECONDS);
}
