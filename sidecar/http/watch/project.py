"""Many jobs of one project, watched on one connection: what was missed, or the full state, and then every change."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from sidecar.core.document import rfc3339
from sidecar.core.errors import Unavailable, UnknownJob
from sidecar.core.job import Json
from sidecar.http.services import Services
from sidecar.http.streams import Stream
from sidecar.http.watch.client import Client
from sidecar.http.watch.job import nothing, result_of
from sidecar.hub.backlog import Backlog
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.catching_up import END_OF_TIME
from sidecar.hub.selection import Selection
from sidecar.hub.watcher import EndedError, Watcher
from sidecar.ports import Cursor
from sidecar.tasks import ended

READS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class WantedJobs:
    """What a client wants to watch, and up to where it has heard everything; `echo` is said back to it."""

    project: str
    selection: Selection
    view: str
    heard: Cursor | None
    echo: Mapping[str, Json] = field(default_factory=nothing)


class ProjectWatch:
    """A client that watches jobs of one project; as a part of more it tells of jobs and says nothing else.

    Everything is told in ascending rev, so that a cut at any byte loses nothing.
    """

    __slots__ = ("_client", "_form", "_is_part", "_services", "_stream", "_times", "_wanted", "watcher")

    def __init__(
        self, services: Services, wanted: WantedJobs, client: Client, stream: Stream, *, is_part: bool = False
    ) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._times = services.times
        self._wanted = wanted
        self._client = client
        self._stream = stream
        self._is_part = is_part
        self._form = client.form(wanted.view, has_ids=not is_part)
        self.watcher = Watcher(self._form, client, ends_with_job=False)

    async def run(self) -> None:
        """Say what is, then what changes, until `EndedError` or `ConnectionError` ends it."""
        self._stream.on_end(self.watcher.end)
        try:
            await self.begin()
            await self.watcher.follow()
        finally:
            self._stream.forget(self.watcher.end)
            await self.end()

    async def begin(self) -> None:
        """Say what is; what changes waits for somebody to follow the watcher. Whoever has begun must end."""
        await self._bring_up_to_date(self.watcher)

    async def end(self) -> None:
        """Say nothing more."""
        self.watcher.end("client")
        await self._services.hub.leave(self._wanted.project, self._wanted.selection, self.watcher)

    async def _bring_up_to_date(self, watcher: Watcher) -> None:
        backlog, opened_at = await self._opened(watcher)
        while True:
            for piece in backlog.framed(self._form, self._wanted.selection, opened_at):
                await self._client.pass_on(piece)
            watcher.saw(backlog.cursor)
            if not backlog.is_more and not watcher.has_missed:
                break
            watcher.has_missed = False
            told, backlog = backlog.cursor, await self._after(backlog.cursor.rev)
            if told.epoch and backlog.cursor.epoch != told.epoch:
                raise EndedError("error")  # another store answers, which may be behind what was shown: come again
        if not self._is_part:
            await self._client.say("synced", {**self._wanted.echo, "cursor": _shown(backlog.cursor)})

    async def _opened(self, watcher: Watcher) -> tuple[Backlog, int | None]:
        """Say `connected`; return the first that is to be told, and the rev after which every change is told.

        That is None for whoever is told nothing else. A store that is slow to answer makes that the full state, but of
        what has ended since the client was cut off it is told as well.
        """
        heard = self._wanted.heard
        beginning = asyncio.create_task(self._begin(watcher), name="begin-project-watch")
        try:
            await asyncio.wait({beginning}, timeout=self._times.store)
            first = beginning.result() if beginning.done() else None
            is_recovered = first is not None and heard is not None and _is_joined_by(heard, first)
            await self._connect(first, is_recovered=is_recovered)
            self._services.metrics.stream_resumed(result_of(self._wanted.heard, is_recovered=is_recovered))
            backlog = await self._client.kept_alive(beginning, self._times.heartbeat)
        finally:
            await ended(beginning)
        if is_recovered:
            return backlog, None
        if self._wanted.selection.job_ids:
            backlog = await self._shown_by_name(backlog.project_cursor)
        elif heard is not None:
            backlog = await self._after(0)
        if heard is not None and _is_joined_by(heard, backlog):
            return backlog, heard.rev
        return backlog, self._opened_at(backlog.project_cursor)

    def _opened_at(self, now: Cursor) -> int:
        """Return the rev after which all is told: what ended while a slow store was waited for is told as well."""
        end = self.watcher.first_end(now.epoch)
        return now.rev if end is None else min(now.rev, end - 1)

    async def _begin(self, watcher: Watcher) -> Backlog:
        """Listen first, then read: what changes in between is heard."""
        await self._services.hub.enter(self._wanted.project, self._wanted.selection, watcher)
        if self._wanted.heard is not None:
            return await self._read(self._wanted.heard.rev)
        return await self._read(END_OF_TIME if self._wanted.selection.job_ids else 0)

    async def _shown_by_name(self, now: Cursor) -> Backlog:
        """Return the jobs that are asked for by name, finished ones too, as far as they stand before `now`.

        What has changed since follows after it.
        """
        reading = asyncio.create_task(self._get_all(), name="read-named-jobs")
        try:
            jobs = await self._client.kept_alive(reading, self._times.heartbeat)
        finally:
            await ended(reading)
        changes = [job for job in jobs if self._wanted.selection.has(job)]
        past = [job for job in changes if job.cursor.epoch != now.epoch]
        live = [job for job in changes if job.cursor.epoch == now.epoch and job.cursor.rev <= now.rev]
        self._services.hub.show(self._wanted.project, [*past, *live])
        return Backlog.named([*past, *sorted(live, key=lambda job: job.cursor.rev)], now)

    async def _get_all(self) -> list[Broadcast]:
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def one(job_id: str) -> Broadcast | None:
            async with limit:
                return await self._get(job_id)

        jobs = await asyncio.gather(*map(one, sorted(self._wanted.selection.job_ids)))
        return [job for job in jobs if job is not None]

    async def _get(self, job_id: str) -> Broadcast | None:
        while True:
            try:
                stored = await self._services.watched.get(job_id, lambda project: project == self._wanted.project)
            except UnknownJob:
                return None
            except Unavailable:
                await self._stream.pause(self._times.poll)
            else:
                return Broadcast.of(stored)

    async def _after(self, rev: int) -> Backlog:
        """Return what changed after a rev."""
        reading = asyncio.create_task(self._read(rev), name="read-project-watch")
        try:
            return await self._client.kept_alive(reading, self._times.heartbeat)
        finally:
            await ended(reading)

    async def _read(self, rev: int) -> Backlog:
        """Read what changed after a rev, again and again while the store is away."""
        while True:
            with suppress(Unavailable):
                return await self._services.hub.backlogs.after(self._wanted.project, rev, is_whole=self._form.is_whole)
            await self._stream.pause(self._times.poll)

    async def _connect(self, first: Backlog | None, *, is_recovered: bool) -> None:
        if self._is_part:
            return
        data = {
            **self._wanted.echo,
            "project": self._wanted.project,
            "recovered": is_recovered,
            "cursor": None if first is None else _shown(first.project_cursor),
            "server_time": rfc3339(self._services.clock()),
        }
        await self._client.say("connected", data)


def _shown(cursor: Cursor) -> str | None:
    """Return a cursor as clients see it, None for the place in a project that has no jobs yet."""
    return str(cursor) if cursor.epoch else None


def _is_joined_by(heard: Cursor, first: Backlog) -> bool:
    """Whether what follows what a client has heard is all there: its place is one that we know, and not too old."""
    now = first.project_cursor
    return heard.epoch == now.epoch and first.cut <= heard.rev <= now.rev
