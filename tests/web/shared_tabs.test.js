/** Tabs of one origin, which share one connection. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { SharedLocks, Tab } from "./tabs.js";
import { environment } from "../../sidecar/web/client/environment.js";
import { MOST_STREAMS } from "../../sidecar/web/client/places.js";
import { SharedFollower } from "../../sidecar/web/client/shared_tabs.js";
import { BROWSER, isNow, percents, watching, watchingJobs } from "./watching.js";

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

/** Open tabs that watch a selection, one after the other; as `open`, which is for one job. */
async function openMany(context, selection, count, timings = {}) {
  const [proxy, locks] = [await startProxy(context, sidecar), new SharedLocks()];
  const tabs = [];
  const add = async (wanted = selection) => {
    const tab = new Tab(locks, BROWSER.EventSource);
    const heard = watchingJobs(context, proxy.url, wanted, { ...tab.options, timings });
    tabs.push({ tab, heard });
    await until(() => isNow(heard, "live") && heard.synced.length > 0, "it is live, and all is told");
  };
  for (let number = 0; number < count; number++) await add();
  return { proxy, tabs, add };
}

/** The share of each unfinished job that a tab knows. */
function shares({ heard }) {
  return Object.fromEntries([...heard.watch.jobs].map(([jobId, { percent }]) => [jobId, percent]).sort());
}

test("tabs that watch the same jobs share one connection, and a later one is told all", async (context) => {
  for (const jobId of ["m1", "m2", "m3"])
    await sidecar.push(jobId, { project: "many", current: 1, total: 4 });
  const { proxy, tabs, add } = await openMany(context, { project: "many", status: ["running", "failed"] }, 2);
  await sidecar.push("m1", { current: 2 });
  await sidecar.push("m3", { status: "failed" });
  await until(() => tabs.every(({ heard }) => heard.done.length === 1), "both hear of the end");
  proxy.treatment.sse = proxy.treatment.websocket = proxy.treatment.rest = "hang";
  await add({ project: "many", status: ["failed", "running"] });
  assert.deepEqual(shares(tabs[2]), { m1: 50, m2: 25 });
  await sidecar.push("m2", { current: 3 });
  await until(() => tabs.every((tab) => shares(tab).m2 === 75), "all three hear of the change");

  assert.equal(proxy.requests.length, 1);
  assert.deepEqual(tabs[2].heard.done, []);
});

for (const project of ["heirs", "*"]) {
  test(`when the tab that watches many jobs dies, another goes on, in project ${project}`, async (context) => {
    const ids = [1, 2, 3].map((number) => `${project === "*" ? "every" : project}-${number}`);
    for (const jobId of ids) await sidecar.push(jobId, { project: "heirs", current: 1, total: 4 });
    const { proxy, tabs } = await openMany(context, { project }, 3);
    for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "cut";
    tabs[0].tab.die();
    const others = tabs.slice(1);
    await sidecar.push(ids[0], { current: 2 });
    await sidecar.push(ids[1], { status: "completed" });
    await fetch(`${sidecar.url}/v1/jobs/${ids[2]}?force=true`, { method: "DELETE" });
    for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "pass";
    const isTold = (each) => each.heard.done.length && each.heard.gone.length && shares(each)[ids[0]] === 50;
    await until(() => others.every(isTold), "the others hear what happened meanwhile");
    await sidecar.push(ids[0], { current: 3 });
    await until(() => others.every((tab) => shares(tab)[ids[0]] === 75), "and what happens from then on");

    assert.equal(others.filter(({ tab }) => tab.hasStream).length, 1);
    assert.deepEqual(
      others.map(({ heard }) => heard.gone),
      [[ids[2]], [ids[2]]],
    );
  });
}

test("a tab heeds nothing before it is greeted, and no second greeting", async (context) => {
  const [locks, name] = [new SharedLocks(), "greeting"];
  locks.ofTab("leader").request(name, {}, () => new Promise(() => {}));
  const leader = new BroadcastChannel(name);
  const hellos = [];
  leader.onmessage = ({ data }) => hellos.push(data);
  context.after(() => leader.close());
  const heard = [];
  const listener = { told: [], onStatus: () => {}, onEvent: ({ data }) => heard.push(data) };
  const surroundings = environment({ locks: locks.ofTab("tab"), BroadcastChannel, page: new EventTarget() });
  const sharing = new SharedFollower(surroundings, name, () => assert.fail("it leads"), listener);
  sharing.start();
  context.after(() => sharing.stop());
  await until(() => hellos.length > 0, "it says hello");
  const [status, event] = [{ state: "live" }, (data) => ({ name: "progress", data, cursor: null })];
  leader.postMessage({ event: event("early"), status: null });
  leader.postMessage({ greeting: [event("known"), event("known, too")], cursor: "e-1", status });
  leader.postMessage({ greeting: [event("for others")], cursor: "e-1", status });
  leader.postMessage({ event: event("later"), status: null });
  await until(() => heard.includes("later"), "it hears what comes later");

  assert.deepEqual(heard, ["known", "known, too", "later"]);
});

test("tabs with other tokens, views or selections do not share", async (context) => {
  const names = new Set();
  class Channel {
    constructor(name) {
      names.add(name);
    }
    postMessage() {}
    close() {}
  }
  const given = { BroadcastChannel: Channel, locks: new SharedLocks().ofTab("tab") };
  const ways = [{}, { token: "one" }, { token: "two" }, { token: () => "one" }, { view: "brief" }];
  for (const way of [...ways, ...ways])
    watching(context, sidecar.url, "a", { ...given, ...way }).watch.close();
  for (const selection of [{ project: "p" }, { project: "p", jobType: "t" }])
    watchingJobs(context, sidecar.url, selection, given).watch.close();

  assert.equal(names.size, ways.length + 2);
  assert.ok([...names].every((name) => !name.includes("one") && !name.includes("two")));
});

test("tabs that watch different jobs leave connections for others: who finds no place takes a WebSocket", async (context) => {
  const [proxy, locks] = [await startProxy(context, sidecar), new SharedLocks()];
  const add = async (jobId) => {
    await sidecar.push(jobId, { current: 1, total: 8 });
    const tab = new Tab(locks, BROWSER.EventSource);
    const heard = watching(context, proxy.url, jobId, tab.options);
    await until(() => isNow(heard, "live") && heard.jobs.length > 0, `${jobId} is live`);
    return { tab, heard };
  };
  const tabs = [];
  for (let number = 1; number <= 7; number++) tabs.push(await add(`seven-${number}`));
  assert.deepEqual([proxy.count("sse"), proxy.count("websocket")], [MOST_STREAMS, 7 - MOST_STREAMS]);

  tabs[0].heard.watch.close();
  tabs[1].tab.die();
  await add("seven-8");
  await add("seven-9");
  assert.equal(proxy.count("sse"), MOST_STREAMS + 2);
  await add("seven-10");
  assert.equal(proxy.count("sse"), MOST_STREAMS + 2);
});
