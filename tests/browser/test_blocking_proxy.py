"""That the proxy which the browser tests trust is as bad as it says, and no worse."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, WSServerHandshakeError

from tests.browser.blocking_proxy import BlockingProxy
from tests.browser.program import Deployment

EVENTS = "/v1/jobs/seen-through-a-proxy/events"


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(sidecar: Deployment) -> AsyncIterator[BlockingProxy]:
    """Return a proxy before the shared sidecar."""
    await sidecar.push("seen-through-a-proxy", current=1, total=2)
    async with BlockingProxy(sidecar.port) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(proxy: BlockingProxy) -> AsyncIterator[ClientSession]:
    """Return a client of the proxy."""
    async with ClientSession(proxy.url, timeout=ClientTimeout(10)) as session:
        yield session


async def _heard(answer: ClientResponse, wanted: bytes) -> bytes:
    """Return what an answer says up to the line that begins so."""
    async with asyncio.timeout(5):
        while line := await answer.content.readline():
            if line.startswith(wanted):
                return line
    raise EOFError


async def test_it_forwards_answers_and_streams(client: ClientSession) -> None:
    async with client.get("/v1/jobs/seen-through-a-proxy") as answer:
        assert (await answer.json())["percent"] == 50
    async with client.get(EVENTS) as answer:
        assert await _heard(answer, b"event: progress")


async def test_a_blocked_stream_has_headers_and_no_body(client: ClientSession, proxy: BlockingProxy) -> None:
    proxy.is_blocking_streams = True

    async with client.get(EVENTS) as answer:
        assert answer.content_type == "text/event-stream"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.read(1), 0.3)
    async with client.get("/v1/jobs/seen-through-a-proxy") as answer:
        assert answer.status == 200
    assert proxy.streams_blocked == 1


async def test_an_upgrade_can_be_refused(client: ClientSession, proxy: BlockingProxy) -> None:
    proxy.is_refusing_websockets = True

    with pytest.raises(WSServerHandshakeError, match="403"):
        await client.ws_connect("/v1/ws")

    assert proxy.websockets_refused == 1


async def test_a_cut_ends_what_is_open_and_lets_new_ones_come(client: ClientSession, proxy: BlockingProxy) -> None:
    async with client.get(EVENTS) as answer:
        await _heard(answer, b"event: progress")
        proxy.cut()
        with pytest.raises((ClientError, EOFError)):
            await _heard(answer, b"event: done")

    async with client.get("/healthz") as answer:
        assert answer.status == 200


async def test_it_forwards_to_another_sidecar_when_told(
    client: ClientSession, proxy: BlockingProxy, tmp_path: Path
) -> None:
    other = await Deployment(tmp_path / "home").up()
    proxy.target_port = other.port

    async with client.get("/v1/jobs/seen-through-a-proxy") as answer:
        assert answer.status == 404
    other.kill()
