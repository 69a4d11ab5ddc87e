"""One line in, many watchers out: a change is encoded once for everybody who wants it in the same form.

While the hub is idle a change leaves at once. Telling many watchers takes time, and for as long again, 10 ms at most,
the hub leaves the event loop to others: what arrives meanwhile goes out together, the newest of each job, in one write
to each watcher. The more there is to tell, the more is joined.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress

from sidecar.core.errors import StoreUnavailable
from sidecar.hub.backlog import JOBS_A_READ, Backlogs
from sidecar.hub.broadcast import Broadcast, Store
from sidecar.hub.channel import Channel
from sidecar.hub.selection import Selection
from sidecar.hub.watcher import Watcher
from sidecar.ports import Broker, Cursor, Feed, Listening, LiveStore, Missed, Notice, Stored, Switch
from sidecar.tasks import unheeded

LONGEST_PAUSE_SECONDS = 0.01
QUICK_SECONDS = 0.0005
"""A round of telling that was quicker than this is followed by no pause."""

READS_AT_ONCE = 4
"""Whole jobs read at the same time: the connections to the store are for everybody."""

BEATS_A_SILENCE = 15
"""How often a watcher is looked at while nothing is said: a client that has gone is noticed by then."""

POLL_SECONDS = 1.0
"""How often SQL is asked what has changed, while it serves."""

END_OF_TIME = 2**62
"""A rev after which there is nothing: who asks for it learns where a project stands."""

CANCEL_AGAIN_SECONDS = 0.2

LATELY_JOBS = 400
LATELY_SECONDS = 15.0
"""How far is looked back when SQL begins to serve: longer than Redis may hang before it counts as away."""

WATCHERS_A_TURN = 250
"""Pinged, or told which store serves, before others get a turn of the event loop."""


class Hub:
    """Listens once per watched project, whatever the number of watchers."""

    def __init__(self, broker: Broker, live: LiveStore, feed: Feed, redis: Feed, switch: Switch) -> None:
        """Keep the ports; `run` and `beat` do the work.

        `live` and `feed` are answered by whichever store serves, `redis` by Redis alone: places in its order mean
        nothing elsewhere.
        """
        self._redis = redis
        self.backlogs = Backlogs(feed, self)
        self._broker = broker
        self._live = live
        self._feed = feed
        self._switch = switch
        self._store = Store.REDIS
        self._line: Listening | None = None
        self._channels: dict[str, Channel] = {}
        self._has_line = asyncio.Event()
        self._attending: set[Watcher] = set()

    @property
    def is_listening(self) -> bool:
        """Whether changes reach this process now, from Redis or from SQL."""
        return self._has_line.is_set()

    async def until_listening(self) -> None:
        """Wait until changes reach this process."""
        await self._has_line.wait()

    async def enter(self, project: str, selection: Selection, watcher: Watcher) -> None:
        """Let a watcher hear of jobs of a project, until it leaves.

        What changes after entering is heard, while the broker is away as soon as it is back. Whoever enters must
        leave, also after an entering that was interrupted.
        """
        self._channels.setdefault(project, Channel()).add(selection, watcher)
        watcher.turn(self._store)
        if self._line is not None:
            with suppress(StoreUnavailable):  # `run` will notice as well, come back and catch up
                await self._line.add(project)

    def attend(self, watcher: Watcher) -> None:
        """Let a watcher hear that we live and which store serves, and of no job, until it is dismissed."""
        self._attending.add(watcher)
        watcher.turn(self._store)

    def dismiss(self, watcher: Watcher) -> None:
        """Let such a watcher hear no more."""
        self._attending.discard(watcher)

    def show(self, project: str, changes: Sequence[Broadcast]) -> None:
        """Note what some watcher of a project is shown: nobody is told anything older when another store serves."""
        channel = self._channels.get(project)
        if channel is not None:
            for change in changes:
                channel.told.show(change)

    def is_ahead(self, project: str, changes: Sequence[Broadcast]) -> bool:
        """Whether watchers of a project were told more of some job than is read now, of another store or epoch."""
        channel = self._channels.get(project)
        return channel is not None and any(map(channel.told.lacks, changes))

    async def leave(self, project: str, selection: Selection, watcher: Watcher) -> None:
        """Let a watcher hear no more, if it ever entered; forget a project that nobody watches any more."""
        channel = self._channels.get(project)
        if channel is None or not channel.discard(selection, watcher) or not channel.is_empty:
            return
        del self._channels[project]
        if self._line is not None:
            with suppress(StoreUnavailable):
                await self._line.remove(project)

    async def run(self) -> None:
        """Carry changes to the watchers until the line breaks (`StoreUnavailable`); to be supervised."""
        while True:
            if self._switch.is_away:
                await _unless(self._switch.until_back(), self._follow_sql())
            else:
                await _unless(self._switch.until_away(), self._listen())

    async def _listen(self) -> None:
        """Carry what Redis tells."""
        clock = asyncio.get_running_loop().time
        async with self._broker.connect() as line:
            self._line = line
            try:
                await self._turn(Store.REDIS)
                self._has_line.set()
                await self._catch_up(line)
                async for notices in line:
                    began = clock()
                    await self._carry(notices)
                    spent = clock() - began
                    if spent > QUICK_SECONDS:
                        await asyncio.sleep(min(3 * spent, LONGEST_PAUSE_SECONDS))
            finally:
                self._line = None
                self._has_line.clear()

    async def _follow_sql(self) -> None:
        """Ask SQL now and then what has changed, and carry that; for ever, also while SQL is away too."""
        await self._turn(Store.SQL)
        self._has_line.set()
        places: dict[str, Cursor] = {}
        try:
            while True:
                for project, channel in list(self._channels.items()):
                    with suppress(StoreUnavailable):
                        places[project] = await self._poll(project, channel, places.get(project))
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self._has_line.clear()

    async def _turn(self, store: Store) -> None:
        """Tell everybody which store serves now."""
        if store is not self._store:
            self._store = store
            async for watcher in _in_turns(self._watchers()):
                watcher.turn(store)

    async def beat(self, silence_seconds: float) -> None:
        """Ping every watcher that was told nothing for so long, and notice those that have gone; for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(silence_seconds / BEATS_A_SILENCE)
            now = clock()
            async for watcher in _in_turns(self._watchers()):
                watcher.beat(now, silence_seconds)

    def _watchers(self) -> list[Watcher]:
        """Return all of them."""
        return [*self._attending, *(each for channel in self._channels.values() for each in channel.watchers())]

    async def _carry(self, notices: Iterable[Notice]) -> None:
        by_project: dict[str, list[Notice]] = {}
        for notice in notices:
            by_project.setdefault(notice.project, []).append(notice)
        for project, told in by_project.items():
            channel = self._channels.get(project)
            if channel is not None:
                await self._tell(project, channel, _newest(told, channel.skip))

    async def _tell(self, project: str, channel: Channel, notices: list[Notice]) -> None:
        """Tell the watchers of a project of changes, those who want whole jobs as they are now."""
        rows = [Broadcast(n.job_id, n.cursor, n.version, is_end=n.is_end, row=n.row) for n in notices]
        wanted = list(dict.fromkeys(row.job_id for row in rows if channel.is_wanted_whole(row.job_id)))
        jobs: dict[str, Stored | None] = {}
        for start in range(0, len(wanted), READS_AT_ONCE):
            some = wanted[start : start + READS_AT_ONCE]
            jobs |= zip(some, await asyncio.gather(*(self._get(project, job_id) for job_id in some)), strict=True)
        await channel.tell(rows, jobs)
        channel.place = rows[-1].cursor

    async def _catch_up(self, line: Listening) -> None:
        """Tell everybody what changed while nobody listened.

        All are listened to first: nothing is taken from the line before the end, and one that is full confirms nothing.
        """
        channels = list(self._channels.items())
        await asyncio.gather(*(line.add(project) for project, _ in channels))
        for project, channel in channels:
            for watcher in channel.watchers():
                watcher.has_missed = True
            now = await self._redis.since(project, END_OF_TIME, 1)
            start = _start(channel, now)
            if start is None:
                continue  # all are about to read for themselves
            if start < now.cut:  # something may have left Redis unheard
                for watcher in [each for each in channel.watchers() if not each.ends_with_job]:
                    watcher.end("error")
            is_cut = start < now.cut or not all(_is_before(each, now.cursor) for each in _places(channel))
            channel.place = await _tell_since(self._redis, project, channel, start)
            if is_cut:
                await self._look_at_jobs(project, channel)

    async def _get(self, project: str, job_id: str) -> Stored | None:
        """Return a job, None unless it is of the project: its id may belong to another one by now."""
        stored = await self._live.get(job_id)
        return stored if stored is not None and stored.view.job.project == project else None

    async def _look_at_jobs(self, project: str, channel: Channel) -> None:
        """Tell those who watch one job that it is gone, if it is: the order of changes may no longer say so."""
        for job_id in channel.job_ids:
            stored = await self._get(project, job_id)
            change = Broadcast(job_id, NOWHERE) if stored is None else Broadcast.of(stored)
            await channel.tell_whole([change])

    async def _poll(self, project: str, channel: Channel, place: Cursor | None) -> Cursor:
        """Tell what SQL has taken after a place; return where it stands."""
        if place is None:
            now = await self._feed.since(project, END_OF_TIME, 1)
            place = Cursor(now.cursor.epoch, now.base)
            await self._tell_lately(project, channel, place)
        return await _tell_since(self._feed, project, channel, place.rev)

    async def _tell_lately(self, project: str, channel: Channel, place: Cursor) -> None:
        """Tell what Redis took in its last moments and SQL had recorded by then, but the line did not come to tell."""
        missed = await self._feed.since(project, max(0, place.rev - LATELY_JOBS), LATELY_JOBS)
        since = time.time() - LATELY_SECONDS
        changes = [Broadcast.of(each) for each in missed.changes if each.cursor.rev <= place.rev]
        await channel.tell_whole([change for change in changes if (change.changed_at or 0.0) >= since])


