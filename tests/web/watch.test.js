/** One job, watched from its first percent to its end, at a real sidecar. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startSidecar, until } from "./sidecar.js";
import { BROWSER, isNow, percents, watching } from "./watching.js";
import { watch } from "../../sidecar/web/progress.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar({ settings: { heartbeat_seconds: 0.5 } });
});
after(() => sidecar.stop());

test("shows each state, and says once that it is done, last", async (context) => {
  await sidecar.push("whole", { current: 0, total: 4 });
  const heard = watching(context, sidecar.url, "whole");
  for (const current of [1, 2, 3]) {
    await sidecar.push("whole", { current });
    await until(() => heard.jobs.at(-1)?.current === current, `progress ${current} is shown`);
  }
  await sidecar.push("whole", { status: "completed", result: { rows: 3 } });
  await until(() => heard.watch.state === "ended", "the watch ends");

  assert.deepEqual(percents(heard).slice(-4), [25, 50, 75, 100]);
  assert.equal(heard.done.length, 1);
  assert.deepEqual(heard.done[0].result, { rows: 3 });
  assert.deepEqual(heard.states, ["connecting", "live", "ended"]);
  assert.equal(heard.details.at(-1)?.reason, "done");
});

test("a job that has already ended is done at once, whatever its end", async (context) => {
  for (const status of ["completed", "failed", "cancelled"]) {
    await sidecar.push(`old-${status}`, { status });
    const heard = watching(context, sidecar.url, `old-${status}`);
    await until(() => heard.done.length > 0, `${status} is heard`);
    assert.equal(heard.done[0].status, status);
  }
});

test("waits for a job that is not there yet", async (context) => {
  const heard = watching(context, sidecar.url, "later");
  await until(() => isNow(heard, "live"), "the stream is open");
  assert.equal(heard.watch.job, null);

  await sidecar.push("later", { current: 1, total: 2 });

  await until(() => heard.jobs.length > 0, "it is shown");
});

test("within an attempt percent never falls; with a new attempt it does", async (context) => {
  await sidecar.push("again", { current: 8, total: 10 });
  const heard = watching(context, sidecar.url, "again");
  await until(() => heard.jobs.length > 0, "80 is shown");
  await sidecar.push("again", { current: 2, rewind: true, message: "rewound" });
  await until(() => heard.jobs.at(-1).message === "rewound", "the rewinding is shown");
  assert.equal((await sidecar.job("again")).percent, 20);
  await sidecar.push("again", { attempt: 2, current: 1, total: 10 });
  await until(() => heard.jobs.at(-1).attempt === 2, "the second attempt is shown");

  assert.deepEqual(percents(heard), [80, 80, 10]);
});

test("a job that is deleted is gone, once", async (context) => {
  await sidecar.push("deleted", { current: 1, total: 2 });
  const heard = watching(context, sidecar.url, "deleted");
  await until(() => heard.jobs.length > 0, "it is shown");
  await fetch(`${sidecar.url}/v1/jobs/deleted?force=true`, { method: "DELETE" });
  await until(() => heard.watch.state === "ended", "the watch ends");

  assert.deepEqual(heard.gone, ["deleted"]);
  assert.equal(heard.details.at(-1)?.reason, "gone");
  assert.deepEqual(heard.done, []);
});

test("across a restart shows the rest, and nothing twice", async (context) => {
  await sidecar.push("cut", { current: 1, total: 4 });
  const heard = watching(context, sidecar.url, "cut");
  await until(() => heard.jobs.length > 0, "25 is shown");

  await sidecar.kill();
  await until(() => heard.watch.state === "reconnecting", "the cut is noticed");
  await sidecar.start();
  await until(() => isNow(heard, "live"), "it is live again");
  await sidecar.push("cut", { current: 3 });
  await sidecar.push("cut", { status: "completed" });
  await until(() => heard.done.length > 0, "the end is heard");

  const shown = percents(heard);
  assert.deepEqual(shown, [...new Set(shown)]);
  assert.equal(shown.at(-1), 100);
});

test("what ended while the connection was away is heard after it", async (context) => {
  await sidecar.push("missed", { current: 1, total: 4 });
  const heard = watching(context, sidecar.url, "missed", { random: () => 1 });
  await until(() => heard.jobs.length > 0, "25 is shown");
  await sidecar.restart();
  await sidecar.push("missed", { status: "failed", error: { message: "no disk" } });
  await until(() => heard.done.length > 0, "the end is heard");

  assert.equal(heard.done[0].error.message, "no disk");
  assert.equal(heard.done.length, 1);
});

test("closing, by hand or by a signal, ends all that was open", async (context) => {
  await sidecar.push("closed", { current: 1, total: 4 });
  const closing = new AbortController();
  const heard = watching(context, sidecar.url, "closed", { signal: closing.signal });
  await until(() => heard.jobs.length > 0, "25 is shown");
  closing.abort();
  const before = heard.states.length;
  await sidecar.push("closed", { current: 2 });
  const other = watching(context, sidecar.url, "closed");
  await until(() => other.jobs.length > 0, "somebody else hears it");

  assert.deepEqual(percents(heard), [25]);
  assert.equal(heard.states.length, before);
});

test("a signal that was aborted before opens nothing", () => {
  const url = "http://127.0.0.1:1";
  const { state } = watch("never", {
    url,
    ...BROWSER,
    EventSource: assert.fail,
    signal: AbortSignal.abort(),
  });
  assert.equal(state, "connecting");
});

test("an exception in a callback harms nothing else", async (context) => {
  await sidecar.push("thrown", { current: 1, total: 4 });
  const reported = context.mock.method(console, "error", () => {});
  const done = [];
  const onProgress = () => {
    throw new Error("of the page");
  };
  const given = { url: sidecar.url, ...BROWSER, onProgress, onDone: (job) => done.push(job) };
  const watched = watch("thrown", given);
  context.after(() => watched.close());
  await until(() => watched.job, "it is heard");
  await sidecar.push("thrown", { status: "completed" });
  await until(() => done.length > 0, "the end is heard");

  assert.equal(reported.mock.calls[0].arguments[0].message, "of the page");
});

test("the brief view is a flat row", async (context) => {
  await sidecar.push("flat", { current: 1, total: 4 });
  const heard = watching(context, sidecar.url, "flat", { view: "brief" });
  await until(() => heard.jobs.length > 0, "it is shown");

  assert.equal(heard.jobs[0].percent, 25);
  assert.ok(!("stages" in heard.jobs[0]));
});
