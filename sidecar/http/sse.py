"""Server-Sent Events: what every stream is opened with, how it is written to, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from sidecar.http import events
from sidecar.http.services import SERVICES
from sidecar.watcher import EndedError, Form

HIGH_WATER_BYTES = 64 * 1024
"""What may wait in a connection's buffer before its client counts as behind."""

Run = Callable[["Connection"], Awaitable[None]]
"""What a stream says from beginning to end; `EndedError` or `ConnectionError` end it before."""


class Connection:
    """One client's connection: the `Outlet` of its watcher, and the beginning of its stream."""

    __slots__ = ("_request", "_response", "_transport", "_write_seconds")

    def __init__(self, request: web.Request, response: web.StreamResponse, write_seconds: float) -> None:
        """Keep the parts of a response that has been prepared; no write takes longer than `write_seconds`."""
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionResetError("the client has gone")
        self._request = request
        self._response = response
        self._write_seconds = write_seconds
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=0)

    def form(self, view: str) -> Form:
        """Return how a view is written to this client."""
        return events.FORMS[view, self._response.headers.get("Transfer-Encoding") == "chunked"]

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

    async def say(self, data: bytes) -> None:
        """Write before there is a watcher. Raises `EndedError` when the client does not take it."""
        try:
            async with asyncio.timeout(self._write_seconds):
                await self._response.write(data)
        except TimeoutError:
            raise EndedError("slow_consumer") from None


async def serve(request: web.Request, run: Run) -> web.StreamResponse:
    """Open a stream, run it, and count how it ended."""
    services = request.app[SERVICES]
    response = web.StreamResponse(headers=events.HEADERS)
    services.metrics.stream_opened("sse")
    reason = "error"
    try:
        await response.prepare(request)
        await run(Connection(request, response, services.times.write))
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
    if reason in ("client", "slow_consumer") and request.transport is not None:
        request.transport.abort()  # what it does not read is worth nothing, and would be kept
    return response


def refused(request: web.Request) -> web.Response | None:
    """Return the answer to who wants only the headers, or comes to a server that is full; None to anyone else."""
    if request.app[SERVICES].streams.is_full:
        return web.Response(body=events.overloaded(), headers=events.HEADERS)
    return web.Response(headers=events.HEADERS) if request.method == "HEAD" else None
