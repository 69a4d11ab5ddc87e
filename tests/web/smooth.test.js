/** The bar, the ETA and the colour: the laws that they keep, and who drives them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  barAt,
  getProgressColor,
  progressHue,
  smoothBar,
  smoothEta,
  stepBar,
  stepEta,
} from "../../sidecar/web/smooth.js";

const FRAME = 1 / 60;

/** Let a bar go towards a target for a while, in steps of one length; return where it was after each. */
function drive(bar, target, seconds, step = FRAME) {
  const shown = [];
  for (let count = Math.round(seconds / step); count > 0; count--)
    shown.push((bar = stepBar(bar, target, step)));
  return shown;
}

/** What the law says for whole frames, without a fraction. */
function reference(target, frames) {
  let [position, velocity] = [0, 0];
  for (; frames > 0; frames--) {
    velocity = (velocity + (target - position) * 0.02) * 0.85;
    position = Math.min(target, position + velocity);
  }
  return position;
}

/** Frames that a test lets pass. */
function display() {
  const waiting = new Map();
  let [milliseconds, request] = [0, 0];
  return {
    options: {
      requestAnimationFrame: (draw) => waiting.set(++request, draw) && request,
      cancelAnimationFrame: (which) => waiting.delete(which),
      prefersReducedMotion: false,
    },
    waiting,
    pass(frames) {
      for (; frames > 0; frames--) {
        milliseconds += 1000 / 60;
        const draws = [...waiting.values()];
        waiting.clear();
        for (const draw of draws) draw(milliseconds);
      }
    },
  };
}

test("the bar moves as its law says", () => {
  for (const frames of [1, 2, 10, 20]) {
    const { position } = drive(barAt(0), 60, frames / 60).at(-1);
    assert.ok(Math.abs(position - reference(60, frames)) < 1e-9, `after ${frames} frames`);
  }
});

test("the bar never shows more than the server has said, and never turns back", () => {
  for (const step of [1 / 240, 1 / 60, 1 / 24, 0.3]) {
    let bar = barAt(0);
    for (const target of [0.03, 15, 15.1, 40, 41, 99.99]) {
      for (let count = 0; count < 40; count++) {
        const next = stepBar(bar, target, step);
        assert.ok(
          next.position <= target && next.position >= bar.position,
          `${next.position} towards ${target}`,
        );
        bar = next;
      }
    }
  }
});

test("the bar arrives, and rests there", () => {
  const bar = drive(barAt(15), 40, 3).at(-1);
  assert.deepEqual(bar, { position: 40, velocity: 0, finish: null });
});

test("the bar is at the same place at the same time, whatever the frame rate", () => {
  for (const seconds of [0.1, 0.25, 0.4]) {
    const places = [30, 60, 75, 120, 144, 240].map((hz) => {
      const frames = Math.round(seconds * hz);
      return drive(barAt(0), 50, seconds, seconds / frames).at(-1).position;
    });
    const spread = Math.max(...places) - Math.min(...places);
    assert.ok(spread < 0.05, `after ${seconds} s: ${places}`);
  }
});

test("towards 100 the bar eases out, in 0.6 s", () => {
  const shown = drive(barAt(36), 100, 0.6, 0.1);
  assert.ok(Math.abs(shown[2].position - (36 + 64 * (1 - 0.5 ** 3))) < 1e-9);
  assert.ok(shown[4].position < 100);
  assert.ok(Math.abs(shown[5].position - 100) < 1e-9);
  assert.equal(stepBar(shown[5], 100, FRAME).position, 100);
});

test("a new attempt takes the bar down at once", () => {
  const bar = drive(barAt(0), 80, 2).at(-1);
  assert.equal(stepBar(bar, 5, FRAME).position, 5);
});

test("an ETA makes good 15 % of what it is off, in a second", () => {
  assert.equal(stepEta(100, 200), 115);
  assert.ok(Math.abs(stepEta(stepEta(100, 200, 0.5), 200, 0.5) - 115) < 1e-9);
  assert.equal(stepEta(null, 200), 200);
  assert.equal(stepEta(100, null), null);
});

test("the colour goes from red by yellow to green without a step", () => {
  assert.equal(getProgressColor(0), "hsl(0, 90%, 50%)");
  assert.equal(getProgressColor(50), "hsl(60, 90%, 50%)");
  assert.equal(getProgressColor(100), "hsl(120, 90%, 50%)");
  assert.ok(Math.abs(progressHue(33.33) - 39.996) < 1e-9);
  assert.equal(getProgressColor(null), getProgressColor(0));
});

test("a driven bar reaches 100 exactly, and then asks for no more frames", () => {
  const screen = display();
  const shown = [];
  const bar = smoothBar((position) => shown.push(position), screen.options);
  bar.moveTo(40);
  screen.pass(30);
  bar.moveTo(100);
  screen.pass(60);

  assert.equal(shown.at(-1), 100);
  assert.deepEqual(
    shown,
    [...shown].sort((one, other) => one - other),
  );
  assert.ok(shown.length > 30);
  assert.equal(screen.waiting.size, 0);
});

test("a driven bar that is stopped stays", () => {
  const screen = display();
  const shown = [];
  const bar = smoothBar((position) => shown.push(position), screen.options);
  bar.moveTo(40);
  screen.pass(5);
  bar.stop();
  const before = shown.length;
  screen.pass(5);

  assert.equal(shown.length, before);
  assert.equal(screen.waiting.size, 0);
});

test("for a reader who prefers less motion, and where there are no frames, all is shown at once", () => {
  for (const options of [{ ...display().options, prefersReducedMotion: true }, {}]) {
    const [positions, etas] = [[], []];
    smoothBar((position) => positions.push(position), options).moveTo(40);
    const eta = smoothEta((seconds) => etas.push(seconds), options);
    eta.moveTo(300);
    eta.moveTo(500);
    assert.deepEqual(positions, [40]);
    assert.deepEqual(etas, [300, 500]);
  }
});

test("a driven ETA begins at once, then goes smoothly, and ends where it should", () => {
  const screen = display();
  const shown = [];
  const eta = smoothEta((seconds) => shown.push(seconds), screen.options);
  eta.moveTo(320);
  assert.deepEqual(shown, [320]);
  eta.moveTo(490);
  screen.pass(60);
  assert.ok(Math.abs(shown.at(-1) - 345.5) < 2, `after a second: ${shown.at(-1)}`);
  screen.pass(60 * 60);
  assert.equal(shown.at(-1), 490);
  assert.equal(screen.waiting.size, 0);
});
