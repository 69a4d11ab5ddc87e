"""GET /v1/events: all jobs of a project, watched over Server-Sent Events on one connection."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from sidecar.background import ended
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
from sidecar.watcher import EndedError, Watcher


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to watch, and up to where it has heard everything."""

    project: str
    view: str
    heard: Cursor | None


async def watch(request: web.Request) -> web.StreamResponse:
    """GET /v1/events."""
    services, wanted = request.app[SERVICES], _wanted(request)
    stream = sse.EventStream(request, lambda connection: Stream(services, wanted, connection).run())
    return sse.refused(request) or stream


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

    __slots__ = ("_connection", "_form", "_services", "_times", "_wanted")

    def __init__(self, services: Services, wanted: Wanted, connection: Connection) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._times = services.times
        self._wanted = wanted
        self._connection = connection
        self._form = connection.form(wanted.view)

    async def run(self) -> None:
        """Say what is, then what changes, until `EndedError` or `ConnectionError` ends it."""
        await self._connection.open()
        watcher = Watcher(self._form, self._connection, ends_with_job=False)
        try:
            await self._bring_up_to_date(watcher)
            await watcher.follow()
        finally:
            await self._services.hub.leave(self._wanted.project, None, watcher)

    async def _bring_up_to_date(self, watcher: Watcher) -> None:
        backlog, is_recovered = await self._opened(watcher)
        while True:
            await self._connection.pass_on(backlog.framed(self._form, with_gone=is_recovered))
            watcher.saw(backlog.cursor)
            if not backlog.is_more and not watcher.has_missed:
                break
            watcher.has_missed = False
            told, backlog = backlog.cursor, await self._after(backlog.cursor.rev)
            if told.epoch and backlog.cursor.epoch != told.epoch:
                raise EndedError("error")  # another store answers, which may be behind what was shown: come again
        await self._connection.say(events.event("synced", {"cursor": _shown(backlog.cursor)}))

    async def _opened(self, watcher: Watcher) -> tuple[Backlog, bool]:
        """Say `connected`; return the first of what was missed, and whether it joins on to what the client has."""
        heard = self._wanted.heard
        beginning = asyncio.create_task(self._begin(watcher), name="begin-project-stream")
        try:
            await asyncio.wait({beginning}, timeout=self._times.store)
            first = beginning.result() if beginning.done() else None
            is_recovered = first is not None and heard is not None and _is_joined_by(heard, first)
            await self._connect(first, is_recovered=is_recovered)
            backlog = await sse.kept_alive(self._connection, beginning, self._times.heartbeat)
        finally:
            await ended(beginning)
        return backlog if is_recovered or heard is None else await self._after(0), is_recovered

    async def _begin(self, watcher: Watcher) -> Backlog:
        """Listen first, then read: what changes in between is heard."""
        await self._services.hub.enter(self._wanted.project, None, watcher)
        return await self._read(0 if self._wanted.heard is None else self._wanted.heard.rev)

    async def _after(self, rev: int) -> Backlog:
        """Return what changed after a rev."""
        reading = asyncio.create_task(self._read(rev), name="read-project-stream")
        try:
            return await sse.kept_alive(self._connection, reading, self._times.heartbeat)
        finally:
            await ended(reading)

    async def _read(self, rev: int) -> Backlog:
        """Read what changed after a rev, again and again while the store is away."""
        while True:
            with suppress(Unavailable):
                return await self._services.hub.backlogs.after(self._wanted.project, rev)
            await self._services.streams.pause(self._times.poll)

    async def _connect(self, first: Backlog | None, *, is_recovered: bool) -> None:
        data = {
            "project": self._wanted.project,
            "recovered": is_recovered,
            "cursor": None if first is None else _shown(first.project_cursor),
            "server_time": rfc3339(self._services.clock()),
        }
        await self._connection.say(events.event("connected", data))


def _shown(cursor: Cursor) -> str | None:
    """Return a cursor as clients see it, None for the place in a project that has no jobs yet."""
    return str(cursor) if cursor.epoch else None


def _is_joined_by(heard: Cursor, first: Backlog) -> bool:
    """Whether what follows what a client has heard is all there: its place is one that we know, and not too old."""
    now = first.project_cursor
    return heard.epoch == now.epoch and first.cut <= heard.rev <= now.rev
