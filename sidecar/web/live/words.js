/** What a row says of its job, in words. All pure. */

import { countedText, isFinished, isStill } from "../page/words.js";
import { duration, percent } from "../page/text.js";

/**
 * @typedef {import("../progress.js").BriefJob} BriefJob
 *
 * @typedef {object} History what only whole jobs tell
 * @property {string | null} [started_at]
 * @property {string | null} [finished_at]
 * @property {string | null} [error_message]
 *
 * @typedef {BriefJob & History & { created_at: string, last_progress_at?: string | null }} RowJob
 */

export const NOTHING = "–";
/** An ETA that has passed so long ago was wrong. */
const LATE_SECONDS = 30;
/** Percent from which on an ETA that has just passed means that the end is near. */
const NEARLY_DONE = 95;

/** @type {Record<string, string>} */
const STALL = {
  silent: "silent",
  no_progress: "no progress",
  overdue: "overdue",
  deadline: "past its deadline",
  not_started: "not started",
  cancel_stuck: "cancel ignored",
};

/**
 * Return what a row shows of a whole job.
 * @param {import("../progress.js").Job} job
 * @returns {RowJob}
 */
export function rowOf(job) {
  const { eta, stall, error } = job;
  return {
    ...job,
    eta_seconds: eta?.seconds ?? null,
    stall_reason: stall?.reason ?? null,
    error_message: errorText(error),
  };
}

/** @param {string} reason */
export function stallWords(reason) {
  return `Stalled: ${STALL[reason] ?? reason.replaceAll("_", " ")}`;
}

/**
 * Whether nobody knows what share of the job is done.
 * @param {BriefJob} job
 */
export function isShareUnknown(job) {
  return job.status !== "queued" && !isFinished(job.status) && !job.percent && job.stage_percent !== 0;
}

/** @param {BriefJob} job */
export function shareText(job) {
  if (job.status === "queued" && !job.percent) return NOTHING;
  return isShareUnknown(job) ? NOTHING : percent(job.percent);
}

/**
 * Where the job is, before its message: its stage, and what it has counted if the message does not say.
 * @param {RowJob} job
 */
export function stageText(job) {
  const stage = job.stage_label || job.stage;
  if (job.status === "failed" || job.status === "cancelled") return stage ? `in ${stage}` : "";
  if (isFinished(job.status)) return "";
  return stage ?? "";
}

/** @param {RowJob} job */
export function messageText(job) {
  if (job.status === "failed" && job.error_message) return job.error_message;
  const message = job.message === stageText(job) ? "" : job.message; // it stands before it
  return message || countedText(job) || "";
}

/**
 * How long it may take yet, or has taken.
 * @param {RowJob} job
 * @param {number} now
 */
export function timeText(job, now) {
  if (isFinished(job.status)) return duration(tookSeconds(job));
  if (typeof job.eta_seconds !== "number" || job.status !== "running" || isStill(job.stall_reason))
    return NOTHING;
  const left = job.eta_seconds - (now - Date.parse(job.updated_at)) / 1000;
  if (left < -LATE_SECONDS || (left < 1 && (job.percent ?? 0) < NEARLY_DONE)) return "late";
  return left < 1 ? "any moment" : duration(left);
}

/**
 * When the job last got anywhere, or ended.
 * @param {RowJob} job
 */
export function movedAt(job) {
  if (isFinished(job.status)) return job.finished_at ?? job.updated_at;
  return job.last_progress_at ?? job.updated_at;
}

/** @param {RowJob} job */
function tookSeconds(job) {
  const begin = job.started_at === undefined ? job.created_at : job.started_at;
  return begin ? Math.max(0, (Date.parse(movedAt(job)) - Date.parse(begin)) / 1000) : null;
}

/** @param {import("../progress.js").JobError | null} error */
function errorText(error) {
  const [type, message] = [error?.type, error?.message];
  return [type, message].filter(Boolean).join(": ") || null;
}
