"""One job, watched: what it is, then what changes, until it ends."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from sidecar.core.document import rfc3339
from sidecar.core.errors import StoreUnavailable, Unavailable, UnknownJob
from sidecar.core.job import Json
from sidecar.http import queries
from sidecar.http.services import Services
from sidecar.http.streams import Stream
from sidecar.http.watch import events
from sidecar.http.watch.client import Client
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.selection import only
from sidecar.hub.watcher import Watcher
from sidecar.ports import Query, Stored
from sidecar.tasks import ended
from sidecar.tracker import MayUse

AGAIN_SECONDS = 5.0
"""How long a store is looked at again that lacks what was told before it served; then what it has is all there is."""

_NOTHING: Mapping[str, Json] = MappingProxyType({})


def nothing() -> Mapping[str, Json]:
    """Return what is said back to who gave nothing to be said back."""
    return _NOTHING


@dataclass(frozen=True, slots=True)
class WantedJob:
    """What a client wants to watch, and the last event that it has heard; `echo` is said back to it."""

    job_id: str
    may: MayUse
    view: str
    heard: str
    echo: Mapping[str, Json] = field(default_factory=nothing)

    async def is_over(self, services: Services) -> bool:
        """Whether the client has heard the end already; false when the store does not say in time."""
        if not self.heard:
            return False
        try:
            async with asyncio.timeout(services.times.check):
                stored = await services.watched.get(self.job_id, self.may)
                rev = await self.heard_rev(services, stored)
        except UnknownJob:
            return events.has_heard_gone(self.heard)
        except (TimeoutError, Unavailable):
            return False
        return stored.view.is_over and rev is not None and rev >= stored.cursor.rev

    async def heard_rev(self, services: Services, stored: Stored) -> int | None:
        """Return the rev up to which the client has heard; None unless it is of this epoch, and not ahead of us."""
        cursor, project = queries.cursor(self.heard), stored.view.job.project
        if cursor is None or cursor.epoch != stored.cursor.epoch:
            return None
        if cursor.rev <= stored.cursor.rev:
            return cursor.rev
        page = await services.watched.page(Query(may_see=self.may, project=project, limit=1))
        is_ours = page.cursor is not None and page.cursor.epoch == cursor.epoch and cursor.rev <= page.cursor.rev
        return cursor.rev if is_ours else None


@dataclass(frozen=True, slots=True)
class Found:
    """A job, and whether that is news to the client or joins on to what it has heard."""

    stored: Stored
    is_recovered: bool
    is_news: bool


def result_of(heard: object, *, is_recovered: bool) -> str:
    """Return how a watch began, as it is counted."""
    if is_recovered:
        return "replayed"
    return "unknown_cursor" if heard else "snapshot"


class JobWatch:
    """A client that watches one job."""

    __slots__ = (
        "_client",
        "_has_asked",
        "_looks",
        "_project",
        "_selection",
        "_services",
        "_stream",
        "_times",
        "_wanted",
    )

    def __init__(self, services: Services, wanted: WantedJob, client: Client, stream: Stream) -> None:
        """Keep the parts; `run` does the work."""
        self._services = services
        self._times = services.times
        self._wanted = wanted
        self._client = client
        self._stream = stream
        self._selection = only(wanted.job_id)
        self._has_asked = asyncio.Event()
        self._project: str | None = None
        self._looks = 0

    async def run(self) -> None:
        """Say what is, then what changes, until the job ends; `EndedError` or `ConnectionError` end it before."""
        watcher = Watcher(self._client.form(self._wanted.view), self._client, ends_with_job=True)
        self._stream.on_end(watcher.end)
        try:
            found = await self._opened(watcher)
            if found is None:
                await self._tell(Broadcast(self._wanted.job_id, events.UNKNOWN))
            elif not await self._is_all(found):
                await watcher.follow()
        finally:
            watcher.end("client")
            self._stream.forget(watcher.end)
            await self._leave(watcher)

    async def _opened(self, watcher: Watcher) -> Found | None:
        """Say `connected`, and return what was found in the end, None if nothing is."""
        finding = asyncio.create_task(self._find(watcher), name="find-watched-job")
        try:
            await self._connect(finding)
            return await self._client.kept_alive(finding, self._times.heartbeat)
        finally:
            await ended(finding)

    async def _connect(self, finding: "asyncio.Task[Found | None]") -> None:
        """Say `connected`, with what the store has answered by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.store):
                await self._has_asked.wait()
        found = finding.result() if finding.done() else None
        data = {
            **self._wanted.echo,
            "job_id": self._wanted.job_id,
            "recovered": found is not None and found.is_recovered,
            "cursor": None if found is None else str(found.stored.cursor),
            "server_time": rfc3339(self._services.clock()),
        }
        await self._client.say("connected", data)
        is_recovered = found is not None and found.is_recovered
        self._services.metrics.stream_resumed(result_of(self._wanted.heard, is_recovered=is_recovered))

    async def _is_all(self, found: Found) -> bool:
        """Tell the job as it is, if that is news or its end; true if nothing can follow."""
        snapshot = Broadcast.of(found.stored)
        if found.is_news or snapshot.is_end:
            await self._tell(snapshot)
        return snapshot.is_end

    async def _tell(self, change: Broadcast) -> None:
        await self._client.pass_on(self._client.form(self._wanted.view).framed([change]))

    async def _find(self, watcher: Watcher) -> Found | None:
        """Look for the job until it is there; None once it has been unknown for too long."""
        unknown_seconds = 0.0
        while unknown_seconds < self._times.unknown:
            try:
                return await self._look(watcher)
            except UnknownJob:
                unknown_seconds += self._times.poll
            except Unavailable:
                unknown_seconds = 0.0  # a store that is away says nothing about the job
            finally:
                self._has_asked.set()
            await self._stream.pause(self._times.poll)
        return None

    async def _look(self, watcher: Watcher) -> Found:
        """Listen first, then read: what changes in between is heard, and what was read is not told again."""
        services, wanted = self._services, self._wanted
        known = await services.watched.get(wanted.job_id, wanted.may)
        await self._enter(known.view.job.project, watcher)
        stored = await services.watched.get(wanted.job_id, wanted.may)
        self._check_age(stored)
        watcher.saw(stored.cursor, stored.view.job.version)
        services.hub.show(stored.view.job.project, [Broadcast.of(stored)])
        heard = await wanted.heard_rev(services, stored)
        is_news = heard is None or heard < stored.cursor.rev
        return Found(stored, is_recovered=heard is not None, is_news=is_news)

    def _check_age(self, stored: Stored) -> None:
        """Raise `StoreUnavailable`, for a while, if watchers were told more of the job than the store has now."""
        self._looks += 1
        is_patient = self._looks * self._times.poll < AGAIN_SECONDS
        if is_patient and self._services.hub.is_ahead(stored.view.job.project, [Broadcast.of(stored)]):
            raise StoreUnavailable("the store that serves now has yet to come as far as was told")

    async def _enter(self, project: str, watcher: Watcher) -> None:
        """Listen to the job; one that was deleted may have come back in another project."""
        if self._project != project:
            await self._leave(watcher)
            self._project = project
            await self._services.hub.enter(project, self._selection, watcher)

    async def _leave(self, watcher: Watcher) -> None:
        if self._project is not None:
            await self._services.hub.leave(self._project, self._selection, watcher)
