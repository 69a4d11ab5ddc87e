"""Two sidecars that share their stores, and a proxy before them: one is asked to stop, the other one takes over."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from os import kill
from pathlib import Path

import pytest_asyncio
from aiohttp import ClientSession, ClientTimeout
from playwright.async_api import expect

from tests.browser.blocking_proxy import BlockingProxy
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import LOST_CONNECTION, Troubles
from tests.browser.watching_page import WatchingPage
from tests.faults.patience import until_found
from tests.faults.valkey import Valkey

DRAIN_SECONDS = 20
OTHERS = 10
SOON_SECONDS = 8.0
"""A full server is left alone for 15 s at least, one that stops for 3 s at most."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """The one that stops, the one that takes over, and the address of both, where the first one answers as yet."""

    first: Deployment
    second: Deployment
    proxy: BlockingProxy

    @asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        """Let others watch the first one and ask it to stop, which takes it as long as it has them to let go."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(ClientSession(self.first.url, timeout=ClientTimeout(60)))
            for _ in range(OTHERS):
                await stack.enter_async_context(client.get("/v1/events?project=*"))
            kill(self.first.pid, signal.SIGTERM)

            async def is_leaving() -> bool:
                async with client.get("/readyz") as answer:
                    return answer.status == 503

            await until_found(is_leaving, 5, lambda: "it is about to stop")
            yield

    def change_over(self) -> None:
        """Let the second one answer."""
        self.proxy.target_port = self.second.port


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Replicas]:
    """Return two sidecars with the same stores."""
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    await valkey.ready()
    stores = {"redis_url": valkey.url, "database_url": f"sqlite:///{tmp_path / 'jobs.db'}"}
    first, second = (Deployment(tmp_path / str(number), **stores, drain_seconds=DRAIN_SECONDS) for number in (1, 2))
    await first.up()
    await second.up()
    async with BlockingProxy(first.port) as proxy:
        yield Replicas(first, second, proxy)
        await contexts.close()
    first.kill()
    second.kill()
    valkey.kill()


async def test_whoever_comes_to_a_sidecar_that_stops_is_live_at_the_next_one_in_a_moment(
    contexts: Contexts, replicas: Replicas, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION, "favicon.ico")
    await replicas.second.push("a", current=1, total=4)
    watching = await WatchingPage.open(await contexts.open(), replicas.proxy.url)
    async with replicas.draining():
        await watching.watch("a")
        await watching.until("heard.reasons.includes('draining')")
        replicas.change_over()
        async with asyncio.timeout(SOON_SECONDS):
            await watching.until("heard.states.at(-1) === 'live'")

        await replicas.second.push("a", current=2)
        await watching.until_percent(50)
        assert "polling" not in await watching.heard("states")


async def test_the_live_page_says_that_its_sidecar_stops_and_goes_on_at_the_next_one(
    contexts: Contexts, replicas: Replicas, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION)
    await replicas.second.push("a", current=1, total=4)
    page = await contexts.page()
    async with replicas.draining():
        await page.goto(replicas.proxy.url)
        await expect(page.locator("#notices")).to_contain_text("is being stopped or restarted")
        await expect(page.locator("#connection")).to_have_text("Reconnecting")
        replicas.change_over()
        await expect(page.locator("#connection")).to_have_text("Live", timeout=SOON_SECONDS * 1000)
        await expect(page.locator("#notices")).to_be_empty()
        bar = page.locator('[role="progressbar"][aria-label="a"]')
        await expect(bar).to_have_attribute("aria-valuenow", "25")
