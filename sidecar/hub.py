"""One line in, many watchers out: each change is fetched and encoded once and waits for each in a mailbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import Status
from sidecar.core.view import View
from sidecar.ports import Broker, Cursor, Listening, LiveStore, Notice, Stored

MAILBOX_BYTES = 256 * 1024
"""What may wait for one watcher; beyond it the watcher is closed as too slow."""


class Broadcast:
    """One change on its way to the watchers; each form of it is encoded once, by whoever asks first.

    `view` is None for a job that is gone. It may be newer than `cursor`: a client that resumes there misses nothing.
    """

    __slots__ = ("_encoded", "cursor", "job_id", "view")

    def __init__(self, job_id: str, cursor: Cursor, view: View | None) -> None:
        """Keep the parts; nothing is encoded yet."""
        self.job_id = job_id
        self.cursor = cursor
        self.view = view
        self._encoded: dict[Encode, bytes] = {}

    @property
    def is_end(self) -> bool:
        """Whether this ends the attempt, or the job altogether; a lost job may come back and does not end."""
        return self.view is None or (self.view.is_finished and self.view.status is not Status.LOST)

    def encoded(self, encode: "Encode") -> bytes:
        """Return the bytes in the form of `encode`."""
        known = self._encoded.get(encode)
        if known is None:
            known = self._encoded[encode] = encode(self)
        return known


Encode = Callable[[Broadcast], bytes]


class EndedError(Exception):
    """The hub let go of a watcher; `reason` is slow_consumer or shutdown."""

    def __init__(self, reason: str) -> None:
        """Keep the reason for the metrics."""
        super().__init__(reason)
        self.reason = reason


class Watcher:
    """A mailbox for one stream: the newest state of its job and every end of an attempt, in ascending rev.

    A newer state takes the place of an older one and goes to the end of the queue; an end gives way to nothing.
    What would not fit any more ends the stream as `slow_consumer`.
    """

    def __init__(self, encode: Encode) -> None:
        """Prepare an empty mailbox."""
        self._encode = encode
        self._waiting: dict[int | None, Broadcast] = {}
        self._seen_version = -1
        self._arrived = asyncio.Event()
        self._ended: str | None = None

    def has_seen(self, version: int) -> bool:
        """Whether this version, or a newer one, has been put in or given as a snapshot."""
        return version <= self._seen_version

    def put(self, broadcast: Broadcast) -> None:
        """Take in a change unless something as new has been seen."""
        key = None
        if broadcast.view is not None:
            if self.has_seen(broadcast.view.job.version):
                return
            self._seen_version = broadcast.view.job.version
            key = broadcast.view.job.attempt.number if broadcast.is_end else None
        self._waiting.pop(None, None)
        self._waiting[key] = broadcast
        if sum(len(waiting.encoded(self._encode)) for waiting in self._waiting.values()) > MAILBOX_BYTES:
            self.end("slow_consumer")
        self._arrived.set()

    def saw(self, version: int) -> None:
        """Forget what is not newer than a snapshot of this version, which the stream has been given."""
        self._seen_version = max(self._seen_version, version)
        for key, waiting in list(self._waiting.items()):
            if waiting.view is not None and waiting.view.job.version <= version:
                del self._waiting[key]

    def end(self, reason: str) -> None:
        """Let the stream end when it next looks here."""
        self._ended = reason
        self._waiting.clear()
        self._arrived.set()

    async def take(self, timeout_seconds: float) -> list[Broadcast]:
        """Return what has arrived, oldest first; empty after the time-out. Raises `EndedError`."""
        if not self._arrived.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout_seconds)
        if self._ended is not None:
            raise EndedError(self._ended)
        self._arrived.clear()
        taken, self._waiting = list(self._waiting.values()), {}
        return taken


class Hub:
    """Listens once per watched project, whatever the number of watchers."""

    def __init__(self, broker: Broker, live: LiveStore) -> None:
        """Keep the ports; `run` does the work."""
        self._broker = broker
        self._live = live
        self._line: Listening | None = None
        self._watchers: dict[str, dict[str, set[Watcher]]] = {}
        self._has_line = asyncio.Event()
        self._is_closing = False

    @property
    def is_listening(self) -> bool:
        """Whether changes reach this process now."""
        return self._line is not None

    async def until_listening(self) -> None:
        """Wait until changes reach this process."""
        await self._has_line.wait()

    @asynccontextmanager
    async def watch(self, project: str, job_id: str, encode: Encode) -> AsyncIterator[Watcher]:
        """Watch one job. What changes after entering is heard, while the broker is away as soon as it is back."""
        watcher = Watcher(encode)
        self._watchers.setdefault(project, {}).setdefault(job_id, set()).add(watcher)
        if self._is_closing:
            watcher.end("shutdown")
        try:
            if self._line is not None:
                with suppress(StoreUnavailable):  # `run` will notice as well, come back and catch up
                    await self._line.add(project)
            yield watcher
        finally:
            await self._leave(project, job_id, watcher)

    async def run(self) -> None:
        """Carry changes to the watchers until the line breaks (`StoreUnavailable`); to be supervised."""
        async with self._broker.connect() as line:
            self._line = line
            self._has_line.set()
            try:
                await self._catch_up(line)
                async for notice in line:
                    await self._carry(notice)
            finally:
                self._line = None
                self._has_line.clear()

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._is_closing = True
        for by_job in self._watchers.values():
            for watchers in by_job.values():
                for watcher in watchers:
                    watcher.end("shutdown")

    async def _catch_up(self, line: Listening) -> None:
        for project in list(self._watchers):
            await line.add(project)
            for job_id in list(self._watchers.get(project, ())):
                self._deliver(project, await self._live.get(job_id))

    async def _carry(self, notice: Notice) -> None:
        watchers = self._watchers.get(notice.project, {}).get(notice.job_id, set())
        if notice.row is None:
            for watcher in list(watchers):
                watcher.put(Broadcast(notice.job_id, notice.cursor, None))
        elif not all(watcher.has_seen(notice.version) for watcher in watchers):
            stored = await self._live.get(notice.job_id)
            self._deliver(notice.project, stored and Stored(stored.view, notice.cursor))

    def _deliver(self, project: str, stored: Stored | None) -> None:
        if stored is None:
            return  # deleted meanwhile: word of that follows
        job_id = stored.view.job.job_id
        broadcast = Broadcast(job_id, stored.cursor, stored.view)
        for watcher in list(self._watchers.get(project, {}).get(job_id, ())):
            watcher.put(broadcast)

    async def _leave(self, project: str, job_id: str, watcher: Watcher) -> None:
        by_job = self._watchers[project]
        by_job[job_id].discard(watcher)
        if not by_job[job_id]:
            del by_job[job_id]
        if not by_job:
            del self._watchers[project]
            if self._line is not None:
                with suppress(StoreUnavailable):
                    await self._line.remove(project)
