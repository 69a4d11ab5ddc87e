/** How far an attempt was at which time: what the line is drawn from. */

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
 * Every other point, and the last one.
 * @param {Point[]} points
 */
function thinned(points) {
  return points.filter((_, index) => index % 2 === 0 || index === points.length - 1);
}
