/** What people may ask of a worker: to stop, to pause, to go on. It asks back before anything is lost. */

import { isFinished } from "../page/words.js";
import { el, write } from "../page/text.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {"cancel" | "pause" | "resume"} Wish
 *
 * Why a wish was not taken; null if it was.
 * @typedef {{ isForbidden: boolean, text: string } | null} Refusal
 *
 * @typedef {object} Control
 * @property {boolean} isOffered whether anything can be asked for at all
 * @property {(wish: Wish) => Promise<Refusal>} ask
 * @property {(why: string) => Promise<boolean>} askForToken whether one was given
 */

/** @typedef {{ title: string, text: string, yes: string, no: string }} Question */

/** @type {Record<Wish, Question>} */
const QUESTIONS = {
  cancel: {
    title: "Cancel this job?",
    text: "Its worker is asked to stop. What is done stays on record, but this attempt does not go on.",
    yes: "Cancel the job",
    no: "Keep it running",
  },
  pause: {
    title: "Pause this job?",
    text: "Its worker is asked to wait where it is, until it is asked to go on.",
    yes: "Pause the job",
    no: "Keep it running",
  },
  resume: {
    title: "Let this job go on?",
    text: "Its worker is asked to take up the work where it paused.",
    yes: "Resume the job",
    no: "Leave it paused",
  },
};

/** What is asked of a job that nobody has begun. @type {Partial<Record<Wish, Question>>} */
const QUESTIONS_OF_QUEUED = {
  cancel: {
    title: "Cancel this job?",
    text: "Nobody has begun it. Whoever takes it up is asked to stop at once.",
    yes: "Cancel the job",
    no: "Leave it queued",
  },
  pause: {
    title: "Pause this job?",
    text: "Nobody has begun it. Whoever takes it up is asked to wait until it is asked to go on.",
    yes: "Pause the job",
    no: "Leave it queued",
  },
};

/** @param {Control} control */
export function createControls(control) {
  const question = createQuestion(control, () => keepFocus());
  const pause = el("button", { type: "button", onclick: () => open("pause") }, "Pause");
  const resume = el("button", { type: "button", onclick: () => open("resume") }, "Resume");
  const cancel = el("button", { type: "button", class: "danger", onclick: () => open("cancel") });
  const buttons = [pause, resume, cancel];
  const what = { role: "group", "aria-label": "Ask its worker", tabindex: "-1" };
  const element = el("div", { class: "controls", hidden: true, ...what }, ...buttons, question.element);
  /** @type {Job | null} */
  let shown = null;
  /** @param {Wish} wish */
  const open = (wish) => question.open(wish, shown?.status === "queued");
  let isAway = false;
  /** The button that was used last may be there no more: whoever uses a keyboard goes on from beside it. */
  function keepFocus() {
    const isUsable = (/** @type {HTMLButtonElement} */ button) => !button.hidden && !button.disabled;
    const used = buttons.find((button) => button === document.activeElement);
    const isLost = used ? !isUsable(used) : document.activeElement === document.body;
    if (isLost && !element.hidden) (buttons.find(isUsable) ?? element).focus();
  }
  /** @param {Job} job */
  function show(job) {
    const hasFocus = buttons.some((button) => button === document.activeElement);
    shown = job;
    element.hidden = !control.isOffered || isFinished(job.status);
    if (element.hidden) question.close();
    const isHeld = job.pause_requested || job.status === "paused";
    pause.hidden = isHeld;
    resume.hidden = !isHeld;
    pause.disabled = resume.disabled = cancel.disabled = isAway || job.cancel_requested;
    write(cancel, job.cancel_requested ? "Cancel requested" : "Cancel");
    if (hasFocus) keepFocus();
  }
  /** @param {boolean} isNowAway whether there is nobody to ask */
  function turn(isNowAway) {
    isAway = isNowAway;
    if (shown) show(shown);
  }
  return { element, show, turn, close: () => question.close() };
}

/** @param {Control} control @param {() => void} onClosed */
function createQuestion({ ask, askForToken }, onClosed) {
  const title = el("h2", { id: "question-title" });
  const text = el("p", { id: "question-text", class: "muted" });
  const trouble = el("p", { class: "error-text", role: "alert" });
  const no = el("button", { type: "button", onclick: () => element.close() });
  const yes = el("button", { type: "submit", class: "primary" });
  const form = el("form", null, title, text, trouble, el("div", { class: "actions" }, no, yes));
  const told = { "aria-labelledby": "question-title", "aria-describedby": "question-text" };
  const element = el("dialog", { class: "question", ...told, onclose: onClosed }, form);
  /** @type {Wish} */
  let wish = "cancel";

  /** @param {Wish} wanted @param {boolean} isQueued whether nobody has begun the job */
  function open(wanted, isQueued) {
    wish = wanted;
    const question = (isQueued ? QUESTIONS_OF_QUEUED[wish] : null) ?? QUESTIONS[wish];
    title.textContent = question.title;
    text.textContent = question.text;
    no.textContent = question.no;
    yes.textContent = question.yes;
    yes.classList.toggle("danger", wish === "cancel");
    trouble.textContent = "";
    element.showModal();
    no.focus();
  }

  async function insist() {
    const refusal = await ask(wish);
    if (!refusal?.isForbidden || !element.open) return refusal;
    return (await askForToken(refusal.text)) ? ask(wish) : refusal;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault(); // the page's policy lets no form be sent
    yes.disabled = true;
    const refusal = await insist();
    yes.disabled = false;
    trouble.textContent = refusal?.text ?? "";
    if (!refusal) element.close();
  });
  return { element, open, close: () => element.close() };
}
