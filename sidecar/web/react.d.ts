/** The client as React hooks. */

import type { Job, JobStatus, State, StateDetail, WatchJobsOptions, WatchOptions } from "./progress.js";
import type { AnimationOptions } from "./smooth.js";

export { getProgressColor } from "./smooth.js";

export interface Ends {
  /** The job has completed: once. */
  onComplete?: (job: Job) => void;
  /** It has failed, was cancelled (with the job), is gone, or may not be seen (with null): once. */
  onError?: (reason: string, job: Job | null) => void;
}

export interface ProgressOptions extends Omit<WatchOptions, "onDone" | "onGone" | "view">, Ends {}

export interface Progress {
  /** The job, null before anything was heard. */
  progress: Job | null;
  isConnected: boolean;
  /** How often in a row it had to be connected anew. */
  reconnectAttempt: number;
  /** Why there is no success: the error's message, the status, `gone`, `unauthorized` or `forbidden`. */
  error: string | null;
  state: State;
  isDegraded: boolean;
}

/**
 * Watch a job while the component is there. Of `options`, callbacks may change; all else counts when the id
 * changes.
 */
export function useProgress(jobId: string | null | undefined, options?: ProgressOptions): Progress;

/** A percent that moves to the actual one as `stepBar` says. */
export function useSmoothProgress(
  actualProgress: number | null | undefined,
  options?: AnimationOptions,
): number;

/** Seconds that move to the actual ones as `stepEta` says. */
export function useSmoothedETA(
  etaSeconds: number | null | undefined,
  options?: AnimationOptions,
): number | null;

export interface SnapshotProgress {
  projectId: string;
  jobId: string;
  status: JobStatus;
  /** From 1; 0 before the first. */
  step: number;
  totalSteps: number;
  stepName: string | null;
  percent: number | null;
  message: string | null;
  bytesDone: number | null;
  bytesTotal: number | null;
  error: string | null;
  updatedAt: string;
}

export interface SnapshotOptions
  extends Omit<WatchJobsOptions<Job>, "onChange" | "onDone" | "onGone" | "onSynced" | "onState">, Ends {
  /** Which kind of job it is (`snapshot`). */
  jobType?: string;
  /** Whether to start without being asked (true). */
  autoStart?: boolean;
}

export interface Snapshot {
  progress: SnapshotProgress | null;
  connectionState: State | "stopped";
  isConnected: boolean;
  error: string | null;
  /**
   * Show the project's newest snapshot, and watch it, or the next one if it has ended already; stops by itself at
   * the end of one that was watched. Of an end before that neither `onComplete` nor `onError` tell.
   */
  start: () => void;
  stop: () => void;
}

/** Follow the newest snapshot of a project, step by step. */
export function useSnapshotProgress(
  projectId: string | null | undefined,
  options?: SnapshotOptions,
): Snapshot;
