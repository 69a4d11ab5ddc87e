/** Which state of a job is the newer one, and how long to wait between tries. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffSeconds, overloadedSeconds } from "../../sidecar/web/client/backoff.js";
import { held, isNewer, isOver } from "../../sidecar/web/client/job_order.js";

function job(fields) {
  return { attempt: 1, version: 5, cursor: "e-10", percent: 40, ...fields };
}

test("a higher attempt is newer, whatever else it says, and a lower one never is", () => {
  assert.equal(isNewer(job({}), job({ attempt: 2, version: 1, cursor: "e-1" })), true);
  assert.equal(isNewer(job({ attempt: 2 }), job({ version: 99, cursor: "e-99" })), false);
});

test("within an attempt and an epoch the place in the project's order decides", () => {
  assert.equal(isNewer(job({}), job({ cursor: "e-11" })), true);
  assert.equal(isNewer(job({}), job({ cursor: "e-9", version: 6 })), false);
  assert.equal(isNewer(job({}), job({})), false);
  assert.equal(isNewer(job({ cursor: "e-9" }), job({ cursor: "e-10" })), true);
});

test("across epochs the version decides", () => {
  assert.equal(isNewer(job({}), job({ cursor: "other-1", version: 6 })), true);
  assert.equal(isNewer(job({}), job({ cursor: "other-99" })), false);
  assert.equal(isNewer(job({ cursor: null }), job({ version: 6 })), true);
});

test("anything is newer than nothing", () => {
  assert.equal(isNewer(null, job({})), true);
});

test("percent is held within an attempt, and only there", () => {
  assert.equal(held(job({}), job({ percent: 30 })).percent, 40);
  assert.equal(held(job({}), job({ percent: null })).percent, 40);
  assert.equal(held(job({}), job({ percent: 50 })).percent, 50);
  assert.equal(held(job({}), job({ percent: 30, attempt: 2 })).percent, 30);
  assert.equal(held(null, job({ percent: null })).percent, null);
});

test("what is lost may come back, what has ended has ended", () => {
  const over = ["completed", "failed", "cancelled"];
  const open = ["queued", "running", "paused", "blocked", "lost"];
  assert.deepEqual([...over, ...open].filter(isOver), over);
});

test("waits grow from 1 s to 30 s, and differ from client to client", () => {
  for (const failures of [1, 2, 3, 5, 8, 100, 5000]) {
    const [least, most] = [backoffSeconds(failures, () => 0), backoffSeconds(failures, () => 1)];
    assert.equal(least, 1);
    assert.equal(most, Math.min(30, 2 ** failures));
  }
  assert.deepEqual([overloadedSeconds(() => 0), overloadedSeconds(() => 1)], [15, 45]);
});
