"""Word of changes over Redis' publish/subscribe: one connection a process, whatever the number of projects."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from sidecar.adapters.codec import decode_notice
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.keys import ProjectKeys, project_of_channel
from sidecar.adapters.redis.link import RedisLink
from sidecar.core.errors import StoreUnavailable
from sidecar.ports import Listening, Notice
from sidecar.tasks import ended

NOTICES_WAITING = 10_000
"""Beyond it the reader stops reading, and Redis ends a connection that stays behind."""

PROBE_SECONDS = 10.0

Publish = Callable[[str, bytes], Awaitable[Any]]
"""Tells a channel something by way of another connection."""


class RedisLine:
    """A `Listening`; a task of its own reads the socket, so that `add` is confirmed while nobody iterates.

    It reads replies from the connection itself: redis-py's `PubSub` does several times the work
    for each message.
    """

    def __init__(self, connection: AbstractConnection, timeout_seconds: float) -> None:
        """Keep the connection; `read` does the work."""
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._heard: list[Notice] = []
        self._asked: deque[asyncio.Event] = deque()
        self._broken: StoreUnavailable | None = None
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._confirmed: dict[str, asyncio.Event] = {}
        self._alive = asyncio.Event()
        self._commands = asyncio.Lock()

    async def add(self, project: str) -> None:
        """Listen to a project; see `Listening`."""
        channel = ProjectKeys(project).channel
        async with self._asking():
            async with self._commands:
                confirmed = self._confirmed.get(channel)
                if confirmed is None:
                    confirmed = self._confirmed[channel] = await self._subscribe(channel)
            await confirmed.wait()

    async def remove(self, project: str) -> None:
        """Stop listening to a project."""
        channel = ProjectKeys(project).channel
        async with self._asking(), self._commands:
            if self._confirmed.pop(channel, None) is not None:
                await self._connection.send_command("UNSUBSCRIBE", channel)

    async def __aiter__(self) -> AsyncIterator[list[Notice]]:
        """Yield notices in the order of the server; see `Listening`."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            heard, self._heard = self._heard, []
            self._room.set()
            if heard:
                yield heard
            if self._broken is not None and not self._heard:
                raise self._broken

    async def read(self) -> None:
        """Read the socket until it breaks, which is the last thing that the iteration hears of."""
        try:
            while True:
                self._take(await self._connection.read_response(timeout=inf, push_request=True))
                if self._is_full:
                    self._room.clear()
                    await self._room.wait()
        except (RedisError, OSError, ValueError) as error:
            self._break(error)

    async def probe(self, every_seconds: float, publish: Publish) -> None:
        """Say something to ourselves now and then, and break the line when it does not arrive.

        A server that has been replaced by another one may still answer, and tell nothing of what the new one hears.
        """
        channel = keys.probe(secrets.token_hex(8))
        try:
            async with self._asking(), self._commands:
                await self._subscribe(channel)
            while True:
                await asyncio.sleep(every_seconds)
                self._alive.clear()
                if not await self._is_said(publish, channel):
                    async with self._commands:
                        await self._connection.send_command("PING")
                await self._hear_ourselves()
        except (TimeoutError, RedisError, OSError, StoreUnavailable) as error:
            self._break(error)

    async def _hear_ourselves(self) -> None:
        """Wait for what we have said, as long as nobody takes what was heard before. Raises `TimeoutError`."""
        while True:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await self._alive.wait()
            except TimeoutError:
                if not self._is_full:
                    raise
            else:
                return

    async def _subscribe(self, channel: str) -> asyncio.Event:
        """Ask to hear a channel; return what is set when the server says that we do.

        It confirms in the order in which it was asked, also what nobody waits for any more.
        """
        confirmed = asyncio.Event()
        self._asked.append(confirmed)
        await self._connection.send_command("SUBSCRIBE", channel)
        return confirmed

    async def _is_said(self, publish: Publish, channel: str) -> bool:
        """Say something on a channel; false if that other connection fails, which tells nothing about this one."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await publish(channel, b"")
        except (TimeoutError, RedisError, OSError):
            return False
        return True

    def _take(self, reply: Any) -> None:
        kind = reply[0]
        if kind == b"message" and keys.is_probe(reply[1]):
            self._alive.set()
        elif kind == b"message":
            self._heard.append(decode_notice(project_of_channel(reply[1].decode()), reply[2]))
            self._arrived.set()
        elif kind == b"subscribe":
            self._asked.popleft().set()
        elif kind == b"pong":
            self._alive.set()

    @property
    def _is_full(self) -> bool:
        """Whether so much waits to be taken that nothing more is read, confirmations neither."""
        return len(self._heard) >= NOTICES_WAITING

    def _break(self, error: Exception) -> None:
        self._broken = StoreUnavailable(f"the line to Redis broke: {type(error).__name__}")
        self._arrived.set()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Ask within the deadline, or break the line: who was not heard would be deaf on it for good."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield
        except (TimeoutError, RedisError, OSError) as error:
            if not self._is_full:
                self._break(error)
            message = f"the line to Redis does not answer: {type(error).__name__}"
            raise StoreUnavailable(message) from error


class RedisBroker:
    """A `Broker` over Redis' publish/subscribe."""

    def __init__(self, link: RedisLink, probe_seconds: float = PROBE_SECONDS) -> None:
        """Keep the link; an open line is probed every `probe_seconds`."""
        self._link = link
        self._probe_seconds = probe_seconds

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Listening]:
        """Open a line; see `Broker`."""
        pool = self._link.subscriptions.connection_pool
        async with self._link.deadline():
            connection = await pool.get_connection()
        line = RedisLine(connection, self._link.timeout_seconds)
        tasks = [
            asyncio.create_task(line.read(), name="redis-line"),
            asyncio.create_task(line.probe(self._probe_seconds, self._link.commands.publish), name="redis-line-probe"),
        ]
        try:
            yield line
        finally:
            for task in tasks:
                await ended(task)
            with suppress(RedisError, OSError):
                await connection.disconnect()
                await pool.release(connection)
