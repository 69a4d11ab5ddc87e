/** What a watcher makes of events that come late, twice, or after it was closed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { environment } from "../../sidecar/web/client/environment.js";
import { JobWatch } from "../../sidecar/web/client/job_watch.js";

function job(fields) {
  return { job_id: "a", attempt: 1, version: 1, cursor: "e-1", percent: 10, status: "running", ...fields };
}

/** A watcher that is fed by hand, and what it has said. */
function fed(known = null) {
  const heard = { percents: [], done: [], degraded: [], ends: [] };
  const watching = new JobWatch(
    environment({}),
    "a",
    {
      onProgress: ({ percent }) => heard.percents.push(percent),
      onDone: ({ attempt }) => heard.done.push(attempt),
      onState: (state, { isDegraded }) => heard.degraded.push(isDegraded),
    },
    known,
    () => {},
  );
  watching.start({
    start() {},
    stop: () => heard.ends.push("stopped"),
    end: (reason) => heard.ends.push(reason),
  });
  const say = (name, data, cursor = null) => watching.onEvent({ name, data, cursor });
  return { ...heard, watching, say };
}

test("the end of an attempt that another has overtaken is not the end", () => {
  const { say, done, ends, percents } = fed();
  say("progress", job({ attempt: 2, cursor: "e-9" }));
  say("done", { job: job({ status: "failed", cursor: "e-8", percent: 70 }) });
  assert.deepEqual([percents, done, ends], [[10], [], []]);
  say("done", { job: job({ attempt: 2, status: "completed", cursor: "e-10", percent: 100 }) });
  assert.deepEqual([percents, done, ends], [[10, 100], [2], ["done"]]);
});

test("the end of the attempt before, told again, is no news", () => {
  const { say, done, ends, percents } = fed(job({ status: "completed", cursor: "e-8", percent: 100 }));
  say("done", { job: job({ status: "completed", cursor: "e-8", percent: 100 }) });
  assert.deepEqual([percents, done, ends], [[], [], ["done"]]);
});

test("a connection is not degraded until it says so", () => {
  const { say, watching, degraded } = fed();
  watching.onStatus({ state: "live", reason: null, transport: "sse", failures: 0 });
  say("degraded", { store: "sql" });
  say("degraded", { store: "sql" });
  say("connected", { recovered: true });
  assert.deepEqual(degraded, [false, true, false]);
});

test("who was closed is told nothing more", () => {
  const { say, watching, percents, ends } = fed();
  watching.close();
  say("progress", job({}));
  watching.close();
  assert.deepEqual([percents, ends], [[], ["stopped"]]);
});
