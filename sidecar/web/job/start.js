/** One job's page: opens a session, then watches the job and shows it for as long as the page is open. */

import { JobPage } from "./page.js";
import { link, openSession } from "../page/session.js";
import { el } from "../page/text.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const connection = /** @type {HTMLElement} */ (document.getElementById("connection"));
const jobId = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");

if (link !== null) stayHere();

try {
  await openSession(main);
  const page = new JobPage(jobId, main, connection);
  page.open();
  addEventListener("pagehide", () => page.close());
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
} catch {
  const again = el("button", { type: "button", onclick: () => location.reload() }, "Try again");
  main.append(
    el("section", { class: "panel card note" }, el("h1", null, "The sidecar cannot be reached"), again),
  );
}

/** Who was handed a link to this job may see no other: "All jobs" would ask for a token. */
function stayHere() {
  const brand = /** @type {HTMLElement} */ (document.getElementById("brand"));
  const [picture] = brand.children;
  brand.replaceWith(el("span", { class: "brand" }, picture, "Progress"));
}
