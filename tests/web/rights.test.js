/** Tokens and tickets, at a sidecar that asks for them. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { SharedLocks, Tab } from "./tabs.js";
import { BROWSER, isNow, watching, watchingJobs } from "./watching.js";

const [ADMIN, WORKER, READER, STRANGER] = [
  "admin-secret-01234567890",
  "worker-secret-0123456789",
  "reader-secret-0123456789",
  "stranger-secret-01234567",
];
const TOKENS = `admin:*:${ADMIN};worker:*:${WORKER};reader:p:${READER};reader:q:${STRANGER}`;

let sidecar;
before(async () => {
  sidecar = await startSidecar({ settings: { auth: "tokens", tokens: TOKENS, heartbeat_seconds: 0.5 } });
});
after(() => sidecar.stop());

async function push(jobId, fields) {
  const headers = { Authorization: `Bearer ${WORKER}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ project: "p", ...fields });
  const answer = await fetch(`${sidecar.url}/v1/jobs/${jobId}`, { method: "POST", headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

async function newTicket(token = READER) {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(`${sidecar.url}/v1/tickets`, { method: "POST", headers });
  return (await answer.json()).ticket;
}

function tickets(proxy) {
  const streams = proxy.requests.filter((request) => request.kind !== "rest");
  return streams.map((request) => new URL(request.url, proxy.url).searchParams.get("ticket"));
}

test("a token is exchanged for a new ticket for each connection, and stands in no URL", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await push("a", { current: 1, total: 4 });
  const heard = watching(context, proxy.url, "a", { token: () => READER });
  await until(() => isNow(heard, "live", "sse"), "it is live");
  proxy.cut();
  await until(() => heard.states.includes("reconnecting"), "the cut is noticed");
  await until(() => isNow(heard, "live", "sse"), "it is live again");
  proxy.treatment.sse = "refuse";
  proxy.cut();
  await until(() => isNow(heard, "live", "websocket"), "it is live over a WebSocket");

  const used = tickets(proxy);
  assert.equal(new Set(used).size, used.length);
  assert.ok(used.length >= 3 && used.every((ticket) => ticket !== null));
  assert.ok(proxy.requests.every((request) => !request.url.includes(READER)));
});

test("a page that must not have a token gets tickets from elsewhere", async (context) => {
  await push("b", { current: 1, total: 4 });
  const heard = watching(context, sidecar.url, "b", { getTicket: () => newTicket() });
  await until(() => heard.jobs.length > 0, "it is shown");
});

test("tickets are enough beside a quiet stream, where no stream gets through, and for the next attempt", async (context) => {
  await push("b-2", { current: 1, total: 4 });
  const getTicket = () => newTicket();
  const quiet = watching(context, sidecar.url, "b-2", {
    getTicket,
    followsAttempts: true,
    timings: { quietSeconds: 0.3, attemptSeconds: 0.2 },
  });
  const asking = watching(context, sidecar.url, "b-2", { getTicket, EventSource: null, WebSocket: null });
  const many = watchingJobs(context, sidecar.url, { project: "p" }, { getTicket, EventSource: null, WebSocket: null });
  await until(() => isNow(quiet, "polling"), "it is asked for beside the stream");
  await until(() => isNow(asking, "polling", "polling"), "it is asked for");
  await until(() => many.jobs.some((job) => job.job_id === "b-2"), "it is asked for among others");
  await push("b-2", { status: "failed" });
  for (const heard of [quiet, asking]) await until(() => heard.done.length === 1, "its end is told");
  await push("b-2", { attempt: 2, current: 2, total: 4 });
  await until(() => quiet.jobs.at(-1).attempt === 2, "the next attempt is shown");
  assert.ok(![...quiet.details, ...asking.details].some((detail) => detail.reason === "unauthorized"));
});

test("a token that has just expired is asked for once more", async (context) => {
  await push("b-3", { current: 1, total: 4 });
  const given = ["expired-secret-0123456", READER, "expired-secret-0123456", READER];
  const token = () => given.shift() ?? READER;
  const heard = watching(context, sidecar.url, "b-3", { token });
  await until(() => isNow(heard, "live"), "it is live");
  const asking = watching(context, sidecar.url, "b-3", { token, EventSource: null, WebSocket: null });
  await until(() => asking.jobs.length > 0, "it is shown");
  assert.ok(!heard.states.includes("ended") && !asking.states.includes("ended"));
});

test("a link is the right to its job on every transport, and to no other", async (context) => {
  await push("linked", { current: 1, total: 4 });
  const headers = { Authorization: `Bearer ${ADMIN}` };
  const answer = await fetch(`${sidecar.url}/v1/jobs/linked/links`, { method: "POST", headers });
  const { link } = await answer.json();
  for (const [without, transport] of [
    [{}, "sse"],
    [{ EventSource: null }, "websocket"],
    [{ EventSource: null, WebSocket: null }, "polling"],
  ]) {
    const heard = watching(context, sidecar.url, "linked", { link, ...without });
    await until(() => heard.jobs.length > 0, `it is shown over ${transport}`);
    const other = watching(context, sidecar.url, "another", { link, ...without });
    await until(() => other.watch.state === "ended", "the watch ends");
    assert.equal(other.details.at(-1)?.reason, "forbidden");
  }
});

test("asking takes the token as a header", async (context) => {
  await push("c", { current: 1, total: 4 });
  const heard = watching(context, sidecar.url, "c", { token: READER, EventSource: null, WebSocket: null });
  await until(() => heard.jobs.length > 0, "it is shown");
});

test("who has no right is told so, and does not try again", async (context) => {
  const proxy = await startProxy(context, sidecar);
  await push("d", { current: 1, total: 4 });
  for (const [options, reason] of [
    [{}, "unauthorized"],
    [{ token: "wrong-secret-0123456789" }, "unauthorized"],
    [{ EventSource: null }, "unauthorized"],
    [{ EventSource: null, WebSocket: null }, "unauthorized"],
  ]) {
    const one = watching(context, proxy.url, "d", options);
    await until(() => one.watch.state === "ended", "the watch ends");
    assert.equal(one.details.at(-1)?.reason, reason);
    assert.deepEqual(one.jobs, []);
  }
  for (const [options, reason] of [
    [{}, "unauthorized"],
    [{ token: STRANGER }, "forbidden"],
    [{ token: STRANGER, EventSource: null }, "forbidden"],
  ]) {
    const many = watchingJobs(context, proxy.url, { project: "p" }, options);
    await until(() => many.watch.state === "ended", "the watch ends");
    assert.equal(many.details.at(-1)?.reason, reason);
  }
});

test("a tab without a right does not stand in the way of one that has it", async (context) => {
  await push("e", { current: 1, total: 4 });
  const locks = new SharedLocks();
  const first = watching(context, sidecar.url, "e", new Tab(locks, BROWSER.EventSource).options);
  await until(() => first.watch.state === "ended", "the first one ends");
  const options = { ...new Tab(locks, BROWSER.EventSource).options, token: READER };
  const second = watching(context, sidecar.url, "e", options);
  await until(() => second.jobs.length > 0, "the second one shows something");

  assert.deepEqual(first.states, ["connecting", "ended"]);
});
