"""What the watchdog says of jobs that stand still or fall silent, as readers of the pages see it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Contexts
from tests.browser.program import Deployment

STILL_SECONDS = 3
WAIT_MILLISECONDS = 15_000


@pytest_asyncio.fixture(loop_scope="session")
async def watchful(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return a sidecar that does not wait long."""
    settings = {"no_progress_seconds": STILL_SECONDS, "lost_seconds": 6, "watchdog_interval_seconds": 0.2}
    deployment = await Deployment(tmp_path / "home", **settings).up()
    yield deployment
    await contexts.close()
    deployment.kill()


async def _both_pages(contexts: Contexts, sidecar: Deployment) -> tuple[Page, Page]:
    """Open the live page, and that of the job `a`."""
    live, job = await contexts.page(), await contexts.page()
    await live.goto(sidecar.url)
    await job.goto(f"{sidecar.url}/jobs/a")
    for page in (live, job):
        await expect(page.locator(".connection")).to_have_text("Live")
    return live, job


async def test_a_job_that_stands_still_is_said_to_be_stalled_until_it_moves(
    contexts: Contexts, watchful: Deployment
) -> None:
    await watchful.push("a", current=1, total=4, message="the first of four")
    live, job = await _both_pages(contexts, watchful)
    badge = live.locator("#active .job .badge[data-status=stalled]")
    stalled = live.locator("#counts").get_by_role("button", name="Stalled")
    notice = job.locator(".notice[data-kind=stall]")

    await expect(badge).to_have_text("Stalled: no progress", timeout=WAIT_MILLISECONDS)
    await expect(badge).to_be_visible()
    await expect(notice).to_be_visible()
    await expect(stalled).to_have_text("Stalled 1")
    await expect(live).to_have_title("1 stalled · 1 running · Progress")
    await expect(notice).to_contain_text("its worker reports, but nothing moves")
    await expect(notice).to_contain_text("Stalled since")
    await expect(job.locator(".hero-fact", has_text="Time left")).to_contain_text("nothing moves")
    line = job.get_by_role("region", name="Timeline").locator("li[data-type=stalled] .timeline-text")
    await expect(line).to_have_text(re.compile(r"^its worker reports, but nothing moves, since \d\d:\d\d:\d\d$"))

    await watchful.push("a", current=2)
    await expect(badge).to_be_hidden()
    await expect(stalled).to_have_text("Stalled 0")
    await expect(notice).to_be_hidden()
    await expect(job.get_by_role("progressbar", name="Whole job")).to_have_attribute("aria-valuenow", "50")


async def test_a_job_that_has_fallen_silent_is_lost_until_its_worker_reports_again(
    contexts: Contexts, watchful: Deployment
) -> None:
    await watchful.push("a", stages=[{"name": "solving"}], stage="solving", current=1, total=4, resume={"cluster": 74})
    live, job = await _both_pages(contexts, watchful)
    card = job.locator(".end")

    await expect(card).to_be_visible(timeout=WAIT_MILLISECONDS)
    await expect(card.get_by_role("heading", level=2)).to_have_text("Lost at 25.0%")
    await expect(card).to_contain_text(re.compile(r"Its worker was last heard \d+ s ago"))
    await expect(card).to_contain_text("It was in “solving”.")
    await expect(card.get_by_text('"cluster": 74')).to_be_visible()
    await expect(job.locator(".badge").first).to_have_text("Lost")
    await expect(job.locator(".connection")).to_have_text("Live")
    await expect(live.locator("#finished .id")).to_have_text(["a"])

    await watchful.push("a", current=2)
    await expect(card).to_be_hidden()
    await expect(job.get_by_role("progressbar", name="Whole job")).to_have_attribute("aria-valuenow", "50")
    await expect(live.locator("#active .id")).to_have_text(["a"])


async def test_a_job_that_waits_for_too_long_says_once_that_nobody_has_begun_it(page: Page, hasty: Deployment) -> None:
    await hasty.push("a", status="queued")
    await page.goto(f"{hasty.url}/jobs/a")
    stalled = re.compile("^Stalled since .*: nobody has begun it$")
    await expect(page.locator(".hero .notice")).to_have_text(stalled, timeout=WAIT_MILLISECONDS)


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return a sidecar that has somebody begin at once."""
    settings = {"not_started_seconds": 1, "watchdog_interval_seconds": 0.2}
    deployment = await Deployment(tmp_path / "hasty", **settings).up()
    yield deployment
    await contexts.close()
    deployment.kill()
