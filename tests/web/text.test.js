/** What people read: durations, times in their zone, numbers; and that text stays text. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { JSDOM } from "jsdom";

process.env.TZ = "Asia/Kolkata"; // before the module makes its formats: nearly nobody is at half past
const { ago, clock, count, duration, el, moment, percent, when } =
  await import("../../sidecar/web/page/text.js");
const { countedText, heardText, remaining } = await import("../../sidecar/web/page/words.js");
const { messageText, timeText } = await import("../../sidecar/web/live/words.js");

const { window } = new JSDOM();
globalThis.document = window.document;
globalThis.Node = window.Node;

/** As a reader would see it who writes decimals with a point. @param {string} text */
const pointed = (text) => text.replace(",", ".");

const NOW = Date.parse("2030-01-31T12:00:00.000Z");

test("a duration has the two units that matter", () => {
  const seen = [0, 0.02, 0.44, 0.97, 12.4, 59.6, 61, 3599, 3600, 7500, 86400, 273600]
    .map(duration)
    .map(pointed);
  assert.deepEqual(seen, [
    "0 s",
    "0.1 s",
    "0.4 s",
    "1 s",
    "12 s",
    "1 min 00 s",
    "1 min 01 s",
    "59 min 59 s",
    "1 h 00 min",
    "2 h 05 min",
    "1 d 0 h",
    "3 d 4 h",
  ]);
});

test("what is not known is a dash", () => {
  for (const unknown of [null, undefined, NaN, Infinity]) {
    assert.deepEqual([duration(unknown), count(unknown), percent(unknown)], ["–", "–", "–"]);
  }
  for (const unknown of [null, undefined, "", "yesterday"]) {
    assert.deepEqual([clock(unknown), moment(unknown), ago(unknown, NOW)], ["–", "–", "–"]);
  }
});

test("times are in the reader's zone", () => {
  assert.equal(clock("2030-01-31T12:00:07.123Z"), "17:30:07");
  assert.equal(clock("2030-01-31T18:31:00.000Z"), "00:01:00");
  assert.match(moment("2030-01-31T20:00:07.000Z"), /2030.*01:30:07/);
});

test("a time that is not today's has its date", () => {
  assert.equal(when("2030-01-31T18:29:00.000Z", NOW), "23:59:00");
  assert.match(when("2030-01-31T18:31:00.000Z", NOW), /Feb.*00:01:00/);
  assert.equal(when(null, NOW), "–");
});

test("how long ago is told in one unit", () => {
  const seen = [0, 1.9, 2, 59, 60, 3599, 3600, 86399, 86400, 200000].map((seconds) =>
    ago(new Date(NOW - seconds * 1000).toISOString(), NOW),
  );
  assert.deepEqual(seen, [
    "just now",
    "just now",
    "2 s ago",
    "59 s ago",
    "1 min ago",
    "59 min ago",
    "1 h ago",
    "23 h ago",
    "1 d ago",
    "2 d ago",
  ]);
});

test("a clock that is ahead is no time before now", () => {
  assert.equal(ago("2030-01-31T12:00:09.000Z", new Date(NOW)), "just now");
});

test("counts have separators", () => {
  assert.equal(count(1234567).replace(/\D/g, ""), "1234567");
  assert.notEqual(count(1234567), "1234567");
  assert.equal(count(3), "3");
});

test("only what is whole is 100 %", () => {
  assert.deepEqual([0, 35.56, 35, 0.3, 99.99, 100].map(percent).map(pointed), [
    "0%",
    "35.5%",
    "35.0%",
    "0.3%",
    "99.9%",
    "100%",
  ]);
});

test("no number is shown below what it is by the way that computers keep it", () => {
  for (let tenth = 1; tenth < 1000; tenth++)
    assert.equal(pointed(percent(tenth / 10)), `${(tenth / 10).toFixed(1)}%`);
});

test("a count says of what it is, and whether more of it may be found", () => {
  const job = { current: 645, total: 700, unit: "pages" };
  assert.equal(countedText(job), "645 of 700 pages");
  assert.equal(countedText({ ...job, total_growing: true }), "645 of 700 pages found so far");
  assert.equal(countedText({ ...job, total_growing: true, unit: null }), "645 of 700 found so far");
  assert.equal(countedText({ ...job, total: null }), "645 pages so far");
  assert.equal(countedText({ ...job, current: null }), null);
});

test("text stays text", () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const element = el("p", { title: hostile }, hostile, ["<b>", 3], null, false, el("em", null, "<i>"));

  assert.equal(element.textContent, `${hostile}<b>3<i>`);
  assert.equal(element.title, hostile);
  assert.equal(element.querySelectorAll("*").length, 1);
});

test("an attribute is there or not", () => {
  const element = el("button", { disabled: true, hidden: false, title: null, lang: undefined, value: 0 });

  assert.deepEqual(
    [...element.attributes].map(({ name, value }) => `${name}=${value}`),
    ["disabled=", "value=0"],
  );
});

test("a function listens", () => {
  const heard = [];
  el("button", { onclick: (event) => heard.push(event.type) }).click();

  assert.deepEqual(heard, ["click"]);
});

const RUNNING = { status: "running", updated_at: new Date(NOW).toISOString() };

test("no time that is left is told of a job in which nothing moves, but of one that is late", () => {
  const eta = { seconds: 60, low_seconds: 50, high_seconds: 90, finish_at: null };
  const told = ["silent", "no_progress", "deadline", "overdue"].map((reason) => [
    remaining({ ...RUNNING, eta, stall: { reason } }, NOW)?.seconds ?? null,
    timeText({ ...RUNNING, eta_seconds: 60, stall_reason: reason }, NOW),
  ]);

  assert.deepEqual(told, [
    [null, "–"],
    [null, "–"],
    [60, "1 min 00 s"],
    [60, "1 min 00 s"],
  ]);
});

test("a job whose time is up is done any moment only if it nearly is", () => {
  const late = (percent, seconds) => timeText({ ...RUNNING, percent, eta_seconds: 10 }, NOW + seconds * 1000);

  assert.deepEqual([late(40, 9), late(40, 11)], ["1 s", "late"]);
  assert.deepEqual([late(99, 9), late(99, 11), late(99, 50)], ["1 s", "any moment", "late"]);
});

test("a message that says no more than the stage does is not told beside it", () => {
  const job = { ...RUNNING, stage: "solving", stage_label: "Solving clusters", current: 74, total: 216 };

  assert.equal(messageText({ ...job, message: "Solving clusters" }), "74 of 216");
  assert.equal(messageText({ ...job, message: "cluster 74" }), "cluster 74");
});

test("a worker that is heard while nothing moves is said to be, and no other", () => {
  const heard = (seconds) =>
    heardText(
      {
        last_progress_at: new Date(NOW - 60_000).toISOString(),
        last_contact_at: new Date(NOW - seconds * 1000).toISOString(),
      },
      NOW,
    );

  assert.deepEqual([60, 51, 50, 3].map(heard), [null, null, "worker heard 50 s ago", "worker heard 3 s ago"]);
});
