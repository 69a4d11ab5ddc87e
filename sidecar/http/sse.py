"""Server-Sent Events: what every stream is opened with, how it is written to, and how it ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from aiohttp import web
from typing_extensions import override

from sidecar.http import events
from sidecar.http.services import SERVICES
from sidecar.watcher import EndedError, Form

HIGH_WATER_BYTES = 64 * 1024
"""What may wait in a connection's buffer before its client counts as behind."""

T = TypeVar("T")

Run = Callable[["Connection"], Coroutine[None, None, None]]
"""What a stream says from beginning to end; `EndedError` or `ConnectionError` end it before."""


class Connection:
    """One client's connection: the `Outlet` of its watcher, and the beginning of its stream."""

    __slots__ = ("_is_chunked", "_request", "_response", "_transport", "_write_seconds")

    def __init__(self, request: web.Request, response: web.StreamResponse, write_seconds: float) -> None:
        """Keep the parts of a response that has been prepared; no write takes longer than `write_seconds`."""
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionResetError("the client has gone")
        self._request = request
        self._response = response
        self._write_seconds = write_seconds
        self._transport = transport
        self._is_chunked = response.headers.get("Transfer-Encoding") == "chunked"
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=0)

    def form(self, view: str) -> Form:
        """Return how a view is written to this client."""
        return events.FORMS[view, self._is_chunked]

    def write(self, data: bytes) -> bool:
        """Send framed bytes; see `Outlet`. They pass by aiohttp, which would take 9 us more for each client."""
        if not self._transport.is_closing():
            self._transport.write(data)
        return self._transport.get_write_buffer_size() <= HIGH_WATER_BYTES

    async def drain(self) -> None:
        """Wait until the client has taken what is kept; see `Outlet`."""
        async with asyncio.timeout(self._write_seconds):
            await self._request.writer.drain()

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone."""
        return self._transport.is_closing()

    async def open(self) -> None:
        """Send the headers and the first word, which leave before anything is looked up."""
        await self._response.write(events.opening())

    async def say(self, data: bytes) -> None:
        """Write what this client alone is told. Raises `EndedError` when it does not take it."""
        await self.pass_on(events.chunked(data) if self._is_chunked else data)

    async def pass_on(self, framed: bytes) -> None:
        """Write bytes that others share, without a copy. Raises `EndedError` as `say` does, or `ConnectionError`.

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


class EventStream(web.StreamResponse):
    """A response whose body is a stream: it is run when the handler and all that is around it have returned.

    aiohttp calls `write_eof` then. A stream that a handler waited for would keep eight coroutines alive, 3 KiB.
    """

    def __init__(self, request: web.Request, run: Run) -> None:
        """Keep the parts; the stream begins when the response is sent."""
        super().__init__(headers=events.HEADERS)
        self._request = request
        self._run = run

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        """Run the stream, count how it ended, and end the response."""
        services, reason = self._request.app[SERVICES], "error"
        services.metrics.stream_opened("sse")
        try:
            with services.streams:
                await self._run(Connection(self._request, self, services.times.write))
            reason = "done"
        except EndedError as error:
            reason = error.reason
        except asyncio.CancelledError:
            reason = "shutdown"
            raise
        except ConnectionError:
            reason = "client"
            raise
        finally:
            services.metrics.stream_closed("sse", reason)
        if reason in ("client", "slow_consumer"):
            if self._request.transport is not None:
                self._request.transport.abort()  # what it does not read is worth nothing, and would be kept
            raise ConnectionResetError(reason)
        await super().write_eof(data)


async def kept_alive(connection: Connection, task: "asyncio.Task[T]", silence_seconds: float) -> T:
    """Return what a task comes to; meanwhile say now and then that we live."""
    while not task.done():
        await asyncio.wait({task}, timeout=silence_seconds)
        if not task.done():
            await connection.say(events.PING)
    return task.result()


def refused(request: web.Request) -> web.Response | None:
    """Return the answer to who wants only the headers, or comes to a server that is full; None to anyone else."""
    if request.app[SERVICES].streams.is_full:
        return web.Response(body=events.overloaded(), headers=events.HEADERS)
    return web.Response(headers=events.HEADERS) if request.method == "HEAD" else None
