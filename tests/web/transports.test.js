/** How one job gets through whatever does not let some transports through. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { BROWSER, isNow, percents, watching } from "./watching.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar({ settings: { heartbeat_seconds: 0.5 } });
});
after(() => sidecar.stop());

/** Push a count, and wait until it is shown. */
async function pushAndSee(heard, jobId, current) {
  await sidecar.push(jobId, { current });
  await until(() => heard.jobs.at(-1)?.current === current, `${current} of ${jobId} is shown`);
}

for (const treatment of ["hang", "refuse", "cut"]) {
  test(`where event streams ${treatment}, a WebSocket brings everything`, async (context) => {
    const proxy = await startProxy(context, sidecar);
    proxy.treatment.sse = treatment;
    const jobId = `socket-${treatment}`;
    await sidecar.push(jobId, { current: 1, total: 4 });
    const heard = watching(context, proxy.url, jobId);
    await until(() => isNow(heard, "live", "websocket"), "it is live over a WebSocket");
    await pushAndSee(heard, jobId, 3);
    await sidecar.push(jobId, { status: "completed" });
    await until(() => heard.watch.state === "ended", "the watch ends");

    assert.deepEqual(percents(heard), [25, 75, 100]);
    assert.equal(heard.done.length, 1);
    assert.ok(!heard.states.includes("polling"));
  });

  test(`where WebSockets ${treatment} too, asking brings everything`, async (context) => {
    const proxy = await startProxy(context, sidecar);
    proxy.treatment.sse = proxy.treatment.websocket = treatment;
    const jobId = `asked-${treatment}`;
    await sidecar.push(jobId, { current: 1, total: 4 });
    const heard = watching(context, proxy.url, jobId);
    await until(() => isNow(heard, "polling"), "it is polling");
    await pushAndSee(heard, jobId, 3);
    await sidecar.push(jobId, { status: "completed" });
    await until(() => heard.watch.state === "ended", "the watch ends");

    assert.deepEqual(percents(heard), [25, 75, 100]);
    assert.equal(heard.done.length, 1);
    assert.equal(heard.details.find((detail) => detail.transport === "polling").reason, "no stream");
  });
}

test("from asking it goes back to a stream when one gets through, and stops asking", async (context) => {
  const proxy = await startProxy(context, sidecar);
  proxy.treatment.sse = proxy.treatment.websocket = "refuse";
  await sidecar.push("back", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "back");
  await until(() => isNow(heard, "polling"), "it is polling");
  await pushAndSee(heard, "back", 2);
  proxy.treatment.sse = "pass";
  await until(() => isNow(heard, "live", "sse"), "it is live");
  const asked = proxy.count("rest");
  await pushAndSee(heard, "back", 4);

  assert.equal(proxy.count("rest"), asked);
  assert.deepEqual(percents(heard), [12.5, 25, 50]);
});

test("what the WebSocket and asking have brought is not brought again by the stream", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("carried", { current: 1, total: 8 });
  const asked = [];
  class Noting extends BROWSER.WebSocket {
    send(text) {
      asked.push(JSON.parse(text).after);
      super.send(text);
    }
  }
  const heard = watching(context, proxy.url, "carried", { WebSocket: Noting });
  await until(() => isNow(heard, "live", "sse"), "it is live");
  for (const [current, sse, websocket] of [
    [2, "refuse", "pass"],
    [3, "refuse", "refuse"],
    [4, "pass", "refuse"],
    [5, "refuse", "pass"],
  ]) {
    Object.assign(proxy.treatment, { sse, websocket });
    const known = proxy.requests.length;
    await sidecar.push("carried", { current });
    proxy.cut();
    await until(() => heard.jobs.at(-1)?.current === current, `${current} is shown`);
    await until(() => proxy.requests.length > known, "another connection was tried");
    const transport = sse === "pass" ? "sse" : websocket === "pass" ? "websocket" : "polling";
    await until(() => heard.details.at(-1)?.transport === transport, `over ${transport}`);
  }
  await sidecar.push("carried", { status: "completed" });
  await until(() => heard.done.length > 0, "the end is heard");

  assert.deepEqual(
    heard.jobs.map((job) => job.current),
    [1, 2, 3, 4, 5, 5],
  );
  const streams = proxy.requests.filter((request) => request.kind === "sse").slice(1);
  assert.ok(streams.every((request) => request.url.includes("last_event_id=")));
  assert.ok(asked.length > 1 && asked.every((after) => after !== null));
});

test("asking goes on each second, from one question to the next", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("each", { current: 1, total: 8 });
  const none = { EventSource: null, WebSocket: null };
  watching(context, proxy.url, "each", { timings: { pollSeconds: 1 }, ...none });
  await until(() => proxy.count("rest") === 4, "it asks four times");

  const times = proxy.requests.map((request) => request.at);
  const gaps = times.slice(1).map((at, index) => at - times[index]);
  assert.ok(
    gaps.every((gap) => gap > 950 && gap < 1500),
    `${gaps}`,
  );
});

test("the answer 204, that the end was heard, is asked about", async (context) => {
  const proxy = await startProxy(context, sidecar);
  const { cursor } = await sidecar.push("ended", { status: "completed" });
  // An `EventSource` that has lost what its page was told: it comes back with the cursor of the end.
  class Forgetful extends BROWSER.EventSource {
    constructor(url) {
      super(`${url}&last_event_id=${cursor}`);
    }
  }
  const heard = watching(context, proxy.url, "ended", { EventSource: Forgetful });
  await until(() => heard.watch.state === "ended", "the watch ends");

  assert.equal(heard.done.length, 1);
  assert.deepEqual(
    proxy.requests.map((request) => request.kind),
    ["sse", "rest"],
  );
});

test("a job that nobody knows is gone after a while of asking, a known one at once", async (context) => {
  const none = { EventSource: null, WebSocket: null };
  const heard = watching(context, sidecar.url, "unheard-of", { ...none, timings: { unknownSeconds: 0.5 } });
  await until(() => heard.gone.length > 0, "it is gone");
  await sidecar.push("forgotten", { status: "running" });
  const other = watching(context, sidecar.url, "forgotten", none);
  await until(() => other.jobs.length > 0, "it is shown");
  await fetch(`${sidecar.url}/v1/jobs/forgotten?force=true`, { method: "DELETE" });
  await until(() => other.watch.state === "ended", "it is gone");

  assert.deepEqual([...heard.gone, ...other.gone], ["unheard-of", "forgotten"]);
});
