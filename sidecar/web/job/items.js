/** The counts by kind, each with a bar to compare it with the others; by name, so that each has its place. */

import { count, el, write } from "../page/text.js";

/** @typedef {import("../progress.js").Job} Job */

export function createItems() {
  const list = el("dl", { class: "items" });
  const element = el(
    "section",
    { class: "panel card", "aria-labelledby": "items-title", hidden: true },
    el("h2", { id: "items-title" }, "Counted"),
    list,
  );
  /** @type {Map<string, ReturnType<typeof createItem>>} */
  let shown = new Map();
  /** @param {Job} job */
  function show(job) {
    const counts = Object.entries(job.items).sort(([a], [b]) => a.localeCompare(b));
    element.hidden = counts.length === 0;
    const largest = Math.max(1, ...counts.map(([, number]) => number));
    const before = shown;
    shown = new Map(counts.map(([kind]) => [kind, before.get(kind) ?? createItem(kind)]));
    for (const [kind, number] of counts) shown.get(kind)?.show(number, largest);
    const wanted = [...shown.values()].map((item) => item.element);
    if (
      wanted.some((item, index) => list.children[index] !== item) ||
      list.children.length !== wanted.length
    ) {
      list.replaceChildren(...wanted);
    }
  }
  return { element, show };
}

/** @param {string} kind */
function createItem(kind) {
  const number = el("span");
  const fill = el("span", { class: "item-fill" });
  const element = el("div", { class: "item" }, el("dt", null, kind), el("dd", null, number, fill));
  /** @param {number} value @param {number} largest */
  function show(value, largest) {
    write(number, count(value));
    fill.style.width = `${(100 * value) / largest}%`;
    fill.style.minWidth = value > 0 ? "2px" : "0";
  }
  return { element, show };
}
