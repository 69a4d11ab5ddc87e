/** The hooks of the packed package, in real React, at a real sidecar. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import "./document.js";
import { StrictMode, createElement, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { startProxy } from "./blocking_proxy.js";
import { installed } from "./packed.js";
import { startSidecar, until } from "./sidecar.js";
import { AT_ONCE, BROWSER, IMPATIENT } from "./watching.js";

let hooks, sidecar;
before(async () => {
  [
    {
      modules: { react: hooks },
    },
    sidecar,
  ] = await Promise.all([installed(), startSidecar({ settings: { heartbeat_seconds: 0.5 } })]);
});
after(() => sidecar.stop());

const OPTIONS = { ...BROWSER, random: AT_ONCE, timings: IMPATIENT };

/**
 * Render a component that uses a hook; return what the hook has returned, and ways to change its arguments.
 */
function use(context, hook, ...given) {
  const used = { results: [], errors: [], rerender: null, given: null };
  function Component() {
    const [values, setValues] = useState(given);
    used.rerender = (...next) => setValues(next);
    used.results.push((used.result = hook(...values)));
    useEffect(() => void (used.given = values)); // after the effects of the hook itself
    return null;
  }
  const root = createRoot(document.createElement("div"), {
    onUncaughtError: (error) => used.errors.push(error),
  });
  used.unmount = () => root.unmount();
  root.render(createElement(StrictMode, null, createElement(Component)));
  context.after(() => root.unmount());
  return used;
}

test("useProgress follows a job to its end, and says so once", async (context) => {
  await sidecar.push("a", { current: 1, total: 4 });
  const completed = [];
  const onComplete = (job) => completed.push(job.percent);
  const used = use(context, hooks.useProgress, "a", {
    url: sidecar.url,
    ...OPTIONS,
    onComplete,
    onError: assert.fail,
  });
  await until(() => used.result?.progress?.percent === 25, "25 is rendered");
  assert.equal(used.results[0].progress, null);
  assert.equal(used.result.isConnected, true);
  assert.equal(used.result.error, null);
  await sidecar.push("a", { status: "completed" });
  await until(() => used.result.state === "ended", "the end is rendered");

  assert.equal(used.result.progress.percent, 100);
  assert.deepEqual(completed, [100]);
  assert.deepEqual(used.errors, []);
});

test("useProgress tells of a failure, and calls the callback of the newest render", async (context) => {
  await sidecar.push("b", { current: 1, total: 4 });
  const failed = [];
  const used = use(context, hooks.useProgress, "b", { url: sidecar.url, ...OPTIONS, onError: assert.fail });
  await until(() => used.result?.progress, "it is rendered");
  const onError = (reason, job) => failed.push([reason, job.status]);
  used.rerender("b", { onError });
  await until(() => used.given[1].onError === onError, "the newest callback is known");
  await sidecar.push("b", { status: "failed", error: { message: "no disk" } });
  await until(() => failed.length > 0, "the failure is heard");

  assert.deepEqual(failed, [["no disk", "failed"]]);
  await until(() => used.result.error === "no disk", "the error is rendered");
});

test("useProgress connects anew for another job only, not for other options", async (context) => {
  const proxy = await startProxy(context, sidecar);
  for (const jobId of ["c1", "c2"]) await sidecar.push(jobId, { current: 1, total: 4 });
  const options = { url: proxy.url, ...OPTIONS };
  const used = use(context, hooks.useProgress, "c1", options);
  await until(() => used.result?.isConnected, "it is connected");
  used.rerender("c1", { ...options });
  proxy.cut();
  await until(() => used.result.reconnectAttempt === 1, "the reconnect is rendered");
  await until(() => used.result.isConnected && used.result.reconnectAttempt === 0, "it is connected again");
  await sidecar.push("c1", { current: 2 });
  await until(() => used.result.progress.percent === 50, "50 is rendered");
  assert.equal(proxy.count("sse"), 2);
  used.rerender("c2", options);
  await until(() => used.result.progress?.job_id === "c2", "the other job is rendered");
  assert.equal(proxy.count("sse"), 3);
});

