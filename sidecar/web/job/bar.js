/** A bar that moves smoothly, and that a screen reader can read. */

import { smoothBar } from "../smooth.js";
import { el } from "../page/text.js";

/**
 * @typedef {object} BarState
 * @property {number | null} percent null: nobody knows
 * @property {string} text what a screen reader says
 * @property {boolean} [isWaiting] it has not begun: nothing moves
 * @property {string} [tone] good, bad, warn, calm, or none
 * @property {boolean} [isAtOnce] do not move there, be there
 */

/**
 * @param {string} label what the bar is about
 * @param {{ className?: string, onMove?: (position: number) => void }} [options]
 */
export function createBar(label, { className = "", onMove } = {}) {
  const range = { "aria-valuemin": 0, "aria-valuemax": 100 };
  const fill = el("div", { class: "fill" });
  const element = el(
    "div",
    { class: `bar ${className}`, role: "progressbar", "aria-label": label, ...range },
    fill,
  );
  const smooth = smoothBar((position) => {
    fill.style.transform = `scaleX(${position / 100})`;
    onMove?.(position);
  });
  /** @param {BarState} state */
  function show({ percent, text, tone = "", isWaiting = false, isAtOnce = false }) {
    const isUnknown = percent === null;
    element.dataset.tone = tone;
    element.classList.toggle("indeterminate", isUnknown && !isWaiting);
    element.setAttribute("aria-valuetext", text);
    if (isUnknown) element.removeAttribute("aria-valuenow");
    else element.setAttribute("aria-valuenow", String(percent));
    if (isAtOnce || isUnknown) smooth.jumpTo(percent);
    else smooth.moveTo(percent);
    if (isUnknown) fill.style.transform = ""; // the style sheet moves it
  }
  return { element, show, stop: () => smooth.stop() };
}
