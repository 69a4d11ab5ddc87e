/** What the client does when a connection breaks, falls silent or brings nothing. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { isNow, percents, watching } from "./watching.js";

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

test("a connection that falls silent is replaced", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("silent", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "silent", {
    timings: { silenceSeconds: 1.5, quietSeconds: Infinity },
  });
  await until(() => heard.jobs.length > 0, "it is shown");
  proxy.freeze();
  await sidecar.push("silent", { current: 4 });
  await until(() => heard.jobs.at(-1).current === 4, "what changed meanwhile is shown");

  assert.equal(heard.details.find((detail) => detail.reason)?.reason, "silent");
});

test("heartbeats keep a connection on which nothing happens", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("idle", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "idle", {
    timings: { silenceSeconds: 1.5, quietSeconds: Infinity },
  });
  await until(() => heard.jobs.length > 0, "it is shown");
  const other = watching(context, proxy.url, "idle", {
    timings: { silenceSeconds: 0.25, quietSeconds: Infinity },
  });
  await until(
    () => other.details.filter((each) => each.reason === "silent").length > 1,
    "an impatient one gives up",
  );

  assert.deepEqual(heard.states, ["connecting", "live"]);
});

test("without progress for a while the job is asked for beside the stream", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("quiet", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "quiet", { timings: { quietSeconds: 0.5 } });
  await until(() => isNow(heard, "polling"), "it is polling");
  await until(() => proxy.count("rest") > 3, "it asks again and again");
  assert.equal(heard.details.at(-1)?.reason, "quiet");
  assert.equal(proxy.count("sse"), 1);
  await sidecar.push("quiet", { current: 2 });
  await until(() => isNow(heard, "live", "sse"), "progress makes it live again");

  assert.deepEqual(percents(heard), [12.5, 25]);
  assert.equal(proxy.count("sse"), 1);
});

test("what is asked beside a stream does not wait at the server, whose connections are few", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("quiet-2", { current: 1, total: 8 });
  const timings = { quietSeconds: 0.2, quietPollSeconds: 1 };
  const heard = watching(context, proxy.url, "quiet-2", { timings });
  await until(() => proxy.count("rest") > 2, "it asks again and again");
  assert.equal(heard.watch.state, "polling");
  const asked = proxy.requests.filter((request) => request.kind === "rest");
  const waits = asked.map((request) => new URL(request.url, proxy.url).searchParams.get("wait"));
  assert.deepEqual(new Set(waits), new Set(["0"]));
});

test("a stream that is deaf, though its heart beats, is found out", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("deaf", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "deaf", { timings: { quietSeconds: 0.5 } });
  await until(() => isNow(heard, "polling"), "it is polling beside the stream");
  proxy.freeze();
  await pushAndSee(heard, "deaf", 2);
  await pushAndSee(heard, "deaf", 3);
  await until(() => proxy.count("sse") > 1, "another stream is opened");

  await until(() => isNow(heard, "live", "sse"), "it is live again");
  assert.deepEqual(percents(heard), [12.5, 25, 37.5]);
});

test("after five failures it asks each second, and keeps trying the stream", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await sidecar.push("failing", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "failing", { timings: { pollSeconds: 1 }, WebSocket: null });
  await until(() => isNow(heard, "live"), "it is live");
  const breaking = setInterval(() => isNow(heard, "live") && proxy.cut(), 10);
  context.after(() => clearInterval(breaking));
  await until(() => heard.details.at(-1)?.failures === 4, "four failures", 20_000);
  assert.ok(!heard.states.includes("polling"));
  assert.equal(proxy.count("rest"), 0);
  await until(() => heard.states.includes("polling"), "it is polling", 20_000);
  assert.ok(heard.details.find((detail) => detail.transport === "polling").failures >= 5);
  const tried = proxy.count("sse");
  await until(() => proxy.count("sse") > tried, "the stream is tried again", 20_000);
});

test("where nothing answers, it says so, and comes back when something does", async (context) => {
  const proxy = await startProxy(context, sidecar);
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "cut";
  await sidecar.push("away", { current: 1, total: 8 });
  const heard = watching(context, proxy.url, "away");
  await until(() => heard.details.at(-1)?.failures >= 2, "it tries again");
  assert.equal(heard.watch.state, "reconnecting");
  assert.ok(!heard.states.includes("polling"));
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "pass";
  await until(() => isNow(heard, "live", "sse"), "it is live");
});

test("when an answer comes after none did, the stream is tried at once", async (context) => {
  const proxy = await startProxy(context, sidecar);
  proxy.treatment.sse = proxy.treatment.rest = "cut";
  await sidecar.push("recovers", { current: 1, total: 8 });
  const longest = { WebSocket: null, random: () => 1, timings: { failuresBeforePolling: 1 } };
  const heard = watching(context, proxy.url, "recovers", longest);
  await until(() => heard.details.at(-1)?.failures === 2, "it is to wait for 4 s");
  proxy.treatment.sse = proxy.treatment.rest = "pass";
  await until(() => isNow(heard, "live", "sse"), "it is live", 2500);
});

test("a full server is left alone for a while; meanwhile it is asked", async (context) => {
  const full = await startSidecar({ settings: { max_streams: 1, heartbeat_seconds: 0.5 } });
  context.after(() => full.stop());
  const proxy = await startProxy(context, full);
  await full.push("crowded", { current: 1, total: 4 });
  const first = watching(context, full.url, "crowded");
  await until(() => isNow(first, "live"), "the first is live");
  const second = watching(context, proxy.url, "crowded");
  await until(() => isNow(second, "polling"), "the second is polling");
  await until(() => proxy.count("rest") > 4, "it asks again and again");
  await full.push("crowded", { current: 2 });
  await until(() => second.jobs.at(-1)?.current === 2, "it is told all the same");

  assert.deepEqual(second.states, ["connecting", "reconnecting", "polling"]);
  assert.equal(second.details[1].reason, "overloaded");
  assert.equal(proxy.count("sse") + proxy.count("websocket"), 1);
});
