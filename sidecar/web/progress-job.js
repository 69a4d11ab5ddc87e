/**
 * `<progress-job>`: a job's progress for the pages of any app.
 *
 *     <script type="module" src="http://127.0.0.1:8650/web/progress-job.js"></script>
 *     <progress-job job-id="night-run"></progress-job>
 *
 * Attributes: `job-id`; `url`, where the sidecar is (by default where this file came from); `token`, one
 * that may read, or `link`, a signed link's text; `label`, a title instead of the id; `theme`, `light` or
 * `dark` instead of the reader's own; `dialog`, to stand in a modal dialog; `autoclose`, to close itself 2 s after the
 * job has completed (after a failure it stays, and so it does if the job had ended before it was shown). With `dialog`
 * or `autoclose` there is a close button.
 *
 * Events, which bubble: `progress` and `done` with `detail.job`, `gone` with `detail.jobId`, `denied` with
 * `detail.reason`, and `close` with `detail.reason`: `completed` or `reader`. What has closed is hidden, and
 * stays in the document until the app removes it.
 */

import { isOver } from "./client/job_order.js";
import { createCard } from "./job/card.js";
import { CARD_STYLE } from "./job/card_style.js";
import { watch } from "./progress.js";
import { el } from "./page/text.js";

/** @typedef {import("./progress.js").Job} Job */

const CLOSE_MILLISECONDS = 2000;
const LEAVE_MILLISECONDS = 200;
const TICK_MILLISECONDS = 1000;

const style = new CSSStyleSheet();
style.replaceSync(CARD_STYLE);

export class ProgressJob extends HTMLElement {
  static observedAttributes = ["job-id", "url", "token", "link", "label", "dialog", "autoclose"];

  #root = this.attachShadow({ mode: "open" });
  /** @type {ReturnType<typeof createCard> | null} */ #card = null;
  /** @type {HTMLDialogElement | null} */ #dialog = null;
  /** @type {import("./progress.js").Watching | null} */ #watching = null;
  /** @type {ReturnType<typeof setTimeout>[]} */ #timers = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */ #ticking;
  #isRestartDue = false;
  /** Whether the job was shown before it ended. */
  #isWitness = false;
  #now = () => this.#watching?.now() ?? Date.now();

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [style];
  }

  /** The newest state of the job, null before there is one. */
  get job() {
    return this.#watching?.job ?? null;
  }

  connectedCallback() {
    this.#restartSoon();
  }

  disconnectedCallback() {
    this.#stop();
  }

  attributeChangedCallback() {
    this.#restartSoon();
  }

  /** Hide it and stop watching. @param {string} [reason] */
  close(reason = "reader") {
    if (!this.#card) return;
    this.#stop();
    this.hidden = true;
    this.#tell("close", { reason });
  }

  /** Attributes are set one by one: start once, when all of them are there. */
  #restartSoon() {
    if (this.#isRestartDue) return;
    this.#isRestartDue = true;
    queueMicrotask(() => {
      this.#isRestartDue = false;
      this.#stop();
      if (this.isConnected && this.getAttribute("job-id")) this.#start(String(this.getAttribute("job-id")));
    });
  }

  /** @param {string} jobId */
  #start(jobId) {
    const canClose = this.hasAttribute("dialog") || this.hasAttribute("autoclose");
    const card = createCard({
      name: this.getAttribute("label") || jobId,
      clock: this.#now,
      onClose: canClose ? () => this.close() : null,
    });
    this.#card = card;
    this.#isWitness = false;
    this.hidden = false;
    this.#place(card.element);
    this.#watching = watch(jobId, {
      url: this.getAttribute("url") ?? undefined,
      token: this.getAttribute("token") ?? undefined,
      link: this.getAttribute("link") ?? undefined,
      followsAttempts: true,
      onProgress: (job) => this.#show(job),
      onDone: (job) => this.#finish(job),
      onGone: () => this.#lose(jobId),
      onState: (state, { reason }) => this.#connected(state, reason),
    });
  }

  /** @param {HTMLElement} card */
  #place(card) {
    if (!this.hasAttribute("dialog")) return this.#root.replaceChildren(card);
    const onclose = () => this.#dialog === dialog && this.close(); // by Escape; not when it is replaced
    const dialog = el("dialog", { "aria-label": "Progress", onclose }, card);
    this.#dialog = dialog;
    this.#root.replaceChildren(dialog);
    dialog.showModal();
  }

  #stop() {
    this.#watching?.close();
    this.#card?.stop();
    this.#card = null;
    this.#tick(false);
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
    const dialog = this.#dialog;
    this.#dialog = null;
    dialog?.close();
  }

  /** Let the times that are shown go on, or stand still. @param {boolean} isGoingOn */
  #tick(isGoingOn) {
    if (isGoingOn === (this.#ticking !== undefined)) return;
    clearInterval(this.#ticking);
    const tick = () => this.job && this.#card?.show(this.job, this.#now());
    this.#ticking = isGoingOn ? setInterval(tick, TICK_MILLISECONDS) : undefined;
  }

  /** @param {Job} job */
  #show(job) {
    this.#card?.show(job, this.#now());
    this.#tick(true);
    if (!isOver(job.status)) this.#isWitness = true;
    this.#tell("progress", { job });
  }

  /** @param {Job} job */
  #finish(job) {
    this.#tick(false);
    this.#tell("done", { job });
    if (job.status !== "completed" || !this.#isWitness || !this.hasAttribute("autoclose")) return;
    this.#later(CLOSE_MILLISECONDS - LEAVE_MILLISECONDS, () => this.#card?.leave());
    this.#later(CLOSE_MILLISECONDS, () => this.close("completed"));
  }

  /** @param {string} jobId */
  #lose(jobId) {
    this.#tick(false);
    this.#card?.say("There is no such job, or no longer.");
    this.#tell("gone", { jobId });
  }

  /** @param {import("./progress.js").State} state @param {string | null} reason */
  #connected(state, reason) {
    this.#card?.connected(state);
    if (reason !== "unauthorized" && reason !== "forbidden") return;
    this.#card?.say("You may not see this job from here.");
    this.#tell("denied", { reason });
  }

  /** @param {number} milliseconds @param {() => void} callback */
  #later(milliseconds, callback) {
    this.#timers.push(setTimeout(callback, milliseconds));
  }

  /** @param {string} name @param {object} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

if (!customElements.get("progress-job")) customElements.define("progress-job", ProgressJob);
