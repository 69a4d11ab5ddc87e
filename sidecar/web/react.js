/** The client as React hooks. */

import { useCallback, useEffect, useRef, useState } from "react";
import { watch, watchJobs } from "./progress.js";
import { smoothBar, smoothEta } from "./smooth.js";
import { connect } from "./client/connection.js";
import { isNewer, isOver } from "./client/job_order.js";
import { JobsSource } from "./client/source_jobs.js";

export { getProgressColor } from "./smooth.js";

/**
 * @typedef {import("./progress.js").Job} Job
 * @typedef {import("./progress.js").State} State
 * @typedef {import("./progress.js").StateDetail} StateDetail
 */

/** @type {Omit<import("./react.js").Progress, "isConnected">} */
const NOTHING_YET = {
  progress: null,
  error: null,
  reconnectAttempt: 0,
  state: "connecting",
  isDegraded: false,
};
/** @type {Pick<import("./react.js").Snapshot, "progress" | "error" | "connectionState">} */
const NO_SNAPSHOT_YET = { progress: null, error: null, connectionState: "stopped" };
const SNAPSHOT_STEPS = 6;

/** @type {typeof import("./react.js").useProgress} */
export function useProgress(jobId, options = {}) {
  const [shown, begin, tell] = useStateOf(jobId, NOTHING_YET);
  const reconnectCount = useRef(0); // this one counts; the state is only for display
  const latest = useLatest(options);

  useEffect(() => {
    reconnectCount.current = 0;
    begin();
    if (!jobId) return undefined;

    const watching = watch(jobId, {
      ...latest.current,
      onProgress: (job) => {
        tell(isOver(job.status) ? { progress: job } : { progress: job, error: null }); // of the attempt before
        latest.current.onProgress?.(job);
      },
      onDone: (job) => {
        if (job.status !== "completed") tell({ error: why(job) });
        settle(job, latest.current);
      },
      onGone: () => {
        tell({ error: "gone" });
        latest.current.onError?.("gone", null);
      },
      onState: (state, detail) => {
        if (state === "reconnecting") reconnectCount.current = detail.failures;
        if (state === "live") reconnectCount.current = 0;
        tell({ state, isDegraded: detail.isDegraded, reconnectAttempt: reconnectCount.current });
        refuse(state, detail, tell, latest.current);
        latest.current.onState?.(state, detail);
      },
    });
    return () => watching.close();
  }, [jobId]); // and nothing else: whatever else changes, the connection stays

  return { ...shown, isConnected: shown.state === "live" };
}

/** @type {typeof import("./react.js").useSmoothProgress} */
export function useSmoothProgress(actualProgress, options) {
  const [shown, setShown] = useState(0);
  const moving = useRef(/** @type {import("./smooth.js").Smooth<number | null | undefined> | null} */ (null));
  useEffect(() => {
    moving.current = smoothBar(setShown, options);
    return () => moving.current?.stop();
  }, []);
  useEffect(() => moving.current?.moveTo(actualProgress), [actualProgress]);
  return shown;
}

/** @type {typeof import("./react.js").useSmoothedETA} */
export function useSmoothedETA(etaSeconds, options) {
  const [shown, setShown] = useState(/** @type {number | null} */ (null));
  const moving = useRef(/** @type {import("./smooth.js").Smooth<number | null> | null} */ (null));
  useEffect(() => {
    moving.current = smoothEta(setShown, options);
    return () => moving.current?.stop();
  }, []);
  useEffect(() => moving.current?.moveTo(etaSeconds ?? null), [etaSeconds]);
  return shown;
}

