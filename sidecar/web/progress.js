/**
 * Watches jobs of a progress sidecar from a browser: an ES module without dependencies.
 *
 *     import { watch } from "http://127.0.0.1:8650/web/progress.js";
 *
 *     const watching = watch("night-run", {
 *       onProgress: (job) => show(job.percent, job.message),
 *       onDone: (job) => celebrate(job.result),
 *       onState: (state) => light(state),
 *     });
 *     watching.close();
 *
 * Types, and what each option means, are in progress.d.ts.
 */

import { AttemptsWatch } from "./client/attempts_watch.js";
import { connect } from "./client/connection.js";
import { notify } from "./client/environment.js";
import { Follower } from "./client/follower.js";
import { JobWatch } from "./client/job_watch.js";
import { JobsWatch } from "./client/jobs_watch.js";
import { forget, remember, remembered } from "./client/resume.js";
import { SharedFollower } from "./client/shared_tabs.js";
import { JobSource } from "./client/source_job.js";
import { JobsSource } from "./client/source_jobs.js";

export { forget, remember, remembered } from "./client/resume.js";

/**
 * @typedef {import("./client/streams.js").Connection} Connection
 * @typedef {import("./progress.js").WatchOptions} WatchOptions
 */

/**
 * Watch one job, until it ends or is closed.
 * @param {string} jobId
 * @param {WatchOptions} [options]
 * @returns {import("./progress.js").Watching}
 */
export function watch(jobId, options = {}) {
  const connection = connect(options);
  const { rememberAs: kind, signal } = options;
  /** @type {AttemptsWatch | null} */
  let attempts = null;
  let watching = attempt(null);

  /** @param {import("./progress.js").Job | null} known how the one before has ended */
  function attempt(known) {
    return new JobWatch(connection.environment, jobId, options, known, (reason) => {
      if (kind) forget(kind.project, kind.jobType, jobId, options);
      if (reason === "done" && options.followsAttempts) wait();
      else signal?.removeEventListener("abort", close);
    });
  }
  function begin() {
    if (kind) remember(kind.project, kind.jobType, jobId, options);
    watching.start(jobFollower(connection, jobId, options, watching));
  }
  function wait() {
    const known = /** @type {import("./progress.js").Job} */ (watching.job);
    const source = new JobSource(connection.address, connection.requests, jobId, "brief");
    attempts = new AttemptsWatch(connection.environment, source, known, {
      onAttempt: () => {
        watching = attempt(known);
        begin();
      },
      onGone: () => notify(options.onGone, jobId),
    });
    attempts.start();
  }
  function close() {
    signal?.removeEventListener("abort", close);
    attempts?.stop();
    watching.close();
  }
  if (signal?.aborted) close();
  else {
    signal?.addEventListener("abort", close, { once: true });
    begin();
  }
  return {
    jobId,
    close,
    get job() {
      return watching.job;
    },
    get state() {
      return watching.state;
    },
    now: () => connection.time.now(),
  };
}

/**
 * Watch the job that is remembered, null if there is none.
 * @param {string} project
 * @param {string} jobType
 * @param {WatchOptions} [options]
 * @returns {import("./progress.js").Watching | null}
 */
export function watchRemembered(project, jobType, options = {}) {
  const jobId = remembered(project, jobType, options);
  return jobId === null ? null : watch(jobId, { ...options, rememberAs: { project, jobType } });
}

/**
 * Watch many jobs on one connection, until it is closed.
 * @param {import("./progress.js").Selection} selection
 * @param {import("./progress.js").WatchJobsOptions} [options]
 * @returns {import("./progress.js").WatchingJobs}
 */
export function watchJobs(selection, options = {}) {
  const connection = connect(options);
  const { signal } = options;
  const source = new JobsSource(connection, selection);
  const watching = new JobsWatch(selection, options, (jobId, aborting) => source.job(jobId, aborting));
  const pace = { pollSeconds: connection.environment.timings.pollManySeconds, quietSeconds: Infinity };
  const follower = follow(connection, { source, pace }, options, watching);
  let isClosed = false;
  function close() {
    isClosed = true;
    signal?.removeEventListener("abort", close);
    watching.close();
    follower.stop();
  }
  if (signal?.aborted) close();
  else {
    signal?.addEventListener("abort", close, { once: true });
    queueMicrotask(() => isClosed || follower.start()); // no callback before the caller has its handle
  }
  return {
    close,
    get jobs() {
      return watching.jobs;
    },
    get state() {
      return watching.state;
    },
    now: () => connection.time.now(),
  };
}

/**
 * @param {Connection} connection
 * @param {string} jobId
 * @param {WatchOptions} options
 * @param {JobWatch} watching
 */
function jobFollower(connection, jobId, options, watching) {
  const { address, environment: surroundings, requests } = connection;
  const source = new JobSource(address, requests, jobId, options.view ?? "full");
  return follow(connection, { source, pace: surroundings.timings }, options, watching);
}

/**
 * Return what follows a source, together with the other tabs that watch the same with the same right.
 * @param {Connection} connection
 * @param {{source: import("./client/source_job.js").Source, pace: import("./client/follower.js").Pace}} what
 * @param {{isShared?: boolean}} options
 * @param {import("./client/shared_tabs.js").SharingListener} watching
 */
function follow(connection, { source, pace }, { isShared = true }, watching) {
  const { address, environment: surroundings, requests, time } = connection;
  /** @type {import("./client/shared_tabs.js").MakeFollower} */
  const make = (cursor, listener) => new Follower(connection, source, pace, cursor, time.telling(listener));
  const listening = time.hearing(watching);
  if (!isShared || !SharedFollower.isPossible(surroundings)) return make(null, listening);
  const what = [address.base, requests.identity, JSON.stringify(source.selection)];
  return new SharedFollower(surroundings, ["progress-sidecar greeting", ...what].join(" "), make, listening);
}
