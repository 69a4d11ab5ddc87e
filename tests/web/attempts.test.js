/** A finished job that another attempt reopens. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { percents, watching } from "./watching.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar({ settings: { heartbeat_seconds: 0.5 } });
});
after(() => sidecar.stop());

/** A page that can be looked at, or not. */
class Page extends EventTarget {
  document = { hidden: false };

  show(isShown) {
    this.document.hidden = !isShown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** Watch a job that has ended, and go on watching; return what is heard, the page and the proxy between. */
async function ended(context, jobId, options = {}) {
  const [proxy, page] = [await startProxy(context, sidecar), new Page()];
  await sidecar.push(jobId, { current: 3, total: 4 });
  await sidecar.push(jobId, { status: "completed" });
  const given = {
    followsAttempts: true,
    page,
    ...options,
    timings: { attemptSeconds: 0.1, ...options.timings },
  };
  const heard = watching(context, proxy.url, jobId, given);
  await until(() => heard.watch.state === "ended", "the end is heard");
  return { heard, page, proxy };
}

test("another attempt of a completed job is watched to its end, too", async (context) => {
  const { heard } = await ended(context, "again");
  await sidecar.push("again", { attempt: 2, current: 1, total: 4 });
  await until(() => heard.watch.job.percent === 25, "the second attempt is heard of");
  assert.equal(heard.watch.state, "live");
  await sidecar.push("again", { status: "failed" });
  await until(() => heard.done.length === 2, "its end is heard");
  await sidecar.push("again", { attempt: 3, current: 2, total: 4 });
  await until(() => heard.watch.job.attempt === 3, "the third attempt is heard of");

  assert.deepEqual(percents(heard), [100, 25, 25, 50]);
  assert.deepEqual(
    heard.done.map(({ attempt, status }) => [attempt, status]),
    [
      [1, "completed"],
      [2, "failed"],
    ],
  );
});

test("what has ended is asked for without a stream, and more and more rarely", async (context) => {
  const { heard, proxy } = await ended(context, "rarely");
  await until(() => proxy.count("rest") >= 6, "it was asked six times");

  const [first, , , , fifth, sixth] = proxy.requests
    .filter(({ kind }) => kind === "rest")
    .map(({ at }) => at);
  assert.ok(sixth - fifth > 0.35 * 1000, "the last wait is four times the first");
  assert.ok(fifth - first < 5000);
  assert.equal(proxy.count("sse"), 1);
  assert.equal(heard.done.length, 1);
});

test("while nobody looks nothing is asked; whoever looks again is told at once", async (context) => {
  const { heard, page, proxy } = await ended(context, "hidden", { timings: { attemptSeconds: 0.3 } });
  page.show(false);
  await sidecar.push("hidden", { attempt: 2, current: 1, total: 4 });
  const since = performance.now();
  await until(() => performance.now() - since > 1200, "the time of two questions has passed");
  assert.equal(proxy.count("rest"), 0);
  page.show(true);
  await until(() => heard.watch.job.attempt === 2, "the second attempt is heard of");
});

test("a job that is deleted after its end is gone, and is asked for no more", async (context) => {
  const { heard, proxy } = await ended(context, "deleted");
  await fetch(`${sidecar.url}/v1/jobs/deleted`, { method: "DELETE" });
  await until(() => heard.gone.length > 0, "it is gone");
  const asked = proxy.count("rest");
  const since = performance.now();
  await until(() => performance.now() - since > 600, "the longest wait has passed");

  assert.equal(proxy.count("rest"), asked);
});

test("an unreachable server is asked again", async (context) => {
  const { heard, proxy } = await ended(context, "unreachable");
  proxy.treatment.rest = "cut";
  await until(() => proxy.count("rest") >= 2, "it was asked in vain");
  proxy.treatment.rest = "pass";
  await sidecar.push("unreachable", { attempt: 2, current: 1, total: 4 });
  await until(() => heard.watch.job.attempt === 2, "the second attempt is heard of");
});

test("who has not asked for it, or has closed, hears of one attempt", async (context) => {
  const { heard: plain, proxy } = await ended(context, "plain", { followsAttempts: false });
  const { heard: closed, proxy: other } = await ended(context, "closed");
  closed.watch.close();
  const asked = other.count("rest");
  const since = performance.now();
  await until(() => performance.now() - since > 600, "the longest wait has passed");

  assert.deepEqual([proxy.count("rest"), other.count("rest")], [0, asked]);
  assert.deepEqual([plain.done.length, plain.watch.state], [1, "ended"]);
});
