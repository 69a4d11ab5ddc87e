/** Which of two states of a job is the newer one, and what of the older one still holds. */

/** @typedef {import("../progress.js").BriefJob} BriefJob */

const OVER = new Set(["completed", "failed", "cancelled"]);

/**
 * Whether an attempt has ended; `lost` may still come back.
 * @param {string} status
 */
export function isOver(status) {
  return OVER.has(status);
}

/**
 * Whether a state is news to someone who knows another one of the same job.
 * @param {Pick<BriefJob, "attempt" | "version" | "cursor"> | null | undefined} known
 * @param {Pick<BriefJob, "attempt" | "version" | "cursor">} next
 */
export function isNewer(known, next) {
  if (!known) return true;
  if (next.attempt !== known.attempt) return next.attempt > known.attempt;
  const [before, after] = [place(known.cursor), place(next.cursor)];
  if (before && after && before.epoch === after.epoch) return after.rev > before.rev;
  return next.version > known.version;
}

/**
 * Return a state as it may be shown after another one: within an attempt, percent never falls.
 * @template {BriefJob} Shown
 * @param {Pick<BriefJob, "attempt" | "percent"> | null | undefined} known
 * @param {Shown} next
 * @returns {Shown}
 */
export function held(known, next) {
  const percent = known?.attempt === next.attempt ? known.percent : null;
  return percent === null || (next.percent ?? -1) >= percent ? next : { ...next, percent };
}

/** @param {string | null | undefined} cursor */
function place(cursor) {
  const [, epoch, rev] = /^(.+)-(\d+)$/.exec(cursor ?? "") ?? [];
  return epoch === undefined ? null : { epoch, rev: Number(rev) };
}