/** @type {typeof import("./react.js").useSnapshotProgress} */
export function useSnapshotProgress(projectId, options = {}) {
  const [shown, begin, tell] = useStateOf(projectId, NO_SNAPSHOT_YET);
  const watching = useRef(/** @type {{close: () => void} | null} */ (null));
  const latest = useLatest(options);

  const stop = useCallback(() => {
    watching.current?.close();
    watching.current = null;
    tell({ connectionState: "stopped" });
  }, [projectId]);

  const start = useCallback(() => {
    watching.current?.close();
    begin();
    if (!projectId) return;
    /** @type {import("./progress.js").Selection & { view: "full" }} */
    const wanted = { project: projectId, jobType: latest.current.jobType ?? "snapshot", view: "full" };
    const jobs = new JobsSource(connect(latest.current), wanted);
    const looking = new AbortController();
    let newest = /** @type {Job | null} */ (null);
    /** @param {Job} job */
    const show = (job) => {
      const isSame = newest?.job_id === job.job_id;
      if (newest && (isSame ? !isNewer(newest, job) : job.created_at < newest.created_at)) return;
      newest = job;
      const isFailure = isOver(job.status) && job.status !== "completed";
      tell({ progress: snapshotOf(job), error: isFailure ? why(job) : null });
    };
    /** A stream begins with what is unfinished: the newest one may have ended before. */
    const look = () =>
      jobs.newest(looking.signal).then(
        (job) => looking.signal.aborted || (job && show(job)),
        () => {}, // it is asked again with the next whole state
      );
    const watched = watchJobs(wanted, {
      ...latest.current,
      onChange: (job) => {
        show(job);
        if (job.job_id !== newest?.job_id || !isOver(job.status)) return;
        stop();
        settle(job, latest.current);
      },
      onSynced: look,
      onState: (state, detail) => {
        tell({ connectionState: state });
        refuse(state, detail, tell, latest.current);
      },
    });
    watching.current = {
      close: () => {
        looking.abort();
        watched.close();
      },
    };
    look();
  }, [projectId]);

  useEffect(() => {
    if (latest.current.autoStart ?? true) start();
    return stop;
  }, [projectId]);

  return { ...shown, isConnected: shown.connectionState === "live", start, stop };
}

/**
 * Return what is known of whom the caller asks for now, what lets that begin anew, and what changes it. What was known
 * of somebody else is not returned: a render with another id comes before its effect.
 * @template Known
 * @param {string | null | undefined} id
 * @param {Known} nothingYet
 * @returns {[Known, () => void, (news: Partial<Known>) => void]}
 */
function useStateOf(id, nothingYet) {
  const [held, setHeld] = useState({ id, known: nothingYet });
  const begin = useCallback(() => setHeld({ id, known: nothingYet }), [id]);
  const tell = useCallback(
    (/** @type {Partial<Known>} */ news) =>
      setHeld((before) => (before.id === id ? { id, known: { ...before.known, ...news } } : before)),
    [id],
  );
  return [held.id === id ? held.known : nothingYet, begin, tell];
}

/**
 * Return a ref to the newest value, for callbacks that outlive a render.
 * @template Value
 * @param {Value} value
 */
function useLatest(value) {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** @typedef {Pick<import("./react.js").ProgressOptions, "onComplete" | "onError">} Ends */

/** @param {Job} job @param {Ends} options */
function settle(job, { onComplete, onError }) {
  if (job.status === "completed") onComplete?.(job);
  else onError?.(why(job), job);
}

/**
 * @param {State} state
 * @param {StateDetail} detail
 * @param {(news: { error: string }) => void} tell
 * @param {Ends} options
 */
function refuse(state, { reason }, tell, { onError }) {
  if (state !== "ended" || (reason !== "unauthorized" && reason !== "forbidden")) return;
  tell({ error: reason });
  onError?.(reason, null);
}

/** @param {Job} job */
function why(job) {
  return job.error?.message ?? job.status;
}

/**
 * @param {Job} job
 * @returns {import("./react.js").SnapshotProgress}
 */
function snapshotOf(job) {
  const totalSteps = job.stages.length || SNAPSHOT_STEPS;
  const place = job.stages.findIndex((stage) => stage.name === job.stage) + 1;
  const isBytes = job.unit === "bytes";
  return {
    projectId: job.project,
    jobId: job.job_id,
    status: job.status,
    step: job.status === "completed" ? totalSteps : place,
    totalSteps,
    stepName: job.stage_label ?? job.stage,
    percent: job.percent,
    message: job.message,
    bytesDone: isBytes ? job.current : null,
    bytesTotal: isBytes ? job.total : null,
    error: job.error?.message ?? null,
    updatedAt: job.updated_at,
  };
}
