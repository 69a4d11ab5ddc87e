"""progress.js in a real browser: by whatever gets through, and over every fall, the last thing told is the end."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.browser.blocking_proxy import BlockingProxy
from tests.browser.conftest import Contexts
from tests.browser.program import Deployment
from tests.browser.troubles import LOST_CONNECTION, Troubles
from tests.browser.watching_page import WatchingPage

TOTAL = 4
OPEN_STREAMS = 'progress_stream_connections{transport="sse"}'
REFUSED_UPGRADE = r"WebSocket connection to .* failed"


@pytest.fixture(autouse=True)
def _no_icon(troubles: Troubles) -> None:
    """Let the browser ask for the icon of a document that is no page."""
    troubles.expect("favicon.ico")


@pytest.fixture
def job_id() -> str:
    return f"j-{uuid4().hex}"


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(sidecar: Deployment) -> AsyncIterator[BlockingProxy]:
    """Return a proxy before the shared sidecar."""
    async with BlockingProxy(sidecar.port) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def watching(contexts: Contexts, proxy: BlockingProxy) -> AsyncIterator[WatchingPage]:
    """Return a page that reaches the shared sidecar over the proxy."""
    yield await WatchingPage.open(await contexts.open(), proxy.url)
    await contexts.close()


async def _to_the_end(sidecar: Deployment, job_id: str, watching: WatchingPage, done: int = 1) -> None:
    """Push step after step, each when the last one has been told, and then the end."""
    for current in range(done, TOTAL):
        await sidecar.push(job_id, current=current, total=TOTAL)
        await watching.until_percent(100 * current / TOTAL)
    await sidecar.push(job_id, status="completed")
    await watching.until("heard.done.length > 0")
    assert (await watching.heard("percents"))[-1] == 100


async def _assert_forward(watching: WatchingPage) -> None:
    shares = await watching.heard("percents")
    assert all(one <= other for one, other in pairwise(shares)), shares
    assert len(await watching.heard("done")) == 1


async def test_an_open_way_takes_the_event_stream(watching: WatchingPage, sidecar: Deployment, job_id: str) -> None:
    await watching.watch(job_id)

    await _to_the_end(sidecar, job_id, watching)

    assert await watching.heard("transports") == ["sse"]


async def test_where_event_streams_are_blocked_it_takes_the_websocket(
    watching: WatchingPage, proxy: BlockingProxy, sidecar: Deployment, job_id: str
) -> None:
    proxy.is_blocking_streams = True
    await watching.watch(job_id)

    await _to_the_end(sidecar, job_id, watching)

    assert await watching.heard("transports") == ["websocket"]
    assert proxy.streams_blocked == 1


async def test_where_no_stream_gets_through_it_asks_again_and_again(
    watching: WatchingPage, proxy: BlockingProxy, sidecar: Deployment, job_id: str, troubles: Troubles
) -> None:
    troubles.expect(REFUSED_UPGRADE)
    proxy.is_blocking_streams = proxy.is_refusing_websockets = True
    await sidecar.push(job_id, current=0, total=TOTAL)
    await watching.watch(job_id)

    await _to_the_end(sidecar, job_id, watching)

    assert await watching.heard("transports") == ["polling"]
    assert proxy.websockets_refused >= 1


async def test_it_returns_from_asking_to_a_stream_when_one_gets_through_again(
    watching: WatchingPage, proxy: BlockingProxy, sidecar: Deployment, job_id: str, troubles: Troubles
) -> None:
    troubles.expect(REFUSED_UPGRADE)
    proxy.is_blocking_streams = proxy.is_refusing_websockets = True
    await sidecar.push(job_id, current=1, total=TOTAL)
    await watching.watch(job_id)
    await watching.until("heard.transports.includes('polling')")

    proxy.is_blocking_streams = proxy.is_refusing_websockets = False
    await watching.until("heard.transports.length > 1")

    await _to_the_end(sidecar, job_id, watching, done=2)
    await _assert_forward(watching)


async def test_after_a_cut_it_is_told_what_it_missed(
    watching: WatchingPage, proxy: BlockingProxy, sidecar: Deployment, job_id: str, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION)
    await sidecar.push(job_id, current=1, total=TOTAL)
    await watching.watch(job_id)
    await watching.until_percent(25)

    proxy.cut()
    await sidecar.push(job_id, current=2)

    await watching.until_percent(50)
    await _to_the_end(sidecar, job_id, watching, done=3)
    await _assert_forward(watching)


async def test_it_survives_a_restart_of_the_sidecar(
    contexts: Contexts, own_sidecar: Deployment, troubles: Troubles
) -> None:
    troubles.expect(LOST_CONNECTION)
    await own_sidecar.push("a", current=1, total=TOTAL)
    watching = await WatchingPage.open(await contexts.open(), own_sidecar.url)
    await watching.watch("a")
    await watching.until_percent(25)

    await own_sidecar.restart()

    await _to_the_end(own_sidecar, "a", watching, done=2)
    await _assert_forward(watching)


async def test_it_survives_a_crash_of_the_embedded_valkey(contexts: Contexts, own_sidecar: Deployment) -> None:
    await own_sidecar.push("a", current=1, total=TOTAL)
    watching = await WatchingPage.open(await contexts.open(), own_sidecar.url)
    await watching.watch("a")
    await watching.until_percent(25)

    own_sidecar.kill_valkey()

    await _to_the_end(own_sidecar, "a", watching, done=2)
    await _assert_forward(watching)


async def test_after_a_reload_it_takes_up_the_job_that_it_watched_and_forgets_it_at_the_end(
    watching: WatchingPage, sidecar: Deployment, job_id: str, project: str
) -> None:
    kind = {"project": project, "jobType": "build"}
    await sidecar.push(job_id, project=project, job_type="build", current=1, total=TOTAL)
    await watching.watch(job_id, rememberAs=kind)
    await watching.until_percent(25)

    await watching.page.reload()
    assert await watching.watch_remembered(kind)
    await watching.until_percent(25)
    await _to_the_end(sidecar, job_id, watching, done=2)

    await watching.page.reload()
    assert not await watching.watch_remembered(kind)


async def test_two_tabs_share_one_connection_and_one_takes_over_from_the_other(
    contexts: Contexts, own_sidecar: Deployment
) -> None:
    await own_sidecar.push("a", current=1, total=TOTAL)
    profile = await contexts.open()
    tabs = [await WatchingPage.open(profile, own_sidecar.url) for _ in range(2)]
    for tab in tabs:
        await tab.watch("a")
    for tab in tabs:
        await tab.until_percent(25)
    assert await own_sidecar.value(OPEN_STREAMS) == 1

    await own_sidecar.push("a", current=2)
    await asyncio.gather(*(tab.until_percent(50) for tab in tabs))
    assert await own_sidecar.value("sse_connections_total") == 1

    leader, other = tabs
    await leader.page.close()
    await _to_the_end(own_sidecar, "a", other, done=3)
    await _assert_forward(other)
