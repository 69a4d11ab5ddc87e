/** What stands where no job is shown: that there is none, and how to make the first one. */

import { el } from "../page/text.js";

/** @typedef {"loading" | "empty" | "idle" | "unmatched" | "unmatchedNow" | "unfound" | null} Nothing null: there is something */

const COPIED_MILLISECONDS = 2000;

export class NothingShown {
  /** @type {HTMLElement} */ #root;
  /** @type {Nothing} */ #shown = null;
  #needsToken = false;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /** Show the first command with a token. */
  requireToken() {
    this.#needsToken = true;
  }

  /** @param {Nothing} nothing */
  show(nothing) {
    if (nothing === this.#shown) return;
    this.#shown = nothing;
    this.#root.hidden = nothing === null;
    this.#root.replaceChildren(...(nothing === null ? [] : this.#words(nothing)));
  }

  /** @param {NonNullable<Nothing>} nothing @returns {HTMLElement[]} */
  #words(nothing) {
    if (nothing === "loading") return [el("p", { class: "muted loading" }, "Loading jobs …")];
    if (nothing === "idle")
      return [
        el("p", null, "Nothing is running."),
        el("p", { class: "muted" }, "New jobs appear here by themselves."),
      ];
    if (nothing === "unmatched") return [el("p", null, "No job matches these filters.")];
    if (nothing === "unmatchedNow") return [el("p", null, "No unfinished job matches these filters.")];
    if (nothing === "unfound")
      return [
        el("p", null, "No job that is listed matches."),
        el("p", { class: "muted" }, "Enter opens the job that has exactly this id, however old it is."),
      ];
    return [
      el("p", null, "No jobs yet."),
      el("p", { class: "muted" }, "This makes the first one:"),
      this.#firstCommand(),
    ];
  }

  #firstCommand() {
    const token = this.#needsToken ? `-H "Authorization: Bearer $TOKEN" ` : "";
    const update = "-d current=74 -d total=216 -d message='cluster 74 of 216'";
    const command = `curl ${token}${update} ${location.origin}/v1/jobs/first`;
    const code = el("code", null, command);
    const copy = el("button", { type: "button" }, "Copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command);
        copy.textContent = "Copied";
        setTimeout(() => (copy.textContent = "Copy"), COPIED_MILLISECONDS);
      } catch {
        getSelection()?.selectAllChildren(code); // the browser does not let us: one key does it now
      }
    });
    copy.hidden = !navigator.clipboard;
    return el("div", { class: "command" }, code, copy);
  }
}
