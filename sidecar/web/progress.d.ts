/** Watches jobs of a progress sidecar. What goes over the wire is described in the sidecar's HTTP API. */

export type JobStatus =
  "queued" | "running" | "paused" | "blocked" | "completed" | "failed" | "cancelled" | "lost";

/** One flat row of a job (`view: "brief"`). Times are RFC 3339, durations seconds, `percent` is 0 to 100. */
export interface BriefJob {
  job_id: string;
  project: string;
  job_type: string;
  attempt: number;
  status: JobStatus;
  percent: number | null;
  stage: string | null;
  stage_label?: string | null;
  stage_percent: number | null;
  current: number | null;
  total: number | null;
  unit: string | null;
  message: string | null;
  /** Of rows only; a whole job has `eta`. */
  eta_seconds?: number | null;
  /** Of rows only; a whole job has `stall`. */
  stall_reason?: string | null;
  parent_id: string | null;
  created_at: string;
  updated_at: string;
  last_progress_at: string | null;
  version: number;
  cursor: string;
}

export interface Stage {
  name: string;
  label: string | null;
  weight: number;
  status: string;
  percent: number | null;
  current: number | null;
  total: number | null;
  started_at: string | null;
  finished_at: string | null;
  duration_seconds: number | null;
}

export interface Eta {
  seconds: number;
  low_seconds: number | null;
  high_seconds: number | null;
  finish_at: string;
}

export interface Stall {
  reason: string;
  since: string;
  threshold_seconds: number | null;
}

export interface JobError {
  message?: string | null;
  type?: string | null;
  context?: unknown;
  stack?: string | null;
}

/** A whole job (`view: "full"`). */
export interface Job extends BriefJob {
  total_growing: boolean;
  items: Record<string, number>;
  detail: string | null;
  stages: Stage[];
  eta: Eta | null;
  rate_per_second: number | null;
  stall: Stall | null;
  blocked_on: string | null;
  error: JobError | null;
  result: unknown;
  metadata: Record<string, unknown>;
  labels: Record<string, string>;
  resume: unknown;
  trace_id: string | null;
  cancel_requested: boolean;
  pause_requested: boolean;
  started_at: string | null;
  last_contact_at: string | null;
  finished_at: string | null;
}

/**
 * `connecting`: nothing was heard yet. `live`: a stream brings each change. `reconnecting`: nothing gets
 * through, it is tried again. `polling`: the job is asked for again and again. `ended`: nothing will follow, unless
 * another attempt is waited for (`followsAttempts`).
 */
export type State = "connecting" | "live" | "reconnecting" | "polling" | "ended";

export interface StateDetail {
  /**
   * Why. When `ended`: `done`, `gone`, `unauthorized` or `forbidden`. When `polling`: `quiet` (the stream is
   * open, but brings no progress) or `no stream`. When `reconnecting`: `lost`, `silent`, `blocked`,
   * `refused`, `overloaded` (the sidecar has all the streams that it can take), `draining` (it is about to
   * stop), `unavailable` or `unreachable`. Else null.
   */
  reason: string | null;
  transport: "sse" | "websocket" | "polling" | null;
  /** How many streams in a row have failed. */
  failures: number;
  /** Whether the sidecar works without Redis; then changes come once a second. */
  isDegraded: boolean;
}

/** Time, for tests: milliseconds that never go back, and timers. */
export interface Clock {
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): unknown;
  clearTimeout(timer: any): void;
}

/** How long the client waits for what; the defaults are in parentheses. */
export interface Timings {
  /** For the first event of a stream (5); then another transport is tried. */
  firstEventSeconds: number;
  /** For anything on an open stream, heartbeats included (40); then it is opened anew. */
  silenceSeconds: number;
  /** How long a stream must live for the failures before it to be forgiven (5). */
  stableSeconds: number;
  /** For progress on an open stream (30); then the job is asked for as well. Not for many jobs. */
  quietSeconds: number;
  /** How often to ask beside a quiet stream, or a server that is full (5). */
  quietPollSeconds: number;
  /** How often to ask where no stream gets through (1), */
  pollSeconds: number;
  /** and so for many jobs (5), */
  pollManySeconds: number;
  /** of which the whole state is asked for this often (60). */
  fullPollSeconds: number;
  /** For an answer (10). */
  requestSeconds: number;
  /** For a job that nobody knows, when polling (30). */
  unknownSeconds: number;
  /** After an end, until it is asked for another attempt (15); then more rarely, up to four times as long. */
  attemptSeconds: number;
  /** After how many failures in a row to poll (5). */
  failuresBeforePolling: number;
  /** How often the tab with the connection tells the others that it lives (10). */
  tabHeartbeatSeconds: number;
  /** For anything from that tab (45); then another one takes over. */
  tabSilenceSeconds: number;
}

export interface StorageOptions {
  /** Instead of localStorage; null: keep nothing. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
}

export interface ConnectionOptions extends StorageOptions {
  /** Where the sidecar is; by default where this module came from, else the page's own origin. */
  url?: string | URL;
  /**
   * A token that may read, or what returns one. It is sent as a header, and exchanged for one ticket a
   * connection.
   */
  token?: string | (() => string | Promise<string>);
  /** Returns a new ticket, for each connection and each question; for pages that must not have the token. */
  getTicket?: () => Promise<string>;
  /** A signed link's text (`POST /v1/jobs/{job_id}/links`): the right to watch that one job, in the place of a token. */
  link?: string;
  /**
   * Whether tabs of this origin that watch the same (job or selection, and view) of the same sidecar with the same
   * right share one connection, where the browser can (true). What a function gives as `token` or ticket is taken
   * to be the same right in each tab.
   */
  isShared?: boolean;
  /** Closes when it is aborted. */
  signal?: AbortSignal;
  timings?: Partial<Timings>;

