"""Follows Redis: a change is heard once, and encoded once for everybody who wants it in the same form.

While the hub is idle a change leaves at once. Telling many watchers takes time, and for as long again, 10 ms at most,
the hub leaves the event loop to others: what arrives meanwhile goes out together, the newest of each job, in one write
to each watcher. The more there is to tell, the more is joined.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress

from sidecar.core.errors import StoreUnavailable, Unreadable
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.catching_up import END_OF_TIME, is_before, places_of, start_of, tell_since
from sidecar.hub.channel import Channel
from sidecar.ports import Broker, Cursor, Feed, Listening, LiveStore, Notice, Stored

LONGEST_PAUSE_SECONDS = 0.01
QUICK_SECONDS = 0.0005
"""A round of telling that was quicker than this is followed by no pause."""

READS_AT_ONCE = 4
"""Whole jobs read at the same time: the connections to the store are for everybody."""

NOWHERE = Cursor("unknown", 0)
"""The place of a job that is not there any more; nobody knows when it went."""


class Listener:
    """Listens once per watched project, whatever the number of watchers."""

    def __init__(self, broker: Broker, live: LiveStore, redis: Feed, channels: Mapping[str, Channel]) -> None:
        """Keep the ports, and the channels of the hub by their projects."""
        self._broker = broker
        self._live = live
        self._redis = redis
        self._channels = channels
        self._line: Listening | None = None

    async def add(self, project: str) -> None:
        """Listen to a project; without a line nothing is to be done, as the next one is for all of them."""
        if self._line is not None:
            with suppress(StoreUnavailable):  # `follow` will notice as well; the next line catches up
                await self._line.add(project)

    async def remove(self, project: str) -> None:
        """Listen to a project no more."""
        if self._line is not None:
            with suppress(StoreUnavailable):
                await self._line.remove(project)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Listening]:
        """Have a line to the broker while inside; raises `StoreUnavailable`."""
        async with self._broker.connect() as line:
            self._line = line
            try:
                yield line
            finally:
                self._line = None

    async def follow(self, line: Listening) -> None:
        """Tell what was missed, then carry what the line tells; raises `StoreUnavailable` when it breaks."""
        clock = asyncio.get_running_loop().time
        await self._catch_up(line)
        async for notices in line:
            began = clock()
            await self._carry(notices)
            spent = clock() - began
            if spent > QUICK_SECONDS:
                await asyncio.sleep(min(3 * spent, LONGEST_PAUSE_SECONDS))

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
            start = start_of(channel, now)
            if start is None:
                continue  # all are about to read for themselves
            if start < now.cut:  # something may have left Redis unheard
                for watcher in [each for each in channel.watchers() if not each.ends_with_job]:
                    watcher.end("error")
            is_cut = start < now.cut or not all(is_before(each, now.cursor) for each in places_of(channel))
            channel.place = await tell_since(self._redis, project, channel, start)
            if is_cut:
                await self._look_at_jobs(project, channel)

    async def _look_at_jobs(self, project: str, channel: Channel) -> None:
        """Tell those who watch one job that it is gone, if it is: the order of changes may no longer say so."""
        for job_id in channel.job_ids:
            stored = await self._get(project, job_id)
            change = Broadcast(job_id, NOWHERE) if stored is None else Broadcast.of(stored)
            await channel.tell_whole([change])

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

    async def _get(self, project: str, job_id: str) -> Stored | None:
        """Return a job, None unless it is of the project: its id may belong to another one by now.

        None too of one that waits for a release that can read it: the others are told.
        """
        try:
            stored = await self._live.get(job_id)
        except Unreadable:
            return None
        return stored if stored is not None and stored.view.job.project == project else None


def _newest(notices: list[Notice], skip: Callable[[str], None]) -> list[Notice]:
    """Return the last notice of each job and every one of an end, in ascending rev; `skip` hears of the others."""
    newest: dict[tuple[str, int], Notice] = {}
    for notice in notices:
        if newest.pop((notice.job_id, 0), None) is not None:
            skip(notice.job_id)
        newest[notice.job_id, notice.cursor.rev if notice.is_end else 0] = notice
    return list(newest.values())
