/** Tabs of one origin, which share one connection. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { SharedLocks, Tab } from "./tabs.js";
import { BROWSER, isNow, percents, watching } from "./watching.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar({ settings: { heartbeat_seconds: 0.5 } });
});
after(() => sidecar.stop());

/**
 * Open some tabs that watch a job, one after the other; return them, what each has heard, and the proxy
 * between.
 */
async function open(context, jobId, count, timings = {}) {
  await sidecar.push(jobId, { current: 1, total: 8 });
  const [proxy, locks] = [await startProxy(context, sidecar), new SharedLocks()];
  const tabs = [];
  const add = async () => {
    const tab = new Tab(locks, BROWSER.EventSource);
    const heard = watching(context, proxy.url, jobId, { ...tab.options, timings });
    tabs.push({ tab, heard });
    await until(() => isNow(heard, "live") && heard.jobs.length > 0, "it is live and shows something");
  };
  for (let number = 0; number < count; number++) await add();
  return { proxy, tabs, add };
}

/** Push a count, and wait until all these tabs show it. */
async function pushAndSee(tabs, jobId, current) {
  await sidecar.push(jobId, { current });
  await until(() => tabs.every(({ heard }) => heard.jobs.at(-1)?.current === current), `all show ${current}`);
}

test("all tabs show the same over one connection, and all are told of the end", async (context) => {
  const { proxy, tabs } = await open(context, "shared", 3);
  await pushAndSee(tabs, "shared", 2);
  await sidecar.push("shared", { status: "completed" });
  await until(() => tabs.every(({ heard }) => heard.watch.state === "ended"), "all end");

  for (const { heard } of tabs) {
    assert.deepEqual(percents(heard), [12.5, 25, 100]);
    assert.equal(heard.done.length, 1);
    assert.equal(heard.details.at(-1)?.reason, "done");
  }
  assert.equal(proxy.count("sse"), 1);
});

for (const [end, how] of [
  ["closes", (leader) => leader.heard.watch.close()],
  ["dies", (leader) => leader.tab.die()],
]) {
  test(`when the tab with the connection ${end}, another goes on from there`, async (context) => {
    const jobId = `heir-${end}`;
    const { proxy, tabs } = await open(context, jobId, 3);
    await pushAndSee(tabs, jobId, 2);
    const [leader, ...others] = tabs;
    how(leader);
    await pushAndSee(others, jobId, 3);
    await pushAndSee(others, jobId, 4);

    for (const { heard } of others) {
      assert.deepEqual(percents(heard), [12.5, 25, 37.5, 50]);
      assert.deepEqual(heard.states, ["connecting", "live"]);
    }
    assert.equal(proxy.count("sse"), 2);
    assert.match(proxy.requests.at(-1).url, /last_event_id=/);
  });
}

test("a page that is left hands the connection on, and hears again when it is back", async (context) => {
  const { tabs } = await open(context, "left", 2);
  const [leader, other] = tabs;
  leader.tab.page.dispatchEvent(new Event("pagehide"));
  await until(() => !leader.tab.hasStream && other.tab.hasStream, "the other one has the connection");
  await pushAndSee([other], "left", 2);
  leader.tab.page.dispatchEvent(new Event("pageshow"));
  await pushAndSee(tabs, "left", 3);

  assert.ok(!leader.tab.hasStream);
  assert.deepEqual(percents(leader.heard), [12.5, 25, 37.5]);
  for (const { heard } of tabs) assert.deepEqual(heard.states, ["connecting", "live"]);
});

test("what happens while no tab has a connection is not missed", async (context) => {
  const { proxy, tabs } = await open(context, "between", 2);
  proxy.treatment.sse = proxy.treatment.websocket = proxy.treatment.rest = "cut";
  tabs[0].tab.die();
  await sidecar.push("between", { current: 5 });
  await sidecar.push("between", { status: "failed" });
  proxy.treatment.sse = "pass";
  await until(() => tabs[1].heard.done.length > 0, "the end is heard");

  assert.deepEqual(percents(tabs[1].heard), [12.5, 62.5]);
});

test("a tab that hangs loses the connection to one that does not", async (context) => {
  const timings = { tabHeartbeatSeconds: 0.2, tabSilenceSeconds: 1 };
  const { tabs } = await open(context, "hanging", 2, timings);
  const [leader, other] = tabs;
  leader.tab.hang();
  await until(() => other.tab.hasStream, "the other one has a connection");
  await until(() => !leader.tab.hasStream, "it is the only one");
  await pushAndSee([other], "hanging", 2);

  assert.deepEqual(percents(other.heard), [12.5, 25]);
});

test("a tab whose neighbour is only idle leaves it the connection", async (context) => {
  const timings = { tabHeartbeatSeconds: 0.2, tabSilenceSeconds: 1 };
  const { proxy, tabs } = await open(context, "idle", 2, timings);
  const since = performance.now();
  await until(() => performance.now() - since > 2500, "the patience of two and a half tabs has passed");
  await pushAndSee(tabs, "idle", 2);

  assert.equal(proxy.count("sse"), 1);
});

test("a tab that comes later shows at once what the others do", async (context) => {
  const { proxy, tabs, add } = await open(context, "late", 2);
  proxy.treatment.sse = proxy.treatment.websocket = proxy.treatment.rest = "hang";
  await add();

  assert.deepEqual(percents(tabs[2].heard), [12.5]);
  assert.equal(proxy.requests.length, 1);
});

test("all tabs say that the connection is broken, and that it is back", async (context) => {
  const { proxy, tabs } = await open(context, "broken", 2);
  proxy.cut();
  await until(() => tabs.every(({ heard }) => heard.states.includes("reconnecting")), "all notice");
  await until(() => tabs.every(({ heard }) => isNow(heard, "live")), "all are live again");
});

test("without locks, or if it is not wanted, each tab has a connection of its own", async (context) => {
  await sidecar.push("own", { current: 1, total: 8 });
  const [proxy, locks] = [await startProxy(context, sidecar), new SharedLocks()];
  const ways = [{ locks: null }, { BroadcastChannel: null }, { isShared: false }];
  for (const way of ways) {
    const heard = watching(context, proxy.url, "own", {
      ...new Tab(locks, BROWSER.EventSource).options,
      ...way,
    });
    await until(() => heard.jobs.length > 0, "it shows something");
  }
  assert.equal(proxy.count("sse"), ways.length);
});

test("where locks are refused, a tab goes on alone", async (context) => {
  await sidecar.push("refused", { current: 1, total: 8 });
  const locks = { request: () => Promise.reject(new DOMException("no", "SecurityError")) };
  const heard = watching(context, sidecar.url, "refused", { BroadcastChannel, locks });
  await until(() => heard.jobs.length > 0, "it shows something");
});
