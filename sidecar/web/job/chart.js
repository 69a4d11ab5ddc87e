/** Percent over time as a line, with what may follow; drawn in SVG. */

import { elapsedSeconds, isFinished, isShareUnknown, remaining } from "../page/words.js";
import { clock, duration, el, percent } from "../page/text.js";
import { wayOf } from "./points.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {import("./points.js").Point} Point
 */

const HEIGHT = 180;
const LEFT = 40;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 24;
/** How much longer than the past the future may be for it to be drawn. */
const MOST_FUTURE = 3;

export function createChart() {
  const picture = svg("svg", { class: "chart", role: "img", height: HEIGHT });
  const element = el(
    "section",
    { class: "panel card", "aria-labelledby": "chart-title", hidden: true },
    el("h2", { id: "chart-title" }, "Percent over time"),
    el("div", { class: "chart-frame" }),
  );
  const frame = /** @type {HTMLElement} */ (element.lastElementChild);
  frame.append(picture);
  /** @param {Job} job @param {readonly Point[]} points @param {number} now */
  function show(job, points, now) {
    element.hidden = !job.started_at || isShareUnknown(job);
    if (element.hidden) return;
    const width = Math.max(200, frame.clientWidth);
    picture.setAttribute("width", String(width));
    picture.setAttribute("aria-label", `${percent(job.percent)} after ${duration(elapsedSeconds(job, now))}`);
    picture.replaceChildren(...drawn(job, points, now, width));
  }
  return { element, show };
}

/**
 * @param {Job} job
 * @param {readonly Point[]} points
 * @param {number} now
 * @param {number} width
 * @returns {SVGElement[]}
 */
function drawn(job, points, now, width) {
  const start = Date.parse(/** @type {string} */ (job.started_at));
  const present = Math.max(
    start + 1,
    isFinished(job.status) && job.finished_at ? Date.parse(job.finished_at) : now,
  );
  const future = futureMilliseconds(job, now, present - start);
  const end = present + future;
  /** @param {number} at */
  const x = (at) =>
    LEFT + ((Math.min(end, Math.max(start, at)) - start) / (end - start)) * (width - LEFT - RIGHT);
  /** @param {number} share */
  const y = (share) => TOP + (1 - share / 100) * (HEIGHT - TOP - BOTTOM);
  const steps = wayOf(points, start, present, job.percent ?? 0).map(({ at, percent: share }) => [x(at), y(share)]);
  const line = steps.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join(" L ");
  const area = `M ${x(start)} ${y(0)} L ${line} L ${x(present).toFixed(1)} ${y(0)} Z`;
  return [
    ...grid(width, y),
    ...stageMarks(job, x, y),
    svg("path", { class: "chart-area", d: area }),
    svg("path", { class: "chart-line", d: `M ${line}` }),
    ...(future > 0
      ? [svg("path", { class: "chart-future", d: ahead(x, y, present, end, job.percent ?? 0) })]
      : []),
    svg("circle", { class: "chart-now", cx: x(present), cy: y(job.percent ?? 0), r: 3.5 }),
    label(LEFT, HEIGHT - 6, clock(new Date(start).toISOString()), "start"),
    label(width - RIGHT, HEIGHT - 6, clock(new Date(end).toISOString()), "end"),
  ];
}

/**
 * @param {(at: number) => number} x
 * @param {(share: number) => number} y
 * @param {number} from
 * @param {number} to
 * @param {number} share
 */
function ahead(x, y, from, to, share) {
  return `M ${x(from).toFixed(1)} ${y(share).toFixed(1)} L ${x(to).toFixed(1)} ${y(100)}`;
}

/** @param {Job} job @param {number} now @param {number} past */
function futureMilliseconds(job, now, past) {
  const left = remaining(job, now);
  const milliseconds = left ? left.seconds * 1000 : 0;
  return milliseconds <= MOST_FUTURE * past ? milliseconds : 0;
}

/** @param {number} width @param {(share: number) => number} y */
function grid(width, y) {
  return [0, 50, 100].flatMap((share) => [
    svg("line", { class: "chart-grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
    label(LEFT - 6, y(share) + 4, `${share}%`, "end"),
  ]);
}

/**
 * Where each stage began.
 * @param {Job} job
 * @param {(at: number) => number} x
 * @param {(share: number) => number} y
 */
function stageMarks(job, x, y) {
  return job.stages.slice(1).flatMap(({ started_at: at }) => {
    if (!at) return [];
    const place = x(Date.parse(at));
    return [svg("line", { class: "chart-stage", x1: place, x2: place, y1: y(0), y2: y(100) })];
  });
}

/** @param {number} x @param {number} y @param {string} text @param {string} anchor */
function label(x, y, text, anchor) {
  const element = svg("text", { class: "chart-label", x, y, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 */
function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
