"""Server-Sent Events: what every stream is opened with, and how it ends."""

import asyncio
from collections.abc import Callable
from functools import partial

from aiohttp import web
from typing_extensions import override

from sidecar.core.errors import Forbidden
from sidecar.http import queries
from sidecar.http.auth import Right
from sidecar.http.problem import FieldError, InvalidRequest
from sidecar.http.services import PRINCIPAL, SERVICES, TICKET
from sidecar.http.streams import FullError, Stream
from sidecar.http.watch import events
from sidecar.http.watch.client import Client
from sidecar.http.watch.events import Dialect
from sidecar.http.watch.every_project import EveryProjectWatch
from sidecar.http.watch.job import JobWatch, WantedJob
from sidecar.http.watch.project import ProjectWatch, WantedJobs
from sidecar.http.watch.pulse import Pulsing, Watch
from sidecar.hub.watcher import EndedError
from sidecar.tokens import EVERY_PROJECT
from sidecar.tracker import FORBIDDEN

Begin = Callable[[Client, Stream], Watch]

ANY_STREAM = ("view", "last_event_id", "ping", "ticket")


async def watch_job(request: web.Request) -> web.StreamResponse:
    """GET /v1/jobs/{job_id}/events: one job."""
    services, may = request.app[SERVICES], request[PRINCIPAL].may(Right.READ)
    queries.only(request.query, *ANY_STREAM)
    job_id = queries.job_id(request.match_info["job_id"])
    wanted = WantedJob(job_id, may, queries.view(request.query), _heard(request))
    refused = _refused(request)
    if refused is None and await wanted.is_over(services):
        return web.Response(status=204)
    return refused or EventStream(request, partial(JobWatch, services, wanted))


async def watch_jobs(request: web.Request) -> web.StreamResponse:
    """GET /v1/events: many jobs of a project, or those of every project that the reader may see."""
    services, may = request.app[SERVICES], request[PRINCIPAL].may(Right.READ)
    queries.only(request.query, "project", *queries.SELECTING, *ANY_STREAM)
    view, project = queries.view(request.query, "brief"), queries.watched_project(request.query)
    selection = queries.selection(request.query)
    if project is None:
        raise InvalidRequest(FieldError("project", "is required"))
    if project == EVERY_PROJECT:
        every = WantedJobs(project, selection, view, None)

        def begin(client: Client, stream: Stream) -> Watch:
            return Pulsing(services, EveryProjectWatch(services, every, may, client, stream), client, stream)

        return _refused(request) or EventStream(request, begin)
    if not may(project):
        raise Forbidden(FORBIDDEN)
    wanted = WantedJobs(project, selection, view, queries.cursor(_heard(request)))
    return _refused(request) or EventStream(request, partial(ProjectWatch, services, wanted))


class EventStream(web.StreamResponse):
    """A response whose body is a stream: it is run when the handler and all that is around it have returned.

    aiohttp calls `write_eof` then. A stream that a handler waited for would keep eight coroutines alive, 3 KiB.
    """

    def __init__(self, request: web.Request, begin: Begin) -> None:
        """Keep the parts; the stream begins when the response is sent."""
        super().__init__(headers=events.HEADERS)
        self._request = request
        self._begin = begin
        self._has_pings = queries.has_pings(request.query)

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        """Run the stream, count how it ended, and end the response."""
        services, request, reason = self._request.app[SERVICES], self._request, "shutdown"
        try:
            stream = services.streams.opened(request[PRINCIPAL], request.remote or "")
        except FullError:
            services.gate.give_back(request.get(TICKET))
            await self.write(events.overloaded(is_leaving=services.streams.is_draining))
            return await super().write_eof(data)
        services.metrics.stream_opened("sse")
        try:
            await self.write(events.opening())
            with stream:
                client = Client(request, self._dialect(), services.times.write, services.traffic["sse"])
                stream.on_end(client.let_go)
                await self._begin(client, stream).run()
            reason = "done"
        except EndedError as error:
            reason = error.reason
        except ConnectionError:
            reason = stream.reason or "client"
        except Exception:
            reason = "error"
            raise
        finally:
            services.metrics.stream_closed("sse", reason, services.streams.age_seconds(stream))
        if reason in ("client", "slow_consumer") or (reason != "done" and _is_behind(request)):
            if request.transport is not None:
                request.transport.abort()  # what it does not read is worth nothing, and would be kept
            raise ConnectionResetError(reason)
        return await super().write_eof(data)

    def _dialect(self) -> Dialect:
        is_chunked = self.headers.get("Transfer-Encoding") == "chunked"
        return events.server_sent(is_chunked=is_chunked, has_pings=self._has_pings)


def _is_behind(request: web.Request) -> bool:
    """Whether a client has gone, or has yet to take what was written: it comes again, and misses nothing."""
    transport = request.transport
    return (
        not isinstance(transport, asyncio.Transport) or transport.is_closing() or transport.get_write_buffer_size() > 0
    )


def _heard(request: web.Request) -> str:
    return request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")


def _refused(request: web.Request) -> web.Response | None:
    """Return the answer to who wants only the headers, or comes to a server that is full; None to anyone else."""
    streams = request.app[SERVICES].streams
    if streams.is_full(request[PRINCIPAL], request.remote or ""):
        return web.Response(body=events.overloaded(is_leaving=streams.is_draining), headers=events.HEADERS)
    return web.Response(headers=events.HEADERS) if request.method == "HEAD" else None