test("useProgress counts how often in a row it had to connect anew, each time once", async (context) => {
  const proxy = await startProxy(context, sidecar);
  for (const kind of ["sse", "websocket", "rest"]) proxy.treatment[kind] = "cut";
  const failures = [];
  const onState = (state, detail) => void (state === "reconnecting" && failures.push(detail.failures));
  const used = use(context, hooks.useProgress, "away", { url: proxy.url, ...OPTIONS, onState });
  await until(() => used.result?.reconnectAttempt >= 4, "it is tried again and again");
  await until(() => used.result.reconnectAttempt === failures.at(-1), "each failure counts once");
});

test("useProgress shows no other job than the one it is asked for, not even once", async (context) => {
  await sidecar.push("e1", { status: "failed", error: { message: "no disk" } });
  await sidecar.push("e2", { current: 1, total: 4 });
  const named = (jobId, options) => ({ jobId, ...hooks.useProgress(jobId, options) });
  const options = { url: sidecar.url, ...OPTIONS };
  const used = use(context, named, "e1", options);
  await until(() => used.result?.error === "no disk", "the failure is rendered");
  used.rerender("e2", options);
  await until(() => used.result.progress?.job_id === "e2", "the other job is rendered");

  const others = used.results.filter(({ jobId }) => jobId === "e2");
  assert.deepEqual(new Set(others.map(({ progress }) => progress?.job_id)), new Set([undefined, "e2"]));
  assert.deepEqual(new Set(others.map(({ error }) => error)), new Set([null]));
  assert.deepEqual([others[0].state, others[0].isConnected], ["connecting", false]);
});

test("useProgress closes its connection when its component goes, and needs no job", async (context) => {
  await sidecar.push("d", { current: 1, total: 4 });
  const sources = [];
  class Source extends BROWSER.EventSource {
    constructor(url) {
      super(url);
      sources.push(this);
    }
  }
  const used = use(context, hooks.useProgress, "d", { url: sidecar.url, ...OPTIONS, EventSource: Source });
  await until(() => used.result?.progress, "it is rendered");
  used.unmount();
  await until(() => sources.every((source) => source.readyState === source.CLOSED), "all are closed");
  const idle = use(context, hooks.useProgress, null);
  await until(() => idle.result, "it renders");

  assert.equal(sources.length, 1);
  assert.deepEqual([idle.result.progress, idle.result.state, idle.errors.length], [null, "connecting", 0]);
});

test("useSmoothProgress moves up to the actual progress and no further", async (context) => {
  const used = use(context, hooks.useSmoothProgress, 40);
  await until(() => used.result === 40, "it arrives");
  used.rerender(100);
  await until(() => used.result === 100, "it ends");
  used.rerender(10);
  await until(() => used.result === 10, "a new attempt takes it down");

  const rising = used.results.slice(0, used.results.indexOf(100));
  assert.deepEqual(
    rising,
    [...rising].sort((one, other) => one - other),
  );
  assert.ok(new Set(rising).size > 10);
});

test("useSmoothedETA begins at once, and goes on smoothly", async (context) => {
  const used = use(context, hooks.useSmoothedETA, null);
  await until(() => used.results.length > 0, "it renders");
  assert.equal(used.result, null);
  used.rerender(10);
  await until(() => used.result === 10, "it begins");
  used.rerender(14);
  await until(() => used.result > 10.4 && used.result < 14, "it is on its way");
  used.rerender(undefined);
  await until(() => used.result === null, "there is none any more");
});

