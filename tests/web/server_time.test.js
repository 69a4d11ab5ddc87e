/** The time of the sidecar, as a browser knows it whose own clock is wrong. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerTime } from "../../sidecar/web/client/server_time.js";

const SERVER = Date.parse("2030-01-31T12:00:00.250Z");
const HOUR = 3_600_000;

/** A reader's clock that is so far off, and can go on. */
function readersClock(offMilliseconds) {
  const clock = { at: SERVER + offMilliseconds, now: () => clock.at };
  return clock;
}

test("until the sidecar has said what time it is the reader's clock is taken", () => {
  const time = new ServerTime(readersClock(HOUR).now);

  assert.equal(time.now(), SERVER + HOUR);
  assert.deepEqual(time.told, []);
});

for (const off of [HOUR, -HOUR, 40, 0]) {
  test(`what a stream begins with tells the time to a clock that is ${off} ms ahead`, () => {
    const clock = readersClock(off);
    const time = new ServerTime(clock.now);
    time.read("2030-01-31T12:00:00.250Z");
    clock.at += 5_000;

    assert.equal(time.now(), SERVER + 5_000);
  });
}

test("the head of an answer tells it to the second, and leaves a clock alone that may be right", () => {
  const seen = [HOUR, -HOUR, 900, -900].map((off) => {
    const time = new ServerTime(readersClock(off).now);
    time.readHeader("Thu, 31 Jan 2030 12:00:00 GMT");
    return time.now() - SERVER;
  });

  assert.deepEqual(seen, [250, 250, 900, -900]);
});

test("the head of an answer does not overrule what a stream has said: a proxy may have written it", () => {
  const time = new ServerTime(readersClock(HOUR).now);
  time.read("2030-01-31T12:00:00.250Z");
  time.readHeader("Thu, 31 Jan 2030 11:00:00 GMT");

  assert.equal(time.now(), SERVER);
});

test("an answer without a time changes nothing", () => {
  const time = new ServerTime(readersClock(HOUR).now);
  for (const nothing of [null, "", "yesterday"]) time.readHeader(nothing);
  time.read(undefined);

  assert.equal(time.now(), SERVER + HOUR);
});

test("another tab is told in a way that may come late", () => {
  const clock = readersClock(HOUR);
  const [leader, other] = [new ServerTime(clock.now), new ServerTime(clock.now)];
  const events = [];
  const told = leader.telling({ onEvent: (event) => events.push(event), onStatus: () => {} });
  told.onEvent({ name: "connected", data: { server_time: "2030-01-31T12:00:00.250Z" }, cursor: null });
  clock.at += 60_000; // a tab in the background had been frozen
  const passed = [];
  const listener = { onEvent: ({ name }) => passed.push(name), onStatus: () => {}, told: [] };
  const heard = other.hearing(listener);
  for (const event of events) heard.onEvent(event);

  assert.equal(other.now(), SERVER + 60_000);
  assert.deepEqual(passed, ["connected"]);
  assert.deepEqual(heard.told, leader.told); // and what it tells in its turn
});
