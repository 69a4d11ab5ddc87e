"""A reader whose clock is wrong: the times of jobs are the sidecar's, and so is now."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.browser.blocking_proxy import BlockingProxy
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import Troubles

GIVEN_UP_MILLISECONDS = 25_000
"""How long a page may take to give every stream up."""

SOME_SECONDS_AGO = re.compile(r"^([2-9]|1\d) s ago$")
SOME_SECONDS = re.compile(r"^([2-9]|[1-4]\d) s$")


@pytest.fixture(params=[-10, 10], ids=["behind", "ahead"])
def minutes(request: pytest.FixtureRequest) -> int:
    """Return by how much the reader's clock is off."""
    return int(request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def skewed(contexts: Contexts, minutes: int) -> BrowserContext:
    """Return a browser whose clock goes, and is wrong."""
    context = await contexts.open()
    await context.clock.install(time=datetime.now(UTC) + timedelta(minutes=minutes))
    return context


@pytest_asyncio.fixture(loop_scope="session")
async def job_id(sidecar: Deployment, project: str) -> str:
    """Return a job that is to end in about a minute."""
    job_id = f"{project}-a"
    for current in range(12):
        await sidecar.push(job_id, project=project, current=current, total=100_000)
    return job_id


async def _assert_row_is_right(row: Locator) -> None:
    await expect(row.locator("time")).to_have_text(SOME_SECONDS_AGO)
    await expect(row.locator(".eta")).not_to_have_text("late")
    await expect(row.locator(".eta")).not_to_have_text("any moment")


async def test_rows_tell_how_long_ago_a_job_has_moved(
    skewed: BrowserContext, sidecar: Deployment, project: str, job_id: str
) -> None:
    page = await skewed.new_page()
    await page.goto(f"{sidecar.url}/?project={project}")
    row = page.locator("#active .job", has_text=job_id)
    await _assert_row_is_right(row)

    late = await skewed.new_page()  # it is told by the other one, which has the connection
    await late.goto(f"{sidecar.url}/?project={project}")
    await _assert_row_is_right(late.locator("#active .job", has_text=job_id))


async def test_the_page_of_a_job_tells_how_long_it_has_run(
    skewed: BrowserContext, sidecar: Deployment, job_id: str
) -> None:
    page = await skewed.new_page()
    await page.goto(f"{sidecar.url}/jobs/{job_id}")
    await _assert_job_is_right(page)

    late = await skewed.new_page()
    await late.goto(f"{sidecar.url}/jobs/{job_id}")
    await _assert_job_is_right(late)


async def _assert_job_is_right(page: Page) -> None:
    fact = page.locator(".hero-fact")
    await expect(fact.filter(has_text="Elapsed").locator(".hero-value")).to_have_text(SOME_SECONDS)
    await expect(fact.filter(has_text="Time left").locator(".hero-value")).to_have_text(re.compile(r"^about \d"))
    await expect(page.locator(".fact", has_text="Last contact").locator("dd")).to_have_text(SOME_SECONDS_AGO)


async def test_an_embedded_job_tells_when_it_may_end(skewed: BrowserContext, sidecar: Deployment, job_id: str) -> None:
    page = await skewed.new_page()
    await page.goto(f"{sidecar.url}/embed/{job_id}")
    await expect(page.locator(".line .muted").first).to_have_text(re.compile(r"^about \d.* left$"))
    await page.wait_for_function("() => performance.now() > 3000")
    await expect(page.locator(".line .muted").first).to_have_text(re.compile(r"^about \d.* left$"))


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(sidecar: Deployment, contexts: Contexts) -> AsyncIterator[BlockingProxy]:
    """Return a proxy that lets no stream through."""
    async with BlockingProxy(sidecar.port) as running:
        running.is_blocking_streams = running.is_refusing_websockets = True
        yield running
        await contexts.close()


async def test_where_the_page_asks_again_and_again_it_goes_by_the_heads_of_the_answers(
    skewed: BrowserContext, sidecar: Deployment, proxy: BlockingProxy, job_id: str, troubles: Troubles
) -> None:
    troubles.expect("WebSocket connection to .* failed")
    page = await skewed.new_page()
    await page.goto(f"{proxy.url}/jobs/{job_id}")
    await expect(page.locator(".connection")).to_have_text("Polling", timeout=GIVEN_UP_MILLISECONDS)
    await sidecar.push(job_id, current=13)
    await expect(page.locator(".fact", has_text="Last contact").locator("dd")).to_have_text(SOME_SECONDS_AGO)
