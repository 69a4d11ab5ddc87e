/** The document in which React renders; to be imported before React is. */

import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><main></main>", {
  pretendToBeVisual: true,
  url: "http://127.0.0.1/",
});

Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
Object.assign(globalThis, {
  window,
  document: window.document,
  requestAnimationFrame: window.requestAnimationFrame.bind(window),
  cancelAnimationFrame: window.cancelAnimationFrame.bind(window),
  IS_REACT_ACT_ENVIRONMENT: false,
});
process.once("beforeExit", () => window.close());
