/** How far an attempt was at which time: what the line is drawn from. Pure, but for what is remembered. */

/**
 * @typedef {object} Point
 * @property {number} at milliseconds
 * @property {number} percent
 */

const MOST = 1000;

export class Points {
  /** @type {Point[]} */ #points = [];
  #attempt = 0;

  /** In the order of time. */
  get all() {
    return this.#points;
  }

  /**
   * Take a point in, wherever it belongs; those of an earlier attempt go when a later one comes.
   * @param {number} attempt
   * @param {number} at
   * @param {number} percent
   */
  add(attempt, at, percent) {
    if (attempt < this.#attempt || Number.isNaN(at)) return;
    if (attempt > this.#attempt) this.#points = [];
    this.#attempt = attempt;
    const points = this.#points;
    let index = points.length;
    while (index > 0 && points[index - 1].at > at) index--;
    if (points[index - 1]?.at === at) points[index - 1].percent = percent;
    else points.splice(index, 0, { at, percent });
    if (points.length > MOST) this.#points = thinned(points);
  }
}

/**
 * Return the line from the start to the present: from nothing, unless it is known how far the attempt began; and from
 * the last progress on it is level.
 * @param {readonly Point[]} points
 * @param {number} start
 * @param {number} present
 * @param {number} percent at present
 * @returns {Point[]}
 */
export function wayOf(points, start, present, percent) {
  const known = points.filter(({ at }) => at >= start && at <= present);
  const first = known[0]?.at === start ? [] : [{ at: start, percent: 0 }];
  return [...first, ...known, { at: present, percent }];
}

/**
 * Every other point, and the last one.
 * @param {Point[]} points
 */
function thinned(points) {
  return points.filter((_, index) => index % 2 === 0 || index === points.length - 1);
}
