"""Word of changes over Redis' publish/subscribe: one connection a process, whatever the number of projects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from sidecar.adapters.codec import decode_row
from sidecar.adapters.keys import ProjectKeys, project_of_channel
from sidecar.adapters.redis_link import RedisLink
from sidecar.background import ended
from sidecar.core.errors import StoreUnavailable
from sidecar.ports import Cursor, Listening, Notice

NOTICES_WAITING = 10_000
"""Beyond it the reader stops reading, and Redis ends a connection that stays behind."""

POLL_SECONDS = 1.0


class RedisLine:
    """A `Listening`; a task of its own reads the socket, so that `add` is confirmed while nobody iterates."""

    def __init__(self, pubsub: PubSub, timeout_seconds: float) -> None:
        """Keep the subscription; `read` does the work."""
        self._pubsub = pubsub
        self._timeout_seconds = timeout_seconds
        self._notices: asyncio.Queue[Notice | StoreUnavailable] = asyncio.Queue(NOTICES_WAITING)
        self._confirmed: dict[str, asyncio.Event] = {}
        self._commands = asyncio.Lock()

    async def add(self, project: str) -> None:
        """Listen to a project; see `Listening`."""
        channel = ProjectKeys(project).channel
        async with self._asking():
            if channel not in self._confirmed:
                self._confirmed[channel] = asyncio.Event()
                await self._pubsub.subscribe(channel)
            await self._confirmed[channel].wait()

    async def remove(self, project: str) -> None:
        """Stop listening to a project."""
        channel = ProjectKeys(project).channel
        async with self._asking():
            if self._confirmed.pop(channel, None) is not None:
                await self._pubsub.unsubscribe(channel)

    async def __aiter__(self) -> AsyncIterator[Notice]:
        """Yield notices in the order of the server; see `Listening`."""
        while True:
            notice = await self._notices.get()
            if isinstance(notice, StoreUnavailable):
                raise notice
            yield notice

    async def read(self) -> None:
        """Read the socket until it breaks, which is the last thing that the iteration hears of."""
        try:
            while True:
                message = await self._pubsub.get_message(timeout=POLL_SECONDS)
                if message is not None:
                    await self._take(message)
        except (RedisError, OSError) as error:
            await self._notices.put(StoreUnavailable(f"the line to Redis broke: {type(error).__name__}"))

    async def _take(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode()
        if message["type"] == "subscribe":
            if channel in self._confirmed:
                self._confirmed[channel].set()
        elif message["type"] == "message":
            epoch, rev, job_id, row = message["data"].split(b" ", 3)
            version, fields = decode_row(row)
            cursor = Cursor(epoch.decode(), int(rev))
            await self._notices.put(Notice(project_of_channel(channel), job_id.decode(), cursor, version, fields))

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._commands:
                yield
        except (TimeoutError, RedisError, OSError) as error:
            message = f"the line to Redis does not answer: {type(error).__name__}"
            raise StoreUnavailable(message) from error


class RedisBroker:
    """A `Broker` over Redis' publish/subscribe."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Listening]:
        """Open a line; see `Broker`."""
        pubsub = self._link.subscriptions.pubsub()
        async with self._link.deadline():
            await pubsub.connect()
        line = RedisLine(pubsub, self._link.timeout_seconds)
        reading = asyncio.create_task(line.read(), name="redis-line")
        try:
            yield line
        finally:
            await ended(reading)
            with suppress(RedisError, OSError):
                await pubsub.aclose()
