/** The line of percent over time: what it is drawn from. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Points, wayOf } from "../../sidecar/web/job/points.js";

/** @param {...[number, number]} steps */
function pointsOf(...steps) {
  const points = new Points();
  for (const [at, percent] of steps) points.add(1, at, percent);
  return points.all;
}

const pairs = (way) => way.map(({ at, percent }) => [at, percent]);

test("a job that has come far with its first report, and no further, is a level line", () => {
  assert.deepEqual(pairs(wayOf(pointsOf([100, 38]), 100, 900, 38)), [
    [100, 38],
    [900, 38],
  ]);
});

test("a job that stands still after some progress is level from there", () => {
  assert.deepEqual(pairs(wayOf(pointsOf([300, 20], [500, 40]), 100, 900, 40)), [
    [100, 0],
    [300, 20],
    [500, 40],
    [900, 40],
  ]);
});

test("what was before the start, or is yet to come, is no part of the line", () => {
  assert.deepEqual(pairs(wayOf(pointsOf([50, 5], [950, 90]), 100, 900, 40)), [
    [100, 0],
    [900, 40],
  ]);
});
