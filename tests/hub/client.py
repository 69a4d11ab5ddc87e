"""A client of the hub, and what runs while it watches."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.hub import Hub
from sidecar.hub.selection import EVERYTHING, Selection, only
from sidecar.hub.traffic import Traffic
from sidecar.hub.watcher import EndedError, Watcher


def whole(change: Broadcast) -> bytes:
    """Encode as little of a whole job as will do."""
    if change.view is None:
        return b"gone "
    return b"%s%d/%d " % (b"end:" if change.is_end else b"", change.view.current or 0, change.cursor.rev)


def row(change: Broadcast) -> bytes:
    """Encode a row: what came, if it came encoded."""
    if change.row is not None:
        return change.row
    return b"gone" if change.view is None else b"{%d}" % (change.view.current or 0)


def framed(data: bytes) -> bytes:
    """Frame what is written at once."""
    return b"<%s>" % data


WHOLE = Form(whole, framed, b"ping", is_whole=True)
ROW = Form(row, framed, b"ping", is_whole=False)


class Client:
    """An outlet, and what a watcher through it has been told."""

    def __init__(self, form: Form = WHOLE, *, ends_with_job: bool = True) -> None:
        """Begin with a client that reads everything at once."""
        self.told: list[bytes] = []
        self.is_closed = False
        self.written_at = 0.0
        self.traffic = Traffic()
        self.held_bytes = 0
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.watcher = Watcher(form, self, ends_with_job=ends_with_job)
        self._arrived = asyncio.Event()

    def write(self, data: bytes) -> bool:
        """Be the connection."""
        self.told.append(data)
        self.written_at = asyncio.get_running_loop().time()
        self._arrived.set()
        return self.is_reading.is_set()

    async def drain(self) -> None:
        """Be the connection, whose patience is short."""
        async with asyncio.timeout(0.2):
            await self.is_reading.wait()

    async def until(self, count: int) -> list[bytes]:
        """Wait for so many writes and return them all."""
        async with asyncio.timeout(2):
            while len(self.told) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.told


def selected(job_id: str | None) -> Selection:
    """Return the selection of one job, or of all."""
    return EVERYTHING if job_id is None else only(job_id)


@asynccontextmanager
async def watching(
    hub: Hub, client: Client, job_id: str | None = "job-1", project: str = "default"
) -> AsyncIterator[asyncio.Task[None]]:
    """Let a client watch, as a stream does, and end with the block."""
    await hub.enter(project, selected(job_id), client.watcher)
    following = asyncio.create_task(client.watcher.follow())
    await asyncio.sleep(0)
    try:
        yield following
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await hub.leave(project, selected(job_id), client.watcher)


async def ended(following: asyncio.Task[None]) -> str:
    """Return the reason for which a watcher ended."""
    with pytest.raises(EndedError) as error:
        await asyncio.wait_for(following, 2)
    return error.value.reason


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something that never ends until the end of the block."""
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
