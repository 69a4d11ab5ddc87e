/** What keys and the pointer do: `/` searches, the arrows go from job to job, a click on a row opens it. */

const STEPS = new Map([
  ["ArrowDown", 1],
  ["ArrowUp", -1],
]);

/** @param {() => void} onSearch */
export function listenToKeys(onSearch) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/") {
      event.preventDefault();
      onSearch();
    } else if (STEPS.has(event.key)) step(event, STEPS.get(event.key) ?? 0);
  });
}

/**
 * Let a click anywhere in a row open its job, unless it ends a selection of text.
 * @param {HTMLElement} root
 */
export function openOnClick(root) {
  root.addEventListener("click", ({ target, button }) => {
    if (button !== 0 || !(target instanceof Element) || target.closest("a, button")) return;
    if (!getSelection()?.isCollapsed) return;
    target.closest(".job")?.querySelector("a")?.click();
  });
}

/** Show in full what is cut off, where the pointer rests. @param {HTMLElement} root */
export function tellWhatIsCut(root) {
  root.addEventListener("mouseover", ({ target }) => {
    const cell = target instanceof Element ? target.closest(".cut") : null;
    if (!(cell instanceof HTMLElement)) return;
    cell.title = cell.scrollWidth > cell.clientWidth ? (cell.textContent ?? "") : "";
  });
}

/** @param {KeyboardEvent} event @param {number} by */
function step(event, by) {
  const row = event.target instanceof Element ? event.target.closest(".job") : null;
  if (!row) return;
  const links = Array.from(document.querySelectorAll(".job a"));
  const next = links[links.findIndex((link) => row.contains(link)) + by];
  if (!(next instanceof HTMLElement)) return;
  event.preventDefault();
  next.focus();
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && target.closest("input, select, textarea, dialog") !== null;
}
