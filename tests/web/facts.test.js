/** What the page of a job tells of time: when it may end, and when it last moved. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { JSDOM } from "jsdom";

process.env.TZ = "UTC";
const { window } = new JSDOM();
globalThis.document = window.document;
globalThis.Node = window.Node;
const { createFacts } = await import("../../sidecar/web/job/facts.js");

const NOW = Date.parse("2030-01-31T12:00:00.000Z");
const before = (seconds) => new Date(NOW - seconds * 1000).toISOString();
const JOB = { status: "running", started_at: before(600), rate_per_second: null, stall: null, unit: null };

/** What is told at NOW of a job. */
function told(job) {
  const facts = createFacts(() => NOW);
  facts.show({ ...JOB, ...job }, NOW);
  return [...facts.element.querySelectorAll(".hero-fact:not([hidden])")].map((fact) =>
    [...fact.children].map((part) => part.textContent),
  );
}

test("a job that takes longer than expected says when it was expected", () => {
  const eta = { seconds: 60, low_seconds: 50, high_seconds: 90, finish_at: before(60) };
  const [left] = told({ eta, updated_at: before(120), last_progress_at: before(120), last_contact_at: before(120) });

  assert.deepEqual(left, ["Time left", "later than expected", "it was expected at 11:59:00"]);
});

test("what the watchdog writes into a job is no progress, and a report is only contact", () => {
  const seen = { eta: null, updated_at: before(1), last_progress_at: before(300), last_contact_at: before(4) };

  assert.deepEqual(told(seen).at(-1), ["Last progress", "5 min ago", "worker heard 4 s ago"]);
  assert.deepEqual(told({ ...seen, last_contact_at: before(300) }).at(-1), [
    "Last progress",
    "5 min ago",
    "11:55:00",
  ]);
});
