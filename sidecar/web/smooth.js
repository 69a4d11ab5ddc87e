/**
 * Progress that is pleasant to look at: a bar that speeds up and slows down, an ETA that does not jump, and
 * one colour from red to green. The step functions are pure; `smoothBar` and `smoothEta` run them once a
 * frame.
 */

import { Frames, prefersReducedMotion } from "./client/frames.js";

/**
 * @typedef {import("./smooth.js").Bar} Bar
 * @typedef {import("./smooth.js").AnimationOptions} AnimationOptions
 */

/** What the bar's law is stated for; other frame rates take the same way in the same time. */
const FRAMES_PER_SECOND = 60;
const ACCELERATION = 0.02;
const DAMPING = 0.85;
const EPSILON = 0.05;
const FINISH_SECONDS = 0.6;
/** Of what an ETA is off, so much is made good in a second. */
const ETA_SHARE = 0.15;
const ETA_NEAR_SECONDS = 0.5;

/** Of the eigenvalues of one frame; see `moveFor`. */
const RADIUS = Math.sqrt(DAMPING);
const ANGLE = Math.acos((1 + DAMPING - DAMPING * ACCELERATION) / (2 * RADIUS));

/** @type {typeof import("./smooth.js").barAt} */
export function barAt(position) {
  return { position: within(position), velocity: 0, finish: null };
}

/** @type {typeof import("./smooth.js").stepBar} */
export function stepBar(bar, target, seconds) {
  const goal = within(target);
  if (goal < bar.position) return barAt(goal); // a new attempt: a bar never shows more than there is
  if (goal === 100) return finishing(bar, seconds);
  let { position, velocity } = bar;
  for (let frames = seconds * FRAMES_PER_SECOND; frames > 0 && position < goal; frames--) {
    const moved = moveFor(Math.min(1, frames), goal - position, velocity);
    position = moved.gap < EPSILON ? goal : goal - moved.gap;
    velocity = moved.velocity;
  }
  return { position, velocity: position < goal ? velocity : 0, finish: null };
}

/** @type {typeof import("./smooth.js").stepEta} */
export function stepEta(shown, actual, seconds = 1) {
  if (shown === null || actual === null) return actual;
  return shown + (actual - shown) * (1 - (1 - ETA_SHARE) ** seconds);
}

/** @type {typeof import("./smooth.js").progressHue} */
export function progressHue(percent) {
  return within(percent) * 1.2;
}

/** @type {typeof import("./smooth.js").getProgressColor} */
export function getProgressColor(percent) {
  return `hsl(${progressHue(percent)}, 90%, 50%)`;
}

/** @type {typeof import("./smooth.js").smoothBar} */
export function smoothBar(onMove, options = {}) {
  let bar = barAt(0);
  let target = 0;
  /** @param {Bar} next */
  const show = (next) => {
    const isMoved = next.position !== bar.position;
    bar = next;
    if (isMoved) onMove(bar.position);
    return bar.position !== target;
  };
  const frames = new Frames((seconds) => show(stepBar(bar, target, seconds)), options);
  return {
    moveTo(percent) {
      target = within(percent);
      if (target > bar.position && frames.canMove && !prefersReducedMotion(options)) frames.start();
      else this.jumpTo(target);
    },
    jumpTo(percent) {
      frames.stop();
      target = within(percent);
      show(barAt(target));
    },
    stop: () => frames.stop(),
  };
}

/** @type {typeof import("./smooth.js").smoothEta} */
export function smoothEta(onShow, options = {}) {
  /** @type {number | null} */
  let shown = null;
  /** @type {number | null} */
  let target = null;
  /** @param {number | null} next */
  const show = (next) => {
    const isNear = next === null || target === null || Math.abs(next - target) < ETA_NEAR_SECONDS;
    const after = isNear ? target : next;
    const isSeen = after === null || shown === null || Math.round(after) !== Math.round(shown);
    const isOther = after !== shown;
    shown = after;
    if (isOther && (isSeen || isNear)) onShow(shown);
    return !isNear;
  };
  const frames = new Frames((seconds) => show(stepEta(shown, target, seconds)), options);
  return {
    moveTo(seconds) {
      target = seconds;
      if (seconds !== null && shown !== null && frames.canMove && !prefersReducedMotion(options))
        frames.start();
      else this.jumpTo(seconds);
    },
    jumpTo(seconds) {
      frames.stop();
      target = seconds;
      show(seconds);
    },
    stop: () => frames.stop(),
  };
}

/**
 * Ease out to the end, by a cubic.
 * @param {Bar} bar
 * @param {number} seconds
 * @returns {Bar}
 */
function finishing(bar, seconds) {
  const from = bar.finish?.from ?? bar.position;
  const elapsedSeconds = (bar.finish?.elapsedSeconds ?? 0) + seconds;
  const left = Math.max(0, 1 - elapsedSeconds / FINISH_SECONDS);
  return { position: 100 - (100 - from) * left ** 3, velocity: 0, finish: { from, elapsedSeconds } };
}

/**
 * Move by a part of a frame. One whole frame is
 *
 *     velocity = (velocity + gap * ACCELERATION) * DAMPING;  gap = gap - velocity
 *
 * which is a matrix M on (gap, velocity), with determinant DAMPING and complex eigenvalues r * exp(+-i *
 * angle). By Cayley-Hamilton its power to any fraction f is r^f * (sin(f * angle) * M / r - sin((f - 1) *
 * angle) * I) / sin(angle).
 * @param {number} fraction above 0, at most 1
 * @param {number} gap
 * @param {number} velocity
 */
function moveFor(fraction, gap, velocity) {
  const after = (velocity + gap * ACCELERATION) * DAMPING;
  const scale = RADIUS ** fraction / Math.sin(ANGLE);
  const ofFrame = (scale * Math.sin(fraction * ANGLE)) / RADIUS;
  const ofNow = scale * Math.sin((fraction - 1) * ANGLE);
  return { gap: ofFrame * (gap - after) - ofNow * gap, velocity: ofFrame * after - ofNow * velocity };
}

/** @param {number | null | undefined} percent */
function within(percent) {
  return Math.min(100, Math.max(0, percent || 0));
}
