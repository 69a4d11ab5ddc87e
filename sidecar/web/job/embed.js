/**
 * One job for a frame in somebody's page. It closes itself 2 s after success: then it is empty, and the page
 * that it stands in is told, as of everything else, by messages:
 *
 *     { type: "progress-job", event, job_id, job }
 *
 * `event` is `progress`, `done`, `gone`, `denied`, `close`, or `resize`, which has the `height` in pixels
 * that it needs. They are sent to one origin only: the one that `?origin=` names, else the one that the
 * browser says is the parent's. If neither is known none is sent. (Who may frame this at all is the
 * sidecar's setting.)
 *
 * `?autoclose=false` lets it stay; it stays, too, if the job had ended before. `?theme=dark` or `light` overrules the
 * reader's preference, and must be the `color-scheme` of the page around it if that has one, else the frame has a
 * ground of its own. `?label=` is the title, `?link=` a signed link's text where a token would be needed.
 */

import { ProgressJob } from "../progress-job.js";

const jobId = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");
const query = new URLSearchParams(location.search);
const origin = parentOrigin();

const element = new ProgressJob();
element.setAttribute("job-id", jobId);
element.toggleAttribute("autoclose", query.get("autoclose") !== "false");
for (const name of ["label", "link", "theme"]) {
  const value = query.get(name);
  if (value !== null) element.setAttribute(name, value);
}
for (const name of ["progress", "done", "gone", "denied", "close"]) {
  element.addEventListener(name, (event) =>
    tell(name, { job: /** @type {CustomEvent} */ (event).detail.job }),
  );
}
document.documentElement.dataset.theme = query.get("theme") ?? (parent === window ? "own" : "");
document.title = `${jobId} · Progress`;
document.getElementById("main")?.append(element);
new ResizeObserver(() => tell("resize", { height: document.body.offsetHeight })).observe(document.body);

/** @param {string} event @param {object} more */
function tell(event, more) {
  if (window.parent === window || origin === null) return;
  window.parent.postMessage({ type: "progress-job", event, job_id: jobId, ...more }, origin);
}

/** The origin that messages are for: never any. */
function parentOrigin() {
  const said = query.get("origin") ?? location.ancestorOrigins?.[0] ?? document.referrer;
  const url = URL.canParse(said) ? new URL(said) : null;
  return url && /^https?:$/.test(url.protocol) ? url.origin : null;
}
