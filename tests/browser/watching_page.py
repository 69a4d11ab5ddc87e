"""A page of the sidecar's own origin that watches one job by `progress.js`, and keeps all that it is told."""

from dataclasses import dataclass
from typing import Any

from playwright.async_api import BrowserContext, Page

DOCUMENT = "/web/progress.js"
"""Any document that the sidecar serves; one that a test makes up would not count as near enough for a WebSocket."""

WATCH = """async ([jobId, options]) => {
  const { watch } = await import("/web/progress.js");
  keep(watch, jobId, options);
}"""
WATCH_REMEMBERED = """async ([{ project, jobType }, options]) => {
  const { watchRemembered } = await import("/web/progress.js");
  return keep(watchRemembered.bind(null, project), jobType, options) !== null;
}"""
KEEP = """
globalThis.heard = { percents: [], transports: [], states: [], reasons: [], done: [] };
globalThis.keep = (watching, what, options) => watching(what, {
  ...options,
  onProgress: (job) => heard.percents.push(job.percent),
  onDone: (job) => heard.done.push(job),
  onState: (state, { transport, reason }) => {
    heard.states.push(state);
    heard.reasons.push(reason);
    if (transport && heard.transports.at(-1) !== transport) heard.transports.push(transport);
  },
});
"""

IMPATIENT = {"firstEventSeconds": 1, "pollSeconds": 0.2, "failuresBeforePolling": 2}


@dataclass(frozen=True, slots=True)
class WatchingPage:
    """The page; what it was told is in `heard`, in the order of the telling."""

    page: Page

    @classmethod
    async def open(cls, context: BrowserContext, url: str) -> "WatchingPage":
        """Open the page at an address of the sidecar; it does not watch yet."""
        page = await context.new_page()
        await page.add_init_script(KEEP)
        await page.goto(f"{url}{DOCUMENT}")
        return cls(page)

    async def watch(self, job_id: str, **options: Any) -> None:
        """Watch a job."""
        await self.page.evaluate(WATCH, [job_id, {"timings": IMPATIENT, **options}])

    async def watch_remembered(self, kind: dict[str, str]) -> bool:
        """Watch the job of this kind that was kept before a reload, and tell whether there is one."""
        return bool(await self.page.evaluate(WATCH_REMEMBERED, [kind, {"timings": IMPATIENT}]))

    async def until(self, condition: str) -> None:
        """Wait until a condition of `heard` holds."""
        await self.page.wait_for_function(f"() => {{ const heard = globalThis.heard; return {condition}; }}")

    async def until_percent(self, percent: float) -> None:
        """Wait until the newest share is this one."""
        await self.until(f"heard.percents.at(-1) === {percent}")

    async def heard(self, what: str) -> list[Any]:
        """Return what was heard of one sort."""
        return list(await self.page.evaluate("(what) => heard[what]", what))
