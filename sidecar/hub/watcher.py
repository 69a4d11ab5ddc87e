"""One client that is told of changes: written to directly, or by way of a mailbox while it does not keep up."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from sidecar.hub.broadcast import Broadcast, Form, Store
from sidecar.hub.traffic import Traffic
from sidecar.ports import Cursor
from sidecar.tasks import ended

MAILBOX_BYTES = 256 * 1024
"""What may wait for one watcher; beyond it the watcher is closed as too slow."""

CLIENT_BYTES = 4 * MAILBOX_BYTES
"""The same for all watchers of one client together."""


class Outlet(Protocol):
    """Where a watcher's bytes go: one client's connection."""

    def write(self, data: bytes) -> bool:
        """Send what can be sent without waiting and keep the rest; false if too much is kept already."""
        ...

    async def drain(self) -> None:
        """Wait until the client has taken what is kept. Raises `TimeoutError` when it takes nothing for too long."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone."""
        ...

    @property
    def traffic(self) -> Traffic:
        """Where what is sent over the transport is counted."""
        ...

    @property
    def written_at(self) -> float:
        """When anything was last written, by this watcher or another one of the client (the loop's clock)."""
        ...

    held_bytes: int
    """What waits in the mailboxes of the client's watchers, who keep this up to date."""


class EndedError(Exception):
    """A watcher is over; `reason` is done, client, slow_consumer, lifetime, expired, shutdown or error."""

    def __init__(self, reason: str) -> None:
        """Keep the reason for the metrics."""
        super().__init__(reason)
        self.reason = reason


