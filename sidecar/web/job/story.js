/** What a line of a timeline says, in words. All pure. */

import { stageName, stallReason, statusWord } from "../page/words.js";
import { count, duration, percent, when } from "../page/text.js";

/**
 * @typedef {import("../progress.js").Job} Job
 *
 * @typedef {object} TimelineEvent
 * @property {number} number
 * @property {string} at
 * @property {string} type
 * @property {number} attempt
 * @property {Record<string, any>} details
 */

/** @type {Record<string, string>} */
const TYPES = {
  created: "Created",
  attempt_started: "Attempt started",
  started: "Started",
  stage_started: "Stage started",
  stage_completed: "Stage completed",
  progress: "Progress",
  paused: "Paused",
  resumed: "Resumed",
  blocked: "Blocked",
  unblocked: "Unblocked",
  cancel_requested: "Cancel requested",
  pause_requested: "Pause requested",
  resume_requested: "Resume requested",
  stalled: "Stalled",
  recovered: "Recovered",
  lost: "Lost",
  returned: "Returned",
  late: "Late report",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  deleted: "Deleted",
};

/** @param {string} type one of the server's, or a worker's own */
export function typeWord(type) {
  return TYPES[type] ?? type;
}

/**
 * What happened, beside its type.
 * @param {TimelineEvent} event
 * @param {Job["stages"]} stages
 */
export function storyText({ type, details, at }, stages) {
  const tell = TOLD[type];
  return tell ? tell(details, stages, at) : plainText(details);
}

/** @type {Record<string, (details: Record<string, any>, stages: Job["stages"], at: string) => string>} */
const TOLD = {
  created: ({ project, job_type: type }) => joined([project, type], " / "),
  attempt_started: ({ previous }) => (previous ? `the one before ${reached(previous, [])}` : ""),
  stage_started: ({ stage }, stages) => labelOf(stage, stages),
  stage_completed: ({ stage, duration_seconds: seconds }, stages) =>
    labelOf(stage, stages) + (typeof seconds === "number" ? ` in ${duration(seconds)}` : ""),
  progress: ({ percent: share, stage, current, total }, stages) => {
    const of = typeof total === "number" ? ` of ${count(total)}` : "";
    const counted = typeof current === "number" ? count(current) + of : null;
    return joined([
      typeof share === "number" ? percent(share) : null,
      stage && labelOf(stage, stages),
      counted,
    ]);
  },
  blocked: ({ blocked_on: on }) => (on ? `waits for ${on}` : ""),
  stalled: ({ reason, ...rest }, _, at) =>
    typeof reason === "string"
      ? `${stallReason(reason)}, since ${when(rest.since ?? at, Date.parse(at))}`
      : plainText(rest),
  completed: () => "",
  failed: (details, stages) => joined([at(details, stages), details.error?.message], ": "),
  cancelled: at,
};

/** @param {Record<string, any>} details @param {Job["stages"]} stages */
function at({ percent: share, stage }, stages) {
  const place = stage ? ` in ${labelOf(stage, stages)}` : "";
  return typeof share === "number" ? `at ${percent(share)}${place}` : place.trim();
}

/** @param {Record<string, any>} previous @param {Job["stages"]} stages */
function reached(previous, stages) {
  return joined([statusWord(previous.status).toLowerCase(), at(previous, stages)], " ");
}

/** @param {string} name @param {Job["stages"]} stages */
function labelOf(name, stages) {
  return stageName(stages.find((stage) => stage.name === name) ?? { name, label: null });
}

/** @param {Record<string, any>} details */
function plainText(details) {
  const said = Object.entries(details).map(([name, value]) => `${name}: ${plainValue(value)}`);
  return said.join(" · ");
}

/** @param {unknown} value */
function plainValue(value) {
  if (typeof value === "number") return count(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {unknown[]} parts @param {string} [separator] */
function joined(parts, separator = " · ") {
  return parts.filter(Boolean).join(separator);
}
