/** How long to wait before trying again, so that many clients do not come back at the same moment. */

const LEAST_SECONDS = 1;
const MOST_SECONDS = 30;
const OVERLOADED_SECONDS = { least: 15, most: 45 };

/**
 * Return how long to wait after so many failures in a row: from 1 s to a bound that doubles up to 30 s.
 * @param {number} failures 1 or more
 * @param {() => number} random from 0 up to 1
 * @returns {number}
 */
export function backoffSeconds(failures, random) {
  const bound = Math.min(MOST_SECONDS, 2 ** failures);
  return LEAST_SECONDS + random() * (bound - LEAST_SECONDS);
}

/**
 * Return how long to stay away from a server that has all the streams it can take, and does not say how long.
 * @param {() => number} random from 0 up to 1
 * @returns {number}
 */
export function overloadedSeconds(random) {
  const { least, most } = OVERLOADED_SECONDS;
  return least + random() * (most - least);
}
