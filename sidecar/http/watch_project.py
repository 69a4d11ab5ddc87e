"""GET /v1/events: all jobs of a project, watched over Server-Sent Events on one connection."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from sidecar.backlog import Backlog
from sidecar.core.document import rfc3339
from sidecar.core.errors import Forbidden, Unavailable
from sidecar.http import checks, events, queries, sse
from sidecar.http.auth import Right
from sidecar.http.problem import FieldError, InvalidRequest
from sidecar.http.services import PRINCIPAL, SERVICES, Services
from sidecar.http.sse import Connection
from sidecar.ports import Cursor
from sidecar.tracker import FORBIDDEN
from sidecar.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to watch, and up to where it has heard everything."""

    project: str
    view: str
    heard: Cursor | None


async def watch(request: web.Request) -> web.StreamResponse:
    """GET /v1/events."""
    services, wanted = request.app[SERVICES], _wanted(request)
    refused = sse.refused(request)
    if refused is not None:
        return refused
    with services.streams.opened():
        return await sse.serve(request, lambda connection: Stream(services, wanted, connection).run())


def _wanted(request: web.Request) -> Wanted:
    may = request[PRINCIPAL].may(Right.READ)
    queries.only(request.query, "project", "view", "last_event_id")
    project = queries.parsed(request.query, "project", checks.name)
    if project is None:
        raise InvalidRequest(FieldError("project", "is required"))
    if not may(project):
        raise Forbidden(FORBIDDEN)
    heard = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    return Wanted(project, queries.view(request.query, "brief"), queries.cursor(heard))


class Stream:
    """One open stream: what was missed, or the full state, in ascending rev, and then every change."""

    def __init__(self, services: Services, wanted: Wanted, connection: Connection) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._times = services.times
        self._wanted = wanted
        self._connection = connection
        self._encode = events.ENCODERS[wanted.view]

    async def run(self) -> None:
        """Say what is, then what changes, until `EndedError` or `ConnectionError` ends it."""
        await self._connection.say(events.opening())
        watcher = Watcher(self._connection.form(self._wanted.view), self._connection, ends_with_job=False)
        async with self._services.hub.watch(self._wanted.project, None, watcher):
            await self._bring_up_to_date(watcher)
            await watcher.follow()

    async def _bring_up_to_date(self, watcher: Watcher) -> None:
        heard, first = self._wanted.heard, await self._first()
        is_recovered = first is not None and heard is not None and _is_place_in(heard, first.project_cursor)
        await self._connect(first, is_recovered=is_recovered)
        backlog = first if first is not None and (is_recovered or heard is None) else await self._after(0)
        while True:
            told = backlog.encoded(self._encode, with_gone=is_recovered)
            if told:
                await self._connection.say(told)
            watcher.saw(backlog.cursor)
            if not backlog.is_more:
                break
            backlog = await self._after(backlog.cursor.rev)
        await self._connection.say(events.event("synced", {"cursor": str(backlog.cursor)}))

    async def _first(self) -> Backlog | None:
        """Return what was missed, None if the store does not say in time."""
        rev = 0 if self._wanted.heard is None else self._wanted.heard.rev
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(self._times.store):
                return await self._services.hub.backlogs.after(self._wanted.project, rev)
        return None

    async def _connect(self, first: Backlog | None, *, is_recovered: bool) -> None:
        data = {
            "project": self._wanted.project,
            "recovered": is_recovered,
            "cursor": None if first is None else str(first.project_cursor),
            "server_time": rfc3339(self._services.clock()),
        }
        await self._connection.say(events.event("connected", data))

    async def _after(self, rev: int) -> Backlog:
        """Return what changed after a rev; wait for a store that is away, and keep the connection alive meanwhile."""
        waited = 0.0
        while True:
            with suppress(Unavailable):
                return await self._services.hub.backlogs.after(self._wanted.project, rev)
            await self._services.streams.pause(self._times.poll)
            waited += self._times.poll
            if waited >= self._times.heartbeat:
                await self._connection.say(events.PING)
                waited = 0.0


def _is_place_in(heard: Cursor, now: Cursor) -> bool:
    """Whether what a client has heard is a place in the order of changes that we know, and not ahead of it."""
    return heard.epoch == now.epoch and heard.rev <= now.rev
