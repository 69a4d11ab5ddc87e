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

/** @type {Record<Wish, { title: string, text: string, yes: string, no: string }>} */
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

/** @param {Control} control */
export function createControls(control) {
  const question = createQuestion(control);
  const pause = el("button", { type: "button", onclick: () => question.open("pause") }, "Pause");
  const resume = el("button", { type: "button", onclick: () => question.open("resume") }, "Resume");
  const cancel = el("button", { type: "button", class: "danger", onclick: () => question.open("cancel") });
  const element = el("div", { class: "controls", hidden: true }, pause, resume, cancel, question.element);
  /** @type {Job | null} */
  let shown = null;
  let isAway = false;
  /** @param {Job} job */
  function show(job) {
    shown = job;
    element.hidden = !control.isOffered || isFinished(job.status);
    if (element.hidden) question.close();
    const isHeld = job.pause_requested || job.status === "paused";
    pause.hidden = isHeld;
    resume.hidden = !isHeld;
    pause.disabled = resume.disabled = cancel.disabled = isAway || job.cancel_requested;
    write(cancel, job.cancel_requested ? "Cancel requested" : "Cancel");
  }
  /** @param {boolean} isNowAway whether there is nobody to ask */
  function turn(isNowAway) {
    isAway = isNowAway;
    if (shown) show(shown);
  }
  return { element, show, turn, close: () => question.close() };
}

/** @param {Control} control */
function createQuestion({ ask, askForToken }) {
  const title = el("h2", { id: "question-title" });
  const text = el("p", { id: "question-text", class: "muted" });
  const trouble = el("p", { class: "error-text", role: "alert" });
  const no = el("button", { type: "button", onclick: () => element.close() });
  const yes = el("button", { type: "submit", class: "primary" });
  const form = el("form", null, title, text, trouble, el("div", { class: "actions" }, no, yes));
  const told = { "aria-labelledby": "question-title", "aria-describedby": "question-text" };
  const element = el("dialog", { class: "question", ...told }, form);
  /** @type {Wish} */
  let wish = "cancel";

  /** @param {Wish} wanted */
  function open(wanted) {
    wish = wanted;
    title.textContent = QUESTIONS[wish].title;
    text.textContent = QUESTIONS[wish].text;
    no.textContent = QUESTIONS[wish].no;
    yes.textContent = QUESTIONS[wish].yes;
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
