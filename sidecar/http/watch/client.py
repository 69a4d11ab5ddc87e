"""One client's connection, whatever the transport: how it is written to, and when it counts as behind."""

import asyncio
import fcntl
import socket
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

from aiohttp import web

from sidecar.core.job import Json
from sidecar.http.watch import events
from sidecar.http.watch.events import Dialect
from sidecar.hub.broadcast import Form
from sidecar.hub.traffic import Traffic
from sidecar.hub.watcher import EndedError
from sidecar.tasks import unheeded

HIGH_WATER_BYTES = 64 * 1024
"""What may wait in a connection's buffer before its client counts as behind."""

UNANSWERED_MILLISECONDS = 30_000
"""How long sent data may stay unacknowledged by the client's machine before the connection is taken to be dead."""

T = TypeVar("T")


class Client:
    """The `Outlet` of a client's watchers, and what is said to this client alone."""

    __slots__ = (
        *("_clock", "_dialect", "_draining", "_is_let_go"),
        *("_request", "_transport", "_write_seconds", "_written_at", "held_bytes", "traffic"),
    )

    def __init__(self, request: web.Request, dialect: Dialect, write_seconds: float, traffic: Traffic) -> None:
        """Keep the parts of a request whose response has begun; no write takes longer than `write_seconds`.

        `traffic` is where what is sent is counted.
        """
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionResetError("the client has gone")
        self.traffic = traffic
        self.held_bytes = 0
        self._request = request
        self._draining: asyncio.Task[None] | None = None
        self._is_let_go = False
        self._dialect = dialect
        self._write_seconds = write_seconds
        self._transport = transport
        self._clock = asyncio.get_running_loop().time
        self._written_at = self._clock()
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=0)
        _notice_silence(transport)

    def form(self, view: str, *, has_ids: bool = True) -> Form:
        """Return how a view is written to this client."""
        return self._dialect.forms[view, has_ids]

    @property
    def pulse(self) -> Form:
        """How this client is told that we live, and which store serves."""
        return self._dialect.pulse

    def write(self, data: bytes) -> bool:
        """Send framed bytes; see `Outlet`. They pass by aiohttp, which would take 9 us more for each client."""
        if not self._transport.is_closing():
            self._transport.write(data)
            self._written_at = self._clock()
        return self._transport.get_write_buffer_size() <= HIGH_WATER_BYTES

    async def drain(self) -> None:
        """Wait until the client has taken what is kept, as long as it takes some of it now and then; see `Outlet`.

        Several may wait at once: aiohttp has one future for all of them, and who gives up would cancel it for the rest.
        """
        if self._is_let_go:
            self.abort()
            raise ConnectionResetError("the stream has to end")
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._request.writer.drain(), name="drain-client")
            self._draining.add_done_callback(unheeded)
        outstanding = self._outstanding_bytes()
        while True:
            try:
                async with asyncio.timeout(self._write_seconds):
                    return await asyncio.shield(self._draining)
            except TimeoutError:
                before, outstanding = outstanding, self._outstanding_bytes()
                if outstanding >= before:
                    raise

    def _outstanding_bytes(self) -> int:
        """Return how much of what was written the client's machine has yet to take, as far as the system tells."""
        kept, sock = self._transport.get_write_buffer_size(), self._transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # not every system tells
            return kept + int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return kept

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone."""
        return self._transport.is_closing()

    @property
    def written_at(self) -> float:
        """When anything was last written; see `Outlet`."""
        return self._written_at

    async def say(self, name: str, data: Mapping[str, Json], cursor: str | None = None) -> None:
        """Tell this client alone. Raises `EndedError` when it does not take it, or `ConnectionError`."""
        await self.pass_on(self._dialect.event(name, events.as_json(data), cursor))

    async def pass_on(self, framed: bytes) -> None:
        """Write bytes that others share, without a copy. Raises as `say` does.

        There is a timer only for who has to wait: cancelled ones stay in the event loop's heap for a while, and took
        1 KiB for each of 5,000 streams that opened at once.
        """
        if self.is_closed:
            raise ConnectionResetError("the client has gone")
        if framed and not self.write(framed):
            try:
                await self.drain()
            except TimeoutError:
                raise EndedError("slow_consumer") from None

    async def kept_alive(self, task: "asyncio.Task[T]", silence_seconds: float) -> T:
        """Return what a task comes to; meanwhile say now and then that we live."""
        while not task.done():
            await asyncio.wait({task}, timeout=silence_seconds)
            if not task.done():
                await self.pass_on(self.form("brief").ping)
        return task.result()

    def let_go(self, _: str) -> None:
        """Wait for the client no more: drop the connection if it has yet to take what was written."""
        self._is_let_go = True
        if self._draining is not None and not self._draining.done():
            self.abort()

    def abort(self) -> None:
        """Drop the connection: what the client does not read is worth nothing, and would be kept."""
        self._transport.abort()


def _notice_silence(transport: asyncio.Transport) -> None:
    """Let the system end a connection whose other end answers nothing, as when a laptop was closed."""
    sock = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MILLISECONDS)