  /** What is used instead of the globals of these names; null: as if there were none. */
  fetch?: typeof globalThis.fetch;
  EventSource?: (new (url: string) => any) | null;
  WebSocket?: (new (url: string) => any) | null;
  BroadcastChannel?: (new (name: string) => any) | null;
  /** Instead of `navigator.locks`. */
  locks?: Pick<LockManager, "request"> | null;
  /** Instead of the window, which tells that the page is left (`pagehide`) and come back to (`pageshow`). */
  page?: EventTarget;
  clock?: Clock;
  /** From 0 up to 1. */
  random?: () => number;
}

export interface WatchCallbacks<Shown extends BriefJob = Job> {
  /** Each new state, the last one too. Within an attempt `percent` never falls. */
  onProgress?: (job: Shown) => void;
  /** Completed, failed or cancelled: once, after `onProgress`. Nothing follows, except with `followsAttempts`. */
  onDone?: (job: Shown) => void;
  /** Deleted, or never heard of for half a minute: once. Nothing follows. */
  onGone?: (jobId: string) => void;
  onState?: (state: State, detail: StateDetail) => void;
}

export interface WatchOptions<Shown extends BriefJob = Job> extends ConnectionOptions, WatchCallbacks<Shown> {
  /** `full` is the default. */
  view?: "full" | "brief";
  /**
   * Whether to go on after an end, as a higher attempt may reopen the job (false). It is then asked now and
   * then, while somebody looks at the page, and what has begun is watched as before. `onDone` comes once an
   * attempt, and the state between two of them is `ended`.
   */
  followsAttempts?: boolean;
  /** Keep the id in localStorage until the job ends, so that `watchRemembered` finds it after a reload. */
  rememberAs?: { project: string; jobType: string };
}

export interface Watching<Shown extends BriefJob = Job> {
  readonly jobId: string;
  /** The newest state, null before there is one. */
  readonly job: Shown | null;
  readonly state: State;
  /**
   * Milliseconds since 1970 by the sidecar's clock, which tells the times of jobs, as soon as anything was heard of
   * it: the reader's own may be wrong.
   */
  now(): number;
  /** Stop watching. What is remembered stays. */
  close(): void;
}

/** Watch one job, until it ends or `close` is called. */
export function watch(jobId: string, options: WatchOptions<BriefJob> & { view: "brief" }): Watching<BriefJob>;
export function watch(jobId: string, options?: WatchOptions): Watching;

/** Watch the job that is remembered, null if there is none. */
export function watchRemembered(project: string, jobType: string, options?: WatchOptions): Watching | null;

/** Keep the id of the active job of one kind in localStorage. Does nothing where there is no storage. */
export function remember(project: string, jobType: string, jobId: string, options?: StorageOptions): void;

/** The id that was kept, null if there is none. */
export function remembered(project: string, jobType: string, options?: StorageOptions): string | null;

/** Forget what was kept; with a job id only if it is that one. */
export function forget(project: string, jobType: string, jobId?: string, options?: StorageOptions): void;

export interface Selection {
  /** `"*"`: every project that the reader may see. */
  project: string;
  jobType?: string | null;
  /** Any of these. */
  status?: readonly JobStatus[] | null;
  /** Any of these. */
  jobIds?: readonly string[] | null;
  /** `brief` is the default. */
  view?: "full" | "brief";
}

export interface WatchJobsCallbacks<Shown extends BriefJob = BriefJob> {
  /**
   * A job is new, or has changed. One that leaves the selection comes once more, with `isMatch: false`. After
   * the first connection only unfinished jobs come, and finished ones that the selection names.
   */
  onChange?: (job: Shown, detail: { isMatch: boolean }) => void;
  /** Completed, failed or cancelled: once an attempt, after `onChange`. */
  onDone?: (job: Shown) => void;
  /** Deleted; also what turned out to be deleted while nothing got through. */
  onGone?: (jobId: string) => void;
  /**
   * Everything is up to date: at first, and after each interruption, when what has changed meanwhile was
   * told. There is no reset: what is shown stays right, and needs no clearing. `jobs` are the unfinished ones
   * of the selection.
   */
  onSynced?: (jobs: Map<string, Shown>, detail: { isRecovered: boolean }) => void;
  onState?: (state: State, detail: StateDetail) => void;
}

export interface WatchJobsOptions<Shown extends BriefJob = BriefJob>
  extends ConnectionOptions, WatchJobsCallbacks<Shown> {}

export interface WatchingJobs<Shown extends BriefJob = BriefJob> {
  /** The unfinished jobs of the selection, by id: a copy. */
  readonly jobs: Map<string, Shown>;
  readonly state: State;
  /** As that of one job that is watched. */
  now(): number;
  close(): void;
}

/** Watch many jobs on one connection, until `close` is called. */
export function watchJobs(
  selection: Selection & { view: "full" },
  options?: WatchJobsOptions<Job>,
): WatchingJobs<Job>;
export function watchJobs(selection: Selection, options?: WatchJobsOptions): WatchingJobs;
