"""The pages themselves, under their policy, behind a proxy that lets no event stream through, and then no stream."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.blocking_proxy import BlockingProxy
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import Troubles

WEBSOCKET = 'progress_stream_connections{transport="websocket"}'
PATHS = ("/", "/jobs/a")
POLICY = "connect-src 'self'"
GIVEN_UP_MILLISECONDS = 20_000
"""How long a page may take to give a transport up: it waits 5 s for a first event."""


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(own_sidecar: Deployment, contexts: Contexts) -> AsyncIterator[BlockingProxy]:
    """Return a proxy before a sidecar of this test, that lets no event stream through."""
    async with BlockingProxy(own_sidecar.port) as running:
        running.is_blocking_streams = True
        yield running
        await contexts.close()


async def _opened(page: Page, url: str) -> None:
    answer = await page.goto(url)
    assert answer is not None
    assert POLICY in answer.headers["content-security-policy"]


async def _assert_moves(page: Page, sidecar: Deployment) -> None:
    bar = page.get_by_role("progressbar", name="Whole job").or_(page.locator('[role="progressbar"][aria-label="a"]'))
    for current in (2, 3):
        await sidecar.push("a", current=current)
        await expect(bar).to_have_attribute("aria-valuenow", str(25 * current), timeout=GIVEN_UP_MILLISECONDS)


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_takes_the_websocket_where_event_streams_are_blocked(
    page: Page, own_sidecar: Deployment, proxy: BlockingProxy, path: str
) -> None:
    await own_sidecar.push("a", current=1, total=4)
    await _opened(page, proxy.url + path)
    await expect(page.locator(".connection")).to_have_text("Live", timeout=GIVEN_UP_MILLISECONDS)
    await _assert_moves(page, own_sidecar)

    assert proxy.streams_blocked == 1
    assert await own_sidecar.value(WEBSOCKET) == 1
    assert await page.locator(".connection").text_content() == "Live"


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_asks_again_and_again_where_no_stream_gets_through_and_says_so(
    page: Page, own_sidecar: Deployment, proxy: BlockingProxy, troubles: Troubles, path: str
) -> None:
    troubles.expect("WebSocket connection to .* failed")
    proxy.is_refusing_websockets = True
    await own_sidecar.push("a", current=1, total=4)
    await _opened(page, proxy.url + path)
    await expect(page.locator(".connection")).to_have_text("Polling", timeout=GIVEN_UP_MILLISECONDS)
    await expect(page.locator(".connection")).to_have_attribute("data-state", "polling")
    await _assert_moves(page, own_sidecar)

    assert proxy.streams_blocked >= 1
    assert proxy.websockets_refused >= 1
