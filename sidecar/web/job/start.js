/** One job's page: opens a session, then watches the job and shows it for as long as the page is open. */

import { JobPage } from "./page.js";
import { openSession } from "../page/session.js";
import { el } from "../page/text.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const connection = /** @type {HTMLElement} */ (document.getElementById("connection"));
const jobId = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");

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
