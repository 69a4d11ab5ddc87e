"""Many watches on one WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import ClientWebSocketResponse

from sidecar.core.job import Json
from tests.http.conftest import TIMES, Sidecar, Starter

HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Socket:
    """A client's end of a WebSocket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **message: Json) -> None:
        await self.socket.send_json(message)

    async def next(self, event: str = "", job_id: str = "") -> dict[str, Json]:
        """Return the next frame that is no ping; it must be of this event and job, if they are given."""
        while True:
            frame: dict[str, Json] = await self.socket.receive_json(timeout=10)
            assert list(frame) == ["event", "cursor", "data"], frame
            if frame["event"] != "ping":
                assert event in ("", frame["event"]), frame
                assert job_id in ("", frame["data"].get("job_id")), frame
                return frame

    async def until(self, event: str) -> list[dict[str, Json]]:
        """Return all frames up to the first of this event."""
        frames = [await self.next()]
        while frames[-1]["event"] != event:
            frames.append(await self.next())
        return frames


@asynccontextmanager
async def connected(sidecar: Sidecar, path: str = "/v1/ws", **headers: str) -> AsyncIterator[Socket]:
    async with sidecar.client.ws_connect(path, headers=headers) as socket:
        yield Socket(socket)


def masked(text: bytes, opcode: int = 1, *, is_final: bool = True) -> bytes:
    """Return a client's frame of fewer than 126 bytes, under a mask of zeros."""
    return bytes([0x80 * is_final | opcode, 0x80 | len(text)]) + b"\0\0\0\0" + text


async def test_a_socket_that_says_much_and_reads_nothing_is_closed_as_too_slow(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, write=0.2))
    _, stuck = await asyncio.open_connection("127.0.0.1", sidecar.port, limit=1_024)
    stuck.write(HANDSHAKE)
    async with asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(sidecar.metrics.until("stream_closed", "websocket", "slow_consumer"))
        while not ended.done():
            stuck.write(masked(b'{"ping":1}') * 1_000)
            draining = asyncio.ensure_future(stuck.drain())
            await asyncio.wait({ended, draining}, return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
    stuck.close()


async def test_a_watch_that_is_over_leaves_nothing_behind_on_the_socket(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        for _ in range(20):
            await socket.send(watch={"project": "p"})
            await socket.until("synced")
            await socket.send(unwatch={"project": "p"})
        await socket.send(ping=1)
        await socket.next("pong")
        (stream,) = sidecar.services.streams._open
        assert len(stream._ends) < 5


@pytest.mark.filterwarnings("error")
async def test_a_watch_that_is_taken_back_at_once_was_never_there(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        for _ in range(50):
            await socket.send(watch={"project": "p"}, unwatch={"project": "p"})
            await socket.socket.send_str(json.dumps({"unwatch": {"project": "p"}}))
        await socket.send(ping=1)
        await socket.until("pong")
