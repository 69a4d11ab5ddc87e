/** The stages of a job, in their order: how each is doing, and how long it took. */

import { countedText, elapsedSeconds, isFinished, stageName } from "../page/words.js";
import { count, duration, el, percent, write } from "../page/text.js";

/**
 * @typedef {import("../progress.js").Job} Job
 * @typedef {import("../progress.js").Stage} Stage
 */

/** @type {Record<string, string>} */
const WORDS = { pending: "to come", skipped: "skipped", completed: "done" };

export function createStages() {
  const list = el("ol", { class: "stages" });
  const element = el(
    "section",
    { class: "panel card", "aria-labelledby": "stages-title", hidden: true },
    el("h2", { id: "stages-title" }, "Stages"),
    list,
  );
  /** @type {ReturnType<typeof createStage>[]} */
  let shown = [];
  /** @param {Job} job @param {number} now */
  function show(job, now) {
    element.hidden = job.stages.length === 0;
    if (shown.length !== job.stages.length) {
      shown = job.stages.map(createStage);
      list.replaceChildren(...shown.map((stage) => stage.element));
    }
    const weight = job.stages.reduce((sum, stage) => sum + stage.weight, 0);
    job.stages.forEach((stage, index) => shown[index].show(stage, weight, job, now));
  }
  return { element, show };
}

function createStage() {
  const name = el("span", { class: "stage-name" });
  const word = el("span", { class: "stage-word" });
  const time = el("span", { class: "stage-time" });
  const counted = el("span", { class: "stage-count" });
  const track = el("span", { class: "stage-track", "aria-hidden": "true" });
  const fill = el("span", { class: "stage-fill" });
  track.append(fill);
  const element = el(
    "li",
    { class: "stage" },
    track,
    name,
    el("span", { class: "stage-line" }, word, time),
    counted,
  );
  /** @param {Stage} stage @param {number} weight of all @param {Job} job @param {number} now */
  function show(stage, weight, job, now) {
    const isCurrent =
      stage.status === "running" || (stage.name === job.stage && stage.status !== "completed");
    element.dataset.status = stage.status;
    element.title =
      weight > 0
        ? `${stageName(stage)}: ${percent((100 * stage.weight) / weight)} of the job`
        : stageName(stage);
    if (isCurrent) element.setAttribute("aria-current", "step");
    else element.removeAttribute("aria-current");
    element.classList.toggle("indeterminate", stage.status === "running" && stage.percent === null);
    fill.style.transform = stageShare(stage);
    write(name, stageName(stage));
    write(word, stageWord(stage, isFinished(job.status)));
    write(time, stageTime(stage, job, now));
    write(counted, stageCount(stage));
  }
  return { element, show };
}

/** @param {Stage} stage @param {boolean} isOver */
function stageWord(stage, isOver) {
  if (stage.status === "pending" && isOver) return "not reached";
  if (stage.status === "running") return stage.percent === null ? "running" : percent(stage.percent);
  return WORDS[stage.status] ?? stage.status;
}

/** @param {Stage} stage @param {Job} job @param {number} now */
function stageTime(stage, job, now) {
  if (!stage.started_at) return "";
  if (stage.duration_seconds !== null) return duration(stage.duration_seconds);
  const { started_at, finished_at } = stage;
  return duration(elapsedSeconds({ started_at, finished_at: finished_at ?? job.finished_at }, now));
}

/** @param {Stage} stage */
function stageCount(stage) {
  if (stage.status === "completed" && stage.current !== null) return count(stage.current);
  return countedText({ ...stage, unit: null }) ?? "";
}

/** @param {Stage} stage */
function stageShare({ status, percent: share }) {
  if (status === "running" && share === null) return ""; // the style sheet has it
  return `scaleX(${(status === "completed" ? 100 : (share ?? 0)) / 100})`;
}