async def _in_turns(watchers: Sequence[Watcher]) -> AsyncIterator[Watcher]:
    """Yield watchers, some at a time: what is written to 10,000 of them at once keeps everybody else waiting."""
    for number, watcher in enumerate(watchers, 1):
        yield watcher
        if number % WATCHERS_A_TURN == 0:
            await asyncio.sleep(0)


async def _tell_since(feed: Feed, project: str, channel: Channel, rev: int) -> Cursor:
    """Tell what changed after a rev and is news; return where the project stands."""
    while True:
        missed = await feed.since(project, rev, JOBS_A_READ)
        changes = [Broadcast.of(each) for each in missed.changes]
        await channel.tell_whole(changes)
        if not missed.is_more:
            return missed.cursor
        rev = changes[-1].cursor.rev


NOWHERE = Cursor("unknown", 0)
"""The place of a job that is not there any more; nobody knows when it went."""


def _places(channel: Channel) -> list[Cursor]:
    """Return up to where the watchers of a project have seen everything: none if nobody has seen anything."""
    return list(channel.floors()) if channel.place is None else [channel.place]


def _start(channel: Channel, now: Missed) -> int | None:
    """Return the rev after which the watchers of a project have yet to be told, None if they read for themselves."""
    places = _places(channel)
    least = min((place.rev for place in places), default=None)
    if least is None or all(_is_before(place, now.cursor) for place in places):
        return least
    return 0 if channel.place is None else min(least, now.base)


def _is_before(place: Cursor, now: Cursor) -> bool:
    """Whether a place is one that led to where a project stands now."""
    return place.epoch == now.epoch and place.rev <= now.rev


async def _unless(turned: Coroutine[None, None, None], work: Coroutine[None, None, None]) -> None:
    """Work until it turns out otherwise; raises what the work raises."""
    tasks = [asyncio.create_task(turned, name="hub-switch"), asyncio.create_task(work, name="hub-work")]
    for task in tasks:
        task.add_done_callback(unheeded)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[1].done():
            tasks[1].result()
    finally:
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_AGAIN_SECONDS)


def _newest(notices: list[Notice], skip: Callable[[str], None]) -> list[Notice]:
    """Return the last notice of each job and every one of an end, in ascending rev; `skip` hears of the others."""
    newest: dict[tuple[str, int], Notice] = {}
    for notice in notices:
        if newest.pop((notice.job_id, 0), None) is not None:
            skip(notice.job_id)
        newest[notice.job_id, notice.cursor.rev if notice.is_end else 0] = notice
    return list(newest.values())
