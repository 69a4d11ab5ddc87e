/** What the pages say of a job, in words. All pure. */

import { ago, count, duration, moment, percent } from "./text.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {import("../progress.js").Stage} Stage
 * @typedef {import("../progress.js").State} State
 */

/** @type {Record<string, string>} */
const STATUS = {
  queued: "Queued",
  running: "Running",
  paused: "Paused",
  blocked: "Blocked",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  lost: "Lost",
};

/** @type {Record<string, string>} */
const STALL = {
  silent: "nothing is heard from its worker",
  no_progress: "its worker reports, but nothing moves",
  overdue: "it takes much longer than such jobs usually do",
  deadline: "it has passed its deadline",
  not_started: "nobody has begun it",
  cancel_stuck: "it was asked to stop, and has not",
};

/** Whose worker has been heard so much later than its job got on is alive, and stuck. */
const NOTABLE_SECONDS = 10;

/** The reasons for which a job does not get on: when it will end, nobody can say. */
const STILL = new Set(["silent", "no_progress"]);

/** @type {Record<State, string>} */
const CONNECTION = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  polling: "Polling",
  ended: "Ended",
};

const FINISHED = new Set(["completed", "failed", "cancelled", "lost"]);

/** @param {string} status */
export function isFinished(status) {
  return FINISHED.has(status);
}

/** @param {string} status */
export function statusWord(status) {
  return STATUS[status] ?? status;
}

/**
 * Of what colour its bar is.
 * @param {Pick<Job, "status" | "stall">} job
 */
export function tone({ status, stall }) {
  if (status === "completed") return "good";
  if (status === "failed" || status === "lost") return "bad";
  if (stall || status === "blocked") return "warn";
  return status === "running" ? "" : "calm";
}

/** @param {State} state */
export function connectionWord(state) {
  return CONNECTION[state] ?? state;
}

/**
 * Whether nobody can say what share of the whole is done: it has not begun, or there is neither a plan that weighs
 * anything nor a total.
 * @param {Job} job
 */
export function isShareUnknown(job) {
  if (isFinished(job.status) || job.percent) return false;
  if (job.status === "queued") return true; // nobody has begun it
  return !job.stages.some((stage) => stage.weight > 0) && (job.stage_percent === null || job.stage !== null);
}

/**
 * `74 of 216 clusters`, `74 of 216 clusters found so far`, `74 clusters so far`, null if nothing is counted.
 * @param {Pick<Job, "current" | "total" | "unit"> & { total_growing?: boolean }} job
 */
export function countedText({ current, total, unit, total_growing: isGrowing }) {
  if (current === null) return null;
  const of = total === null ? "" : ` of ${count(total)}`;
  const soFar = total === null ? " so far" : isGrowing ? " found so far" : "";
  return `${count(current)}${of}${unit ? ` ${unit}` : ""}${soFar}`;
}

/**
 * What a screen reader says of the bar.
 * @param {Job} job
 */
export function barText(job) {
  const unknown = job.status === "queued" ? null : "share unknown";
  const share = isShareUnknown(job) ? unknown : percent(job.percent);
  const stage = isFinished(job.status) ? null : job.stage_label;
  return [share, statusWord(job.status).toLowerCase(), stage].filter(Boolean).join(", ");
}

/** Whether nothing moves in a stalled job. @param {string | null | undefined} reason of the stall */
export function isStill(reason) {
  return typeof reason === "string" && STILL.has(reason);
}

/**
 * When it may end, in seconds from now: what the sidecar has said, less the time since then. Null if it has
 * not, or nothing moves.
 * @param {Job} job
 * @param {number} now
 */
export function remaining(job, now) {
  if (!job.eta || isFinished(job.status) || isStill(job.stall?.reason)) return null;
  const { seconds, low_seconds: low, high_seconds: high } = job.eta;
  const since = Math.max(0, (now - Date.parse(job.updated_at)) / 1000);
  /** @param {number | null} from */
  const left = (from) => (from === null ? null : Math.max(0, from - since));
  return {
    seconds: left(seconds) ?? 0,
    low: left(low),
    high: left(high),
    isOverdue: since > (high ?? seconds) + 1,
  };
}

/** @param {number} seconds from now */
export function remainingText(seconds) {
  return seconds < 1 ? "any moment" : `about ${duration(seconds)}`;
}

/**
 * How long the job has run, or did.
 * @param {Pick<Job, "started_at" | "finished_at">} job
 * @param {number} now
 * @returns {number | null} seconds
 */
export function elapsedSeconds(job, now) {
  if (!job.started_at) return null;
  const end = job.finished_at ? Date.parse(job.finished_at) : now;
  return Math.max(0, (end - Date.parse(job.started_at)) / 1000);
}

/**
 * When the worker was last heard, if that is notably later than the last progress; else null.
 * @param {Pick<Job, "last_contact_at" | "last_progress_at">} job
 * @param {number} now
 */
export function heardText({ last_contact_at: heard, last_progress_at: moved }, now) {
  if (!heard || !moved || Date.parse(heard) - Date.parse(moved) < NOTABLE_SECONDS * 1000) return null;
  return `worker heard ${ago(heard, now)}`;
}

/** @param {import("../progress.js").Stall} stall */
export function stallText(stall) {
  return `Stalled since ${moment(stall.since)}: ${stallReason(stall.reason)}`;
}

/** @param {string} reason */
export function stallReason(reason) {
  return STALL[reason] ?? reason;
}

/** @param {Pick<Stage, "name" | "label">} stage */
export function stageName(stage) {
  return stage.label || stage.name;
}

/**
 * Any value of JSON as text, indented.
 * @param {unknown} value
 */
export function jsonText(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** @param {unknown} value */
export function isEmpty(value) {
  return (
    value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0)
  );
}
