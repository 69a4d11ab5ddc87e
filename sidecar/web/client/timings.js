/** What the client waits for, and how long; each can be given as `timings`. */

/** @typedef {import("../progress.js").Timings} Timings */

/** @type {Readonly<Timings>} */
export const TIMINGS = Object.freeze({
  firstEventSeconds: 5,
  silenceSeconds: 40, // two heartbeats of 15 s and a half
  stableSeconds: 5,
  quietSeconds: 30,
  quietPollSeconds: 5,
  pollSeconds: 1,
  pollManySeconds: 5,
  fullPollSeconds: 60,
  requestSeconds: 10,
  unknownSeconds: 30,
  attemptSeconds: 15,
  failuresBeforePolling: 5,
  tabHeartbeatSeconds: 10,
  tabSilenceSeconds: 45,
});
