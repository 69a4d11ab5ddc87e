"""Long-poll: a request that is answered when a job has changed."""

import asyncio
from math import inf

from aiohttp import web

from sidecar.http.problem import Overloaded
from sidecar.http.services import PRINCIPAL, SERVICES, Services
from sidecar.http.streams import FullError, Stream
from sidecar.http.watch.job import WantedJob
from sidecar.hub.broadcast import Form
from sidecar.hub.selection import only
from sidecar.hub.traffic import Traffic
from sidecar.hub.watcher import Watcher
from sidecar.ports import Stored
from sidecar.tasks import ended

RING = Form(lambda _: b"", lambda _: b"!", b"", is_whole=False)
"""What the bell is told: only that there is something."""


class Bell:
    """An `Outlet` that rings when there is something to tell."""

    def __init__(self, request: web.Request) -> None:
        """Keep the request that waits."""
        self._request = request
        self.rung = asyncio.Event()
        self.written_at = inf
        self.held_bytes = 0
        self.traffic = Traffic()

    def write(self, data: bytes) -> bool:
        """Ring; see `Outlet`."""
        if data:
            self.rung.set()
        return True

    async def drain(self) -> None:
        """Nothing is ever kept; see `Outlet`."""

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone."""
        return self._request.transport is None or self._request.transport.is_closing()


async def newer(request: web.Request, wanted: WantedJob, wait_seconds: float) -> Stored | None:
    """Return the job as soon as it is newer than what the client has heard; None if that takes too long.

    At once if what it has heard is no place of ours. Raises `UnknownJob`, `Overloaded` or an `Unavailable`.
    """
    services = request.app[SERVICES]
    stored = await services.tracker.get(wanted.job_id, wanted.may)
    rev = await wanted.heard_rev(services, stored)
    if rev is None or rev < stored.cursor.rev:
        return stored
    if not wait_seconds:
        return None
    try:
        with services.streams.opened(request[PRINCIPAL], request.remote or "") as stream:
            return await _waited(services, wanted, stored, (stream, Bell(request)), wait_seconds)
    except FullError:
        raise Overloaded(is_leaving=services.streams.is_draining) from None


async def _waited(
    services: Services, wanted: WantedJob, known: Stored, client: tuple[Stream, Bell], seconds: float
) -> Stored | None:
    """Listen first, then read, then wait: what changes in between is heard."""
    stream, bell = client
    watcher, selection, project = Watcher(RING, bell, ends_with_job=False), only(wanted.job_id), known.view.job.project
    watcher.saw(known.cursor, known.view.job.version)
    stream.on_end(watcher.end)
    ringing = asyncio.create_task(bell.rung.wait(), name="long-poll-bell")
    following = asyncio.create_task(watcher.follow(), name="long-poll-watcher")
    try:
        await services.hub.enter(project, selection, watcher)
        stored = await services.tracker.get(wanted.job_id, wanted.may)
        if stored.cursor != known.cursor:
            return stored
        await asyncio.wait({ringing, following}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return await services.tracker.get(wanted.job_id, wanted.may) if bell.rung.is_set() else None
    finally:
        await ended(ringing)
        await ended(following)
        await services.hub.leave(project, selection, watcher)
