/** Many jobs on one connection, at a real sidecar. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startProxy } from "./blocking_proxy.js";
import { startSidecar, until } from "./sidecar.js";
import { isNow, watchingJobs } from "./watching.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar({ settings: { heartbeat_seconds: 0.5 } });
});
after(() => sidecar.stop());

function remove(jobId) {
  return fetch(`${sidecar.url}/v1/jobs/${jobId}?force=true`, { method: "DELETE" });
}

function latest(heard, jobId) {
  return heard.jobs.findLast((job) => job.job_id === jobId);
}

test("tells what is, that this was all, and then each change, end and deletion", async (context) => {
  await sidecar.push("a1", { project: "a", current: 1, total: 4 });
  await sidecar.push("a2", { project: "a", current: 2, total: 4 });
  await sidecar.push("a0", { project: "a", status: "completed" });
  const heard = watchingJobs(context, sidecar.url, { project: "a" });
  await until(() => heard.synced.length > 0, "it is up to date");
  assert.deepEqual(heard.synced, [{ jobIds: ["a1", "a2"], isRecovered: false }]);
  assert.equal(heard.jobs.length, 2);

  await sidecar.push("a3", { project: "a", current: 3, total: 4 });
  await sidecar.push("a1", { status: "completed" });
  await remove("a2");
  await until(
    () => heard.gone.length > 0 && heard.done.length > 0 && latest(heard, "a3"),
    "all that is heard",
  );

  assert.deepEqual(heard.gone, ["a2"]);
  assert.deepEqual(
    heard.done.map((job) => [job.job_id, job.percent]),
    [["a1", 100]],
  );
  assert.deepEqual([...heard.watch.jobs.keys()], ["a3"]);
  assert.deepEqual(heard.states, ["connecting", "live"]);
});

test("a job that is lost is not among the unfinished ones, until it returns", async (context) => {
  const impatient = await startSidecar({ settings: { heartbeat_seconds: 0.5, lost_seconds: 1 } });
  context.after(() => impatient.stop());
  await impatient.push("l1", { project: "l", current: 1, total: 4 });
  const heard = watchingJobs(context, impatient.url, { project: "l" });
  await until(() => heard.watch.jobs.size === 1, "it is there");
  await until(() => latest(heard, "l1").status === "lost", "it is lost", 30_000);
  assert.equal(heard.watch.jobs.size, 0);
  assert.deepEqual(heard.done, []);
  await impatient.push("l1", { current: 2 });
  await until(() => heard.watch.jobs.get("l1")?.percent === 50, "it is back");
});

test("of a selection only what belongs to it comes, and once more what leaves it", async (context) => {
  await sidecar.push("b1", { project: "b", job_type: "wanted", status: "running" });
  await sidecar.push("b2", { project: "b", job_type: "wanted", status: "queued" });
  await sidecar.push("b3", { project: "b", job_type: "other", status: "running" });
  const heard = watchingJobs(context, sidecar.url, { project: "b", jobType: "wanted", status: ["running"] });
  await until(() => heard.synced.length > 0, "it is up to date");
  assert.deepEqual(heard.synced[0].jobIds, ["b1"]);
  await sidecar.push("b1", { status: "paused" });
  await until(() => latest(heard, "b1").status === "paused", "it leaves");
  await sidecar.push("b1", { message: "still paused" });
  await sidecar.push("b2", { status: "running" });
  await until(() => latest(heard, "b2"), "another enters");

  assert.deepEqual(heard.matches, [true, false, true]);
  assert.deepEqual([...heard.watch.jobs.keys()], ["b2"]);
});

test("jobs that are named come even if they have ended, once", async (context) => {
  await sidecar.push("c1", { project: "c", status: "completed" });
  await sidecar.push("c2", { project: "c", current: 1, total: 4 });
  await sidecar.push("c3", { project: "c", current: 1, total: 4 });
  const heard = watchingJobs(context, sidecar.url, { project: "c", jobIds: ["c1", "c2"] });
  await until(() => heard.synced.length > 0, "it is up to date");

  assert.deepEqual(heard.jobs.map((job) => job.job_id).sort(), ["c1", "c2"]);
  assert.deepEqual(
    heard.done.map((job) => job.job_id),
    ["c1"],
  );
});

test("after a break what changed meanwhile comes, and nothing else", async (context) => {
  const proxy = await startProxy(context, sidecar);
  for (const jobId of ["d1", "d2", "d3"]) await sidecar.push(jobId, { project: "d", current: 1, total: 4 });
  const heard = watchingJobs(context, proxy.url, { project: "d" });
  await until(() => heard.synced.length > 0, "it is up to date");
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "cut";
  proxy.cut();
  await until(() => heard.watch.state === "reconnecting", "the break is noticed");
  await sidecar.push("d1", { current: 2 });
  await sidecar.push("d2", { status: "failed" });
  await remove("d3");
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "pass";
  await until(() => heard.synced.length > 1, "it is up to date again");

  assert.deepEqual(heard.synced[1], { jobIds: ["d1"], isRecovered: true });
  assert.deepEqual(
    heard.done.map((job) => job.job_id),
    ["d2"],
  );
  assert.deepEqual(heard.gone, ["d3"]);
  assert.equal(heard.jobs.length, 5);
});

test("of every project nothing is missed either, though that cannot be resumed", async (context) => {
  const proxy = await startProxy(context, sidecar);
  for (const name of ["x", "y", "z"])
    await sidecar.push(`e-${name}`, { project: `e-${name}`, job_type: "e" });
  const heard = watchingJobs(context, proxy.url, { project: "*", jobType: "e" });
  await until(() => heard.synced.length > 0, "it is up to date");
  assert.deepEqual(heard.synced[0].jobIds, ["e-x", "e-y", "e-z"]);
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "cut";
  proxy.cut();
  await until(() => heard.watch.state === "reconnecting", "the break is noticed");
  await sidecar.push("e-x", { status: "failed" });
  await remove("e-y");
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "pass";
  await until(() => heard.synced.length > 1, "it is up to date again");

  assert.deepEqual(heard.synced[1], { jobIds: ["e-z"], isRecovered: false });
  assert.deepEqual(
    heard.done.map((job) => job.job_id),
    ["e-x"],
  );
  assert.deepEqual(heard.gone, ["e-y"]);
  assert.equal(heard.jobs.filter((job) => job.job_id === "e-z").length, 1);
});

test("where event streams are refused a WebSocket does, and asking where these are too", async (context) => {
  for (const transport of ["websocket", "polling"]) {
    const project = `f-${transport}`;
    const proxy = await startProxy(context, sidecar);
    proxy.treatment.sse = "refuse";
    if (transport === "polling") proxy.treatment.websocket = "refuse";
    await sidecar.push(`${project}-1`, { project, current: 1, total: 4 });
    await sidecar.push(`${project}-2`, { project, current: 1, total: 4 });
    const heard = watchingJobs(context, proxy.url, { project }, { timings: { fullPollSeconds: 1 } });
    await until(() => heard.synced.length > 0, "it is up to date");
    assert.equal(heard.details.at(-1)?.transport, transport);
    await sidecar.push(`${project}-3`, { project, current: 2, total: 4 });
    await until(() => latest(heard, `${project}-3`), "a new one is shown");
    await sidecar.push(`${project}-1`, { status: "cancelled" });
    await remove(`${project}-2`);
    await until(() => heard.done.length > 0 && heard.gone.length > 0, "the end and the deletion are heard");

    assert.equal(heard.done[0].status, "cancelled");
    assert.deepEqual(heard.gone, [`${project}-2`]);
    assert.equal(new Set(heard.jobs.map((job) => job.cursor)).size, heard.jobs.length);
  }
});

test("asking for a selection brings what belongs to it, and once more what leaves", async (context) => {
  await sidecar.push("i1", { project: "i", status: "running" });
  await sidecar.push("i2", { project: "i", status: "paused" });
  const none = { EventSource: null, WebSocket: null };
  const heard = watchingJobs(context, sidecar.url, { project: "i", status: ["running"] }, none);
  await until(() => heard.synced.length > 0, "it is up to date");
  await sidecar.push("i1", { status: "blocked" });
  await until(() => latest(heard, "i1")?.status === "blocked", "it leaves");

  assert.deepEqual(
    heard.jobs.map((job) => job.job_id),
    ["i1", "i1"],
  );
  assert.deepEqual(heard.matches, [true, false]);
  assert.equal(heard.watch.jobs.size, 0);
});

test("asking for jobs by their ids brings these, and their ends", async (context) => {
  for (const jobId of ["g1", "g2", "g3"]) await sidecar.push(jobId, { project: "g", current: 1, total: 4 });
  const none = { EventSource: null, WebSocket: null };
  const heard = watchingJobs(context, sidecar.url, { project: "g", jobIds: ["g1", "g2"] }, none);
  await until(() => heard.synced.length > 0, "it is up to date");
  await sidecar.push("g2", { status: "completed" });
  await until(() => heard.done.length > 0, "the end is heard");

  assert.deepEqual([...new Set(heard.jobs.map((job) => job.job_id))], ["g1", "g2"]);
});

test("from asking it goes back to the stream, and tells nothing twice", async (context) => {
  const proxy = await startProxy(context, sidecar);
  proxy.treatment.sse = proxy.treatment.websocket = "refuse";
  await sidecar.push("h1", { project: "h", current: 1, total: 4 });
  const heard = watchingJobs(context, proxy.url, { project: "h" });
  await until(() => isNow(heard, "polling") && heard.jobs.length === 1, "it is polling");
  await sidecar.push("h1", { current: 2 });
  await until(() => heard.jobs.length === 2, "a change is shown");
  proxy.treatment.sse = "pass";
  await until(() => isNow(heard, "live", "sse"), "it is live");
  await sidecar.push("h1", { current: 3 });
  await until(() => heard.jobs.at(-1).current === 3, "a change is shown");

  assert.deepEqual(
    heard.jobs.map((job) => job.current),
    [1, 2, 3],
  );
});
