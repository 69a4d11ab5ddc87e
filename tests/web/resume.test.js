/** What a page remembers over a reload, and when that is forgotten. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { forget, remember, remembered, watchRemembered } from "../../sidecar/web/progress.js";
import { startSidecar, until } from "./sidecar.js";
import { BROWSER, watching } from "./watching.js";

let sidecar;
before(async () => {
  sidecar = await startSidecar();
});
after(() => sidecar.stop());

/** A Storage that a test can look into. */
function storage() {
  const values = new Map();
  return {
    values,
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => values.set(key, value),
    removeItem: (key) => values.delete(key),
  };
}

const KIND = { project: "uni", jobType: "timetable" };
const REMEMBERED = [["progress-sidecar:active:uni:timetable", "r1"]];

test("one job of each kind in each project is remembered", () => {
  const kept = { storage: storage() };
  remember("uni", "timetable", "a", kept);
  remember("uni", "tree", "b", kept);
  remember("school", "timetable", "c", kept);

  assert.equal(remembered("uni", "timetable", kept), "a");
  assert.equal(remembered("uni", "tree", kept), "b");
  assert.equal(remembered("school", "timetable", kept), "c");
  forget("uni", "timetable", "another", kept);
  assert.equal(remembered("uni", "timetable", kept), "a");
  forget("uni", "timetable", undefined, kept);
  assert.equal(remembered("uni", "timetable", kept), null);
});

test("without a storage, or with one that fails, nothing is remembered and nothing breaks", () => {
  const failing = {
    getItem: () => assert.fail(),
    setItem: () => assert.fail(),
    removeItem: () => assert.fail(),
  };
  for (const kept of [{ storage: null }, { storage: failing }, {}]) {
    remember("uni", "timetable", "a", kept);
    assert.equal(remembered("uni", "timetable", kept), null);
    forget("uni", "timetable", undefined, kept);
  }
});

test("a page that is loaded again takes up what it watched, until that ends", async (context) => {
  const kept = storage();
  await sidecar.push("r1", { current: 1, total: 4 });
  const before = watching(context, sidecar.url, "r1", { storage: kept, rememberAs: KIND });
  await until(() => before.jobs.length > 0, "it is shown");
  before.watch.close();
  assert.deepEqual([...kept.values], REMEMBERED);

  const done = [];
  const options = { url: sidecar.url, ...BROWSER, storage: kept, onDone: (job) => done.push(job) };
  const again = watchRemembered("uni", "timetable", options);
  context.after(() => again.close());
  await until(() => again.job?.percent === 25, "it is shown again");
  assert.equal(again.jobId, "r1");
  await sidecar.push("r1", { status: "completed" });
  await until(() => done.length > 0, "the end is heard");

  assert.equal(kept.values.size, 0);
  assert.equal(watchRemembered("uni", "timetable", options), null);
});

test("a job that fails, or is gone, is forgotten", async (context) => {
  for (const [jobId, end] of [
    ["failing", () => sidecar.push("failing", { status: "failed" })],
    ["deleted", () => fetch(`${sidecar.url}/v1/jobs/deleted?force=true`, { method: "DELETE" })],
  ]) {
    const kept = storage();
    await sidecar.push(jobId, { current: 1, total: 4 });
    const heard = watching(context, sidecar.url, jobId, { storage: kept, rememberAs: KIND });
    await until(() => heard.jobs.length > 0, "it is shown");
    assert.equal(kept.values.size, 1);
    await end();
    await until(() => heard.watch.state === "ended", "the watch ends");
    assert.equal(kept.values.size, 0);
  }
});

test("a newer job of the kind, begun in another tab, stays remembered", async (context) => {
  const kept = storage();
  await sidecar.push("r3", { current: 1, total: 4 });
  const heard = watching(context, sidecar.url, "r3", { storage: kept, rememberAs: KIND });
  await until(() => heard.jobs.length > 0, "it is shown");
  remember("uni", "timetable", "newer", { storage: kept });
  await sidecar.push("r3", { status: "completed" });
  await until(() => heard.watch.state === "ended", "the watch ends");

  assert.equal(remembered("uni", "timetable", { storage: kept }), "newer");
});
