"""GET /v1/jobs/{job_id}/events: one job, watched over Server-Sent Events."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from aiohttp import web

from sidecar.core.document import rfc3339
from sidecar.core.errors import Unavailable, UnknownJob
from sidecar.http import events, queries
from sidecar.http.auth import Right
from sidecar.http.services import PRINCIPAL, SERVICES, Services
from sidecar.hub import Broadcast, Encode, EndedError, Watcher
from sidecar.ports import Query, Stored
from sidecar.tracker import MayUse

CANCEL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to watch, and the last event that it has heard."""

    job_id: str
    may: MayUse
    encode: Encode
    heard: str


async def watch(request: web.Request) -> web.StreamResponse:
    """GET /v1/jobs/{job_id}/events."""
    services = request.app[SERVICES]
    wanted = _wanted(request)
    if services.streams.is_full:
        return web.Response(body=events.overloaded(), headers=events.HEADERS)
    if request.method == "HEAD":
        return web.Response(headers=events.HEADERS)
    with services.streams.opened():
        if await _is_over(services, wanted):
            return web.Response(status=204)
        return await _serve(request, services, wanted)


def _wanted(request: web.Request) -> Wanted:
    may = request[PRINCIPAL].may(Right.READ)
    queries.only(request.query, "view", "last_event_id")
    return Wanted(
        queries.job_id(request.match_info["job_id"]),
        may,
        events.ENCODERS[queries.view(request.query)],
        request.headers.get("Last-Event-ID") or request.query.get("last_event_id", ""),
    )


async def _is_over(services: Services, wanted: Wanted) -> bool:
    """Whether the client has heard the end already; false when the store does not say in time."""
    if not wanted.heard:
        return False
    try:
        async with asyncio.timeout(services.times.check):
            stored = await services.tracker.get(wanted.job_id, wanted.may)
            rev = await _heard_rev(services, wanted, stored)
    except UnknownJob:
        return events.has_heard_gone(wanted.heard)
    except (TimeoutError, Unavailable):
        return False
    is_end = Broadcast(wanted.job_id, stored.cursor, stored.view).is_end
    return is_end and rev is not None and rev >= stored.cursor.rev


async def _heard_rev(services: Services, wanted: Wanted, stored: Stored) -> int | None:
    """Return the rev up to which the client has heard; None unless it is of this epoch, and not ahead of us."""
    cursor, project = queries.cursor(wanted.heard), stored.view.job.project
    if cursor is None or cursor.epoch != stored.cursor.epoch:
        return None
    if cursor.rev <= stored.cursor.rev:
        return cursor.rev
    page = await services.tracker.page(Query(may_see=wanted.may, project=project, limit=1))
    is_ours = page.cursor is not None and page.cursor.epoch == cursor.epoch and cursor.rev <= page.cursor.rev
    return cursor.rev if is_ours else None


async def _serve(request: web.Request, services: Services, wanted: Wanted) -> web.StreamResponse:
    """Open the stream, run it, and count how it ended."""
    response = web.StreamResponse(headers=events.HEADERS)
    services.metrics.stream_opened("sse")
    reason = "error"
    try:
        await response.prepare(request)
        await Stream(services, wanted, response).run()
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
    if reason == "slow_consumer" and request.transport is not None:
        request.transport.abort()  # what it does not read is worth nothing, and would be kept
    return response


@dataclass(frozen=True, slots=True)
class Found:
    """A job, and the watcher that hears of everything newer."""

    stored: Stored
    watcher: Watcher
    is_recovered: bool
    is_news: bool


class Stream:
    """One open stream."""

    def __init__(self, services: Services, wanted: Wanted, response: web.StreamResponse) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._times = services.times
        self._wanted = wanted
        self._response = response
        self._has_asked = asyncio.Event()

    async def run(self) -> None:
        """Say what is, then what changes, until the job ends; `EndedError` or `ConnectionError` end it before."""
        await self._write(events.opening())
        async with AsyncExitStack() as stack:
            finding = asyncio.create_task(self._find(stack), name="find-watched-job")
            stack.push_async_callback(_cancelled, finding)
            await self._connect(finding)
            found = await self._found(finding)
            if found is None:
                await self._write(events.gone(self._wanted.job_id))
            else:
                await self._tell(found)

    async def _connect(self, finding: "asyncio.Task[Found | None]") -> None:
        """Say `connected`, with what the store has answered by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.store):
                await self._has_asked.wait()
        found = finding.result() if finding.done() else None
        data = {
            "job_id": self._wanted.job_id,
            "recovered": found is not None and found.is_recovered,
            "cursor": None if found is None else str(found.stored.cursor),
            "server_time": rfc3339(self._services.clock()),
        }
        await self._write(events.event("connected", data))

    async def _found(self, finding: "asyncio.Task[Found | None]") -> Found | None:
        """Return what was found in the end, None if nothing is; meanwhile keep the connection alive."""
        while True:
            done, _ = await asyncio.wait({finding}, timeout=self._times.heartbeat)
            if done:
                return finding.result()
            await self._write(events.PING)

    async def _tell(self, found: Found) -> None:
        snapshot = Broadcast(self._wanted.job_id, found.stored.cursor, found.stored.view)
        is_over = found.is_news and await self._send([snapshot])
        while not is_over:
            is_over = await self._send(await found.watcher.take(self._times.heartbeat))

    async def _send(self, changes: list[Broadcast]) -> bool:
        """Send changes in one write, a ping if there are none; true if the last one is the end."""
        end = next((index for index, change in enumerate(changes) if change.is_end), None)
        sent = changes if end is None else changes[: end + 1]
        await self._write(b"".join(change.encoded(self._wanted.encode) for change in sent) or events.PING)
        return end is not None

    async def _find(self, stack: AsyncExitStack) -> Found | None:
        """Look for the job until it is there; None once it has been unknown for too long."""
        unknown_seconds = 0.0
        while unknown_seconds < self._times.unknown:
            try:
                return await self._look(stack)
            except UnknownJob:
                self._services.metrics.stream_missed()
                unknown_seconds += self._times.poll
            except Unavailable:
                unknown_seconds = 0.0  # a store that is away says nothing about the job
            finally:
                self._has_asked.set()
            await self._services.streams.pause(self._times.poll)
        return None

    async def _look(self, stack: AsyncExitStack) -> Found:
        """Listen first, then read: what changes in between is heard, and what was read is not told again."""
        services, wanted = self._services, self._wanted
        known = await services.tracker.get(wanted.job_id, wanted.may)
        async with AsyncExitStack() as trying:
            watching = services.hub.watch(known.view.job.project, wanted.job_id, wanted.encode)
            watcher = await trying.enter_async_context(watching)
            stored = await services.tracker.get(wanted.job_id, wanted.may)
            watcher.saw(stored.view.job.version)
            heard = await _heard_rev(services, wanted, stored)
            await stack.enter_async_context(trying.pop_all())
        is_news = heard is None or heard < stored.cursor.rev
        return Found(stored, watcher, is_recovered=heard is not None, is_news=is_news)

    async def _write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._times.write):
                await self._response.write(data)
        except TimeoutError:
            raise EndedError("slow_consumer") from None


async def _cancelled(task: "asyncio.Task[Found | None]") -> None:
    """End a task, whatever it takes: before Python 3.12, `wait_for` can lose a cancellation, and redis-py uses it."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_SECONDS)