test("useSnapshotProgress follows a project's newest snapshot to its end", async (context) => {
  const stages = ["waiting", "browsing", "listing", "compressing", "uploading", "completed"].map((name) => ({
    name,
  }));
  await sidecar.push("s1", { project: "snap", job_type: "snapshot", stages, stage: "waiting" });
  const completed = [];
  const onComplete = (job) => completed.push(job.job_id);
  const used = use(context, hooks.useSnapshotProgress, "snap", { url: sidecar.url, ...OPTIONS, onComplete });
  await until(() => used.result?.progress?.step === 1, "the first step is rendered");
  await sidecar.push("s1", { stage: "compressing", current: 5, total: 10, unit: "bytes", message: "half" });
  await until(() => used.result.progress.step === 4, "the fourth step is rendered");
  const { jobId, totalSteps, stepName, message, bytesDone, bytesTotal } = used.result.progress;
  assert.deepEqual(
    { jobId, totalSteps, stepName, message, bytesDone, bytesTotal },
    { jobId: "s1", totalSteps: 6, stepName: "compressing", message: "half", bytesDone: 5, bytesTotal: 10 },
  );
  assert.equal(used.result.isConnected, true);
  await sidecar.push("s1", { status: "completed" });
  await until(() => used.result.connectionState === "stopped", "it stops by itself");

  assert.deepEqual([used.result.progress.step, used.result.progress.percent], [6, 100]);
  assert.deepEqual(completed, ["s1"]);
});

test("useSnapshotProgress shows a snapshot that had ended, and follows the next one", async (context) => {
  await sidecar.push("s3", { project: "past", job_type: "snapshot", current: 3, total: 4 });
  await sidecar.push("s3", { status: "failed", error: { message: "no disk" } });
  const ends = [];
  const used = use(context, hooks.useSnapshotProgress, "past", {
    url: sidecar.url,
    ...OPTIONS,
    onComplete: (job) => ends.push(job.job_id),
    onError: (reason) => ends.push(reason),
  });
  await until(() => used.result?.progress?.jobId === "s3" && used.result.isConnected, "it is rendered");
  assert.deepEqual([used.result.progress.percent, used.result.error, ends], [75, "no disk", []]);
  await sidecar.push("s4", { project: "past", job_type: "snapshot", current: 1, total: 4 });
  await until(() => used.result.progress.jobId === "s4", "the next one is rendered");
  assert.equal(used.result.error, null);
  await sidecar.push("s4", { status: "completed" });
  await until(() => used.result.connectionState === "stopped", "it stops by itself");

  assert.deepEqual(ends, ["s4"]);
});

test("useSnapshotProgress is started and stopped by hand, if wanted", async (context) => {
  await sidecar.push("s2", { project: "hand", job_type: "snapshot" });
  const used = use(context, hooks.useSnapshotProgress, "hand", {
    url: sidecar.url,
    ...OPTIONS,
    autoStart: false,
  });
  await until(() => used.result, "it renders");
  assert.equal(used.result.connectionState, "stopped");
  used.result.start();
  await until(() => used.result.progress?.jobId === "s2", "it is rendered");
  used.result.stop();
  await until(() => used.result.connectionState === "stopped", "it is stopped");
});

test("useSnapshotProgress that is started by hand keeps nothing of the project before", async (context) => {
  await sidecar.push("s5", { project: "before", job_type: "snapshot", status: "failed" });
  const options = { url: sidecar.url, ...OPTIONS, autoStart: false };
  const named = (projectId, options) => ({ projectId, ...hooks.useSnapshotProgress(projectId, options) });
  const used = use(context, named, "before", options);
  await until(() => used.result, "it renders");
  used.result.start();
  await until(() => used.result.error === "failed", "the failure is rendered");
  used.rerender("after", options);
  await until(() => used.given[0] === "after", "the other project is rendered");

  for (const { progress, error, connectionState } of used.results.filter((each) => each.projectId === "after"))
    assert.deepEqual([progress, error, connectionState], [null, null, "stopped"]);
});

test("getProgressColor is there beside the hooks", () => {
  assert.equal(hooks.getProgressColor(50), "hsl(60, 90%, 50%)");
});
