/** What a program in TypeScript does with the package. It is checked, not run. */

import { forget, remember, remembered, watch, watchJobs, watchRemembered } from "progress-sidecar";
import type { BriefJob, Job, State, StateDetail, Watching } from "progress-sidecar";
import { getProgressColor, useProgress, useSmoothProgress, useSmoothedETA } from "progress-sidecar/react";
import { useSnapshotProgress } from "progress-sidecar/react";
import { barAt, smoothBar, stepBar, stepEta } from "progress-sidecar/smooth";

/** What the package's page begins with. */
export function shownIn(bar: HTMLProgressElement, message: HTMLElement, dot: HTMLElement) {
  return watch("night-run", {
    url: "http://127.0.0.1:8650",
    onProgress: (job) => (bar.value = job.percent ?? 0),
    onDone: (job) => (message.textContent = job.status),
    onState: (state) => (dot.dataset.state = state),
  });
}

const watching: Watching = watch("night-run", {
  url: new URL("http://127.0.0.1:8650"),
  token: async () => "secret",
  rememberAs: { project: "uni", jobType: "timetable" },
  signal: new AbortController().signal,
  onProgress: (job: Job) => job.stages.map((stage) => stage.duration_seconds),
  onDone: ({ result, error }) => [result, error?.message],
  onGone: (jobId: string) => jobId,
  onState: (state: State, { reason, isDegraded }: StateDetail) => state === "ended" && (reason ?? isDegraded),
});
const shown: number | null | undefined = watching.job?.percent;
const now: number = watching.now();
watching.close();

// @ts-expect-error a row has no stages
watch("night-run", { view: "brief", onProgress: (row) => row.stages });
// @ts-expect-error there is no such option
watch("night-run", { onFinish: () => {} });
// @ts-expect-error a job is watched by its id
watch();
// @ts-expect-error there is no such state
const state: State = "offline";

const many = watchJobs(
  { project: "*", status: ["running", "paused"], jobIds: ["a"] },
  {
    onChange: (row: BriefJob, { isMatch }) => [row.eta_seconds, isMatch],
    onSynced: (jobs, { isRecovered }) => [jobs.get("a")?.percent, isRecovered],
  },
);
many.jobs.forEach((row) => row.stall_reason);
watchJobs({ project: "uni", view: "full" }, { onChange: (job) => job.stages.length });
// @ts-expect-error a project is needed
watchJobs({});

remember("uni", "timetable", "night-run");
const jobId: string | null = remembered("uni", "timetable");
const again: Watching | null = watchRemembered("uni", "timetable", { onDone: () => {} });
forget("uni", "timetable");

const bar: number = stepBar(barAt(0), 40, 1 / 60).position;
const eta: number | null = stepEta(null, 12);
smoothBar((position: number) => position).moveTo(40);

export function Page(): string {
  const { progress, isConnected, reconnectAttempt, error } = useProgress(jobId, {
    onComplete: (job) => job.result,
  });
  const percent: number = useSmoothProgress(progress?.percent);
  const seconds: number | null = useSmoothedETA(progress?.eta?.seconds);
  const { start, stop, progress: snapshot } = useSnapshotProgress("uni", { autoStart: false });
  start();
  stop();
  return [
    percent,
    seconds,
    isConnected,
    reconnectAttempt,
    error,
    snapshot?.step,
    getProgressColor(percent),
  ].join();
}

export { again, bar, eta, now, shown, state };
