/**
 * Progress that is pleasant to look at. The step functions are pure: what is shown in, what is to be shown
 * out.
 */

export interface Bar {
  /** What is shown, 0 to 100. */
  readonly position: number;
  /** Percent in a frame of 1/60 s. */
  readonly velocity: number;
  /** The way to 100 and how long it has been taken. */
  readonly finish: { readonly from: number; readonly elapsedSeconds: number } | null;
}

/** A bar at rest. */
export function barAt(position: number): Bar;

/**
 * Move a bar towards what the server has said. In each 1/60 s `velocity = (velocity + (target - position) *
 * 0.02) * 0.85; position += velocity`; other frame rates take the same way in the same time. It arrives when
 * it is within 0.05, never shows more than the target, and never goes back unless the target does: then it is
 * there at once. Towards 100 it eases out by a cubic, in 0.6 s.
 */
export function stepBar(bar: Bar, target: number | null | undefined, seconds: number): Bar;

/**
 * Move an ETA towards a new one: `shown += (actual - shown) * 0.15` in each second. From nothing, and to
 * nothing (null), it goes at once.
 */
export function stepEta(shown: number | null, actual: number | null, seconds?: number): number | null;

/** From 0 (red) by 60 (yellow) to 120 (green). */
export function progressHue(percent: number | null | undefined): number;

/** A colour of CSS: `hsl(60, 90%, 50%)` at 50. */
export function getProgressColor(percent: number | null | undefined): string;

/**
 * What to use instead of the browser's own. Without frames, or if less motion is preferred, everything is
 * shown at once.
 */
export interface AnimationOptions {
  requestAnimationFrame?: (callback: (milliseconds: number) => void) => number;
  cancelAnimationFrame?: (request: number) => void;
  prefersReducedMotion?: boolean;
}

export interface Smooth<Value> {
  /** Go there smoothly. */
  moveTo(target: Value): void;
  /** Be there at once. */
  jumpTo(target: Value): void;
  /** Stay, and ask for no more frames. */
  stop(): void;
}

/** A bar, from 0 on: `onMove` is called with each position that is to be shown. */
export function smoothBar(
  onMove: (position: number) => void,
  options?: AnimationOptions,
): Smooth<number | null | undefined>;

/** An ETA: `onShow` is called when the whole seconds that are to be shown change. */
export function smoothEta(
  onShow: (seconds: number | null) => void,
  options?: AnimationOptions,
): Smooth<number | null>;
