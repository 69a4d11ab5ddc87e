"""Many tabs of one reader on the pages, over HTTP/1.1: they share what they can, and none waits for a connection."""

from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Contexts
from tests.browser.program import Deployment

SSE, WEBSOCKET = (f'progress_stream_connections{{transport="{name}"}}' for name in ("sse", "websocket"))
MOST_STREAMS = 4
TABS = 8


async def test_tabs_of_the_live_page_share_one_connection(contexts: Contexts, own_sidecar: Deployment) -> None:
    await own_sidecar.push("a", current=1, total=4)
    profile = await contexts.open()
    tabs = [await _opened(await profile.new_page(), own_sidecar.url) for _ in range(3)]
    await own_sidecar.push("a", current=2)
    for tab in tabs:
        await expect(_bar(tab, "a")).to_have_attribute("aria-valuenow", "50")
    assert await own_sidecar.value(SSE) == 1

    await tabs[0].close()
    await own_sidecar.push("a", current=3)
    for tab in tabs[1:]:
        await expect(_bar(tab, "a")).to_have_attribute("aria-valuenow", "75")
    await own_sidecar.until_value(SSE, 1)


async def test_tabs_of_many_jobs_are_all_live_over_the_six_connections_that_a_browser_opens(
    contexts: Contexts, own_sidecar: Deployment
) -> None:
    profile = await contexts.open()
    tabs = []
    for number in range(TABS):
        await own_sidecar.push(f"job-{number}", current=1, total=4)
        tabs.append(await _opened(await profile.new_page(), f"{own_sidecar.url}/jobs/job-{number}"))
    for number, tab in enumerate(tabs):
        await own_sidecar.push(f"job-{number}", current=2)
        await expect(_bar(tab, "Whole job")).to_have_attribute("aria-valuenow", "50")

    assert await own_sidecar.value(SSE) == MOST_STREAMS
    assert await own_sidecar.value(WEBSOCKET) == TABS - MOST_STREAMS


async def _opened(page: Page, url: str) -> Page:
    await page.goto(url)
    await expect(page.locator(".connection")).to_have_text("Live")
    return page


def _bar(page: Page, name: str) -> Locator:
    return page.locator(f'[role="progressbar"][aria-label="{name}"]')
