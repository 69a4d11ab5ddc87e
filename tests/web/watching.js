/**
 * The client as the tests of it use it: with Node's stand-ins for what a browser has, and everything it says
 * kept.
 */

import { EventSource } from "eventsource";
import { WebSocket } from "ws";
import { watch, watchJobs } from "../../sidecar/web/progress.js";

/** What Node 20 lacks, and nothing of what it has in common with other tests in the process. */
export const BROWSER = { EventSource, WebSocket, BroadcastChannel: null, locks: null, storage: null };

/** Waits that a test can sit out. Asking waits at the server for whole seconds: less is no wait. */
export const IMPATIENT = {
  firstEventSeconds: 1,
  stableSeconds: 60,
  pollSeconds: 0.1,
  pollManySeconds: 0.1,
  quietPollSeconds: 0.1,
};

/** A random number that makes every wait before trying again the shortest. */
export const AT_ONCE = () => 0;

/** Watch a job until the end of the test. */
export function watching(context, url, jobId, { timings, ...options } = {}) {
  const heard = { jobs: [], done: [], gone: [], states: [], details: [] };
  const all = { ...IMPATIENT, ...timings };
  heard.watch = watch(jobId, {
    url,
    ...BROWSER,
    random: AT_ONCE,
    ...options,
    ...callbacks(heard),
    timings: all,
  });
  context.after(() => heard.watch.close());
  return heard;
}

/** Watch many jobs until the end of the test. */
export function watchingJobs(context, url, selection, { timings, ...options } = {}) {
  const heard = { jobs: [], matches: [], done: [], gone: [], synced: [], states: [], details: [] };
  const all = { ...IMPATIENT, ...timings };
  const given = { url, ...BROWSER, random: AT_ONCE, ...options, ...callbacks(heard), timings: all };
  heard.watch = watchJobs(selection, {
    ...given,
    onChange: (job, { isMatch }) => heard.jobs.push(job) && heard.matches.push(isMatch),
    onSynced: (jobs, { isRecovered }) => heard.synced.push({ jobIds: [...jobs.keys()].sort(), isRecovered }),
  });
  context.after(() => heard.watch.close());
  return heard;
}

/** The percents that were shown, in order. */
export function percents(heard) {
  return heard.jobs.map((job) => job.percent);
}

/** Whether it is in a state, and reached it over a transport. */
export function isNow(heard, state, transport = heard.details.at(-1)?.transport) {
  return heard.watch.state === state && heard.details.at(-1)?.transport === transport;
}

function callbacks(heard) {
  return {
    onProgress: (job) => heard.jobs.push(job),
    onDone: (job) => heard.done.push(job),
    onGone: (jobId) => heard.gone.push(jobId),
    onState: (state, detail) => heard.states.push(state) && heard.details.push(detail),
  };
}