class Watcher:
    """A client, and what it has yet to be told.

    Until it has had its snapshot, and while it does not keep up, changes wait in a mailbox: the newest state of each
    job and every end of an attempt, in ascending rev. A newer state takes the place of an older one and goes to the
    end; an end gives way to nothing. What would not fit any more ends the watcher as `slow_consumer`.
    """

    __slots__ = (
        *("_bytes", "_ended", "_floor", "_is_full", "_is_past_floor", "_mailbox", "_outlet", "_store", "_woken"),
        *("_store_told", "_version_told"),
        *("ends_with_job", "flock", "form", "has_missed", "traffic"),
    )

    def __init__(self, form: Form, outlet: Outlet, *, ends_with_job: bool) -> None:
        """Begin with an open mailbox. `ends_with_job`: the first end of an attempt is the watcher's too.

        `has_missed` is set when nobody listened for a while: what is being read as a snapshot may lack something.
        `flock` are those with which it is followed, None if it has a task of its own.
        """
        self.form = form
        self.ends_with_job = ends_with_job
        self.has_missed = False
        self.flock: Flock | None = None
        self._outlet = outlet
        self.traffic = outlet.traffic
        self._mailbox: dict[tuple[str, int], Broadcast] | None = {}
        self._bytes = 0
        self._floor: tuple[Cursor, int] | None = None
        self._is_past_floor = False
        self._is_full = False
        self._ended: str | None = None
        self._store = self._store_told = Store.REDIS
        self._version_told = -1
        self._woken: asyncio.Future[None] | None = None

    @property
    def floor(self) -> Cursor | None:
        """Where the snapshot stood that the client was given, None before it was."""
        return None if self._floor is None else self._floor[0]

    def first_end(self, epoch: str) -> int | None:
        """Return the rev of the first end of an attempt that waits to be told, None if none does."""
        waiting = () if self._mailbox is None else self._mailbox.values()
        return min((each.cursor.rev for each in waiting if each.is_end and each.cursor.epoch == epoch), default=None)

    def saw(self, cursor: Cursor, version: int = -1) -> None:
        """Note the snapshot that the client is given: what is not newer is not told.

        `version` is that of the one job that is watched; it counts when the cursors are of different epochs.
        """
        self._floor = (cursor, version)
        for change in self._emptied({}):
            self._put(change)

    def tell(self, data: bytes, changes: Sequence[Broadcast], *, are_repeats: bool = False) -> None:
        """Tell the client of changes, in ascending rev, of which `data` is the frame.

        Whoever has ended is told nothing more; `are_repeats` if some of them some clients have been shown already.
        """
        if self._ended is not None:
            return
        if self._mailbox is not None:
            for change in changes:
                self._put(change)
        elif self._is_past_floor and not are_repeats and self._is_plain(changes):
            self._write(data, changes)
        elif news := self._mine([change for change in changes if not self._has_seen(change)]):
            self._is_past_floor = True
            self._write(self.form.framed(news), news)

    def turn(self, store: Store) -> None:
        """Tell the client which store serves now, as soon as it can be told anything."""
        self._store = store
        if self._mailbox is None and self._ended is None:
            self._tell_store()

    def beat(self, now: float, silence_seconds: float) -> None:
        """Notice that the client has gone; ping it if nothing was said for so long."""
        if self._outlet.is_closed:
            self.end("client")
        elif self._mailbox is None and now - self._outlet.written_at >= silence_seconds:
            self._write(self.form.ping, ())

    def end(self, reason: str) -> None:
        """End the watcher; the first reason counts."""
        if self._ended is None:
            self._ended = reason
            self._emptied(None if self._mailbox is None else {})
            self._wake()

    async def follow(self) -> None:
        """Let everything be told from now on, until the watcher ends: raises `EndedError`."""
        while True:
            await self.keep_up()
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken

    async def keep_up(self) -> None:
        """Tell what waits, as fast as the client takes it, until nothing does. Raises `EndedError`."""
        while self._ended is None or (self._is_full and self._ended == "done"):
            if self._is_full:
                await self._drained()
            elif self._mailbox is not None:
                waiting = self._emptied(None)
                self._tell_store()
                self._release(waiting)
            else:
                return
        raise EndedError(self._ended)

    def _is_plain(self, changes: Sequence[Broadcast]) -> bool:
        """Whether changes are to be told as they are, to whoever has heard all that came before."""
        return not self.ends_with_job or (len(changes) == 1 and changes[0].version != self._version_told)

    def _has_seen(self, change: Broadcast) -> bool:
        if self.ends_with_job and change.version == self._version_told:  # two changes may be read as the same whole job
            return True
        if self._floor is None:
            return False
        cursor, version = self._floor
        if change.repeats is not None and change.repeats.epoch == cursor.epoch and change.repeats.rev <= cursor.rev:
            return True
        if cursor.epoch == change.cursor.epoch:
            return change.cursor.rev <= cursor.rev
        return not change.is_gone and change.version <= version

    def _put(self, change: Broadcast) -> None:
        if self._mailbox is None or self._has_seen(change):
            return
        replaced = self._mailbox.pop((change.job_id, 0), None)
        if replaced is not None:
            self.traffic.coalesced += 1
        self._mailbox[change.job_id, change.cursor.rev if change.is_end else 0] = change
        grown = self._size(change) - (0 if replaced is None else self._size(replaced))
        self._bytes += grown
        self._outlet.held_bytes += grown
        if self._bytes > MAILBOX_BYTES or self._outlet.held_bytes > CLIENT_BYTES:
            self.end("slow_consumer")

    def _emptied(self, mailbox: dict[tuple[str, int], Broadcast] | None) -> list[Broadcast]:
        """Return what waits, and let changes wait from now on in another mailbox, or not (None)."""
        waiting = [] if self._mailbox is None else list(self._mailbox.values())
        self._outlet.held_bytes -= self._bytes
        self._mailbox, self._bytes = mailbox, 0
        return waiting

    def _release(self, waiting: list[Broadcast]) -> None:
        """Write what waited."""
        if told := self._mine(waiting):
            self._is_past_floor = True
            self._write(self.form.framed(told), told)
            if (changed_at := told[0].changed_at) is not None:
                self.traffic.delivered(time.time() - changed_at)

    def _mine(self, changes: list[Broadcast]) -> list[Broadcast]:
        """Return changes up to the end that is also ours."""
        end = next((number for number, change in enumerate(changes, 1) if change.is_end), None)
        return changes[:end] if self.ends_with_job else changes

    def _tell_store(self) -> None:
        if self._store is not self._store_told:
            self._store_told = self._store
            if self._store in self.form.turned:
                self._write(self.form.turned[self._store], ())

    def _write(self, data: bytes, changes: Sequence[Broadcast]) -> None:
        self.traffic.sent += len(changes)
        if self.ends_with_job and changes:
            self._version_told = changes[-1].version
        if not self._outlet.write(data):
            self._is_full, self._mailbox = True, {}
            self._wake()
        if self.ends_with_job and changes and changes[-1].is_end:
            self.end("done")

    async def _drained(self) -> None:
        """Wait until the client has taken what was written, or nobody waits for it any more."""
        self._woken = asyncio.get_running_loop().create_future()
        draining = asyncio.ensure_future(self._outlet.drain())
        try:
            while not draining.done() and self._ended in (None, "done"):
                await asyncio.wait({draining, self._woken}, return_when=asyncio.FIRST_COMPLETED)
                self._woken = asyncio.get_running_loop().create_future()
            if draining.done():
                draining.result()
        except TimeoutError:
            self._ended = "slow_consumer"
        finally:
            await ended(draining)
        self._is_full = False

    def _size(self, change: Broadcast) -> int:
        return len(change.encoded(self.form.encode))

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
        if self.flock is not None:
            self.flock.call(self)


class Flock:
    """Many watchers of one client, all of which one task follows."""

    def __init__(self) -> None:
        """Begin with none."""
        self._calling: dict[Watcher, None] = {}
        self._called = asyncio.Event()

    def add(self, watcher: Watcher) -> None:
        """Let one be followed too."""
        watcher.flock = self
        self.call(watcher)

    def call(self, watcher: Watcher) -> None:
        """Look after one that has something to tell, or has ended."""
        self._calling[watcher] = None
        self._called.set()

    async def follow(self) -> None:
        """Let everything be told by all of them, until one ends: raises `EndedError`."""
        while True:
            await self._called.wait()
            self._called.clear()
            while self._calling:
                watcher, _ = self._calling.popitem()
                await watcher.keep_up()
