"""One line in, many watchers out: a change is encoded once for everybody who wants it in the same form.

While the hub is idle a change leaves at once. Telling many watchers takes time, and for as long again, 10 ms at most,
the hub leaves the event loop to others: what arrives meanwhile goes out together, the newest of each job, in one write
to each watcher. The more there is to tell, the more is joined.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from sidecar.backlog import Backlogs
from sidecar.core.errors import StoreUnavailable
from sidecar.ports import Broker, Cursor, Feed, Listening, LiveStore, Notice, Stored
from sidecar.watcher import Broadcast, Form, Watcher

LONGEST_PAUSE_SECONDS = 0.01
QUICK_SECONDS = 0.0005
"""A round of telling that was quicker than this is followed by no pause."""

WATCHERS_A_TURN = 1_000
"""Watchers written to before others get a turn of the event loop."""

READS_AT_ONCE = 4
"""Whole jobs read at the same time: the connections to the store are for everybody."""

BEATS_A_SILENCE = 15
"""How often a watcher is looked at while nothing is said: a client that has gone is noticed by then."""


class Topic:
    """Who wants to hear of the same thing, by the form in which they want it."""

    __slots__ = ("by_form", "told", "version")

    def __init__(self) -> None:
        """Begin without watchers; `told` is the last change told, `version` that of the job when last told whole."""
        self.by_form: dict[Form, set[Watcher]] = {}
        self.told: Cursor | None = None
        self.version = -1

    @property
    def is_whole(self) -> bool:
        """Whether somebody wants the whole job and not only its row."""
        return any(form.is_whole for form in self.by_form)

    def is_news(self, cursor: Cursor) -> bool:
        """Whether a change comes after all that was told; a word that was caught up on may still be under way."""
        return self.told is None or self.told.epoch != cursor.epoch or cursor.rev > self.told.rev

    def add(self, watcher: Watcher) -> None:
        """Let a watcher hear from now on."""
        self.by_form.setdefault(watcher.form, set()).add(watcher)

    def discard(self, watcher: Watcher) -> bool:
        """Let a watcher hear no more; false if it did not."""
        watchers = self.by_form.get(watcher.form, set())
        if watcher not in watchers:
            return False
        watchers.discard(watcher)
        if not watchers:
            del self.by_form[watcher.form]
        return True

    def watchers(self) -> Iterator[Watcher]:
        """Yield every watcher."""
        for watchers in self.by_form.values():
            yield from watchers


class Channel:
    """Who watches a project: all of it, or one of its jobs."""

    __slots__ = ("everything", "jobs")

    def __init__(self) -> None:
        """Begin without watchers."""
        self.everything = Topic()
        self.jobs: dict[str, Topic] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody watches."""
        return not (self.jobs or self.everything.by_form)

    def watchers(self) -> Iterator[Watcher]:
        """Yield every watcher."""
        for topic in (self.everything, *self.jobs.values()):
            yield from topic.watchers()


class Hub:
    """Listens once per watched project, whatever the number of watchers."""

    def __init__(self, broker: Broker, live: LiveStore, feed: Feed) -> None:
        """Keep the ports; `run` and `beat` do the work."""
        self.backlogs = Backlogs(feed)
        self._broker = broker
        self._live = live
        self._line: Listening | None = None
        self._channels: dict[str, Channel] = {}
        self._has_line = asyncio.Event()
        self._is_closing = False

    @property
    def is_listening(self) -> bool:
        """Whether changes reach this process now."""
        return self._line is not None

    async def until_listening(self) -> None:
        """Wait until changes reach this process."""
        await self._has_line.wait()

    async def enter(self, project: str, job_id: str | None, watcher: Watcher) -> None:
        """Let a watcher hear of one job, or of all (None) of a project, until it leaves.

        What changes after entering is heard, while the broker is away as soon as it is back. Whoever enters must
        leave, also after an entering that was interrupted.
        """
        channel = self._channels.setdefault(project, Channel())
        topic = channel.everything if job_id is None else channel.jobs.setdefault(job_id, Topic())
        topic.add(watcher)
        if self._is_closing:
            watcher.end("shutdown")
        if self._line is not None:
            with suppress(StoreUnavailable):  # `run` will notice as well, come back and catch up
                await self._line.add(project)

    async def leave(self, project: str, job_id: str | None, watcher: Watcher) -> None:
        """Let a watcher hear no more, if it ever entered; forget a job or a project that nobody watches any more."""
        channel = self._channels.get(project, Channel())
        topic = channel.everything if job_id is None else channel.jobs.get(job_id, Topic())
        if not topic.discard(watcher):
            return
        if job_id is not None and not topic.by_form:
            del channel.jobs[job_id]
        if channel.is_empty:
            del self._channels[project]
            if self._line is not None:
                with suppress(StoreUnavailable):
                    await self._line.remove(project)

    async def run(self) -> None:
        """Carry changes to the watchers until the line breaks (`StoreUnavailable`); to be supervised."""
        clock = asyncio.get_running_loop().time
        async with self._broker.connect() as line:
            self._line = line
            self._has_line.set()
            try:
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

    async def beat(self, silence_seconds: float) -> None:
        """Ping every watcher that was told nothing for so long, and notice those that have gone; for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(silence_seconds / BEATS_A_SILENCE)
            now = clock()
            for watcher in [each for channel in self._channels.values() for each in channel.watchers()]:
                watcher.beat(now, silence_seconds)

    def close(self) -> None:
        """End every watcher, now and from now on."""
        self._is_closing = True
        for channel in self._channels.values():
            for watcher in channel.watchers():
                watcher.end("shutdown")

    async def _carry(self, notices: Iterable[Notice]) -> None:
        by_project: dict[str, list[Notice]] = {}
        for notice in notices:
            by_project.setdefault(notice.project, []).append(notice)
        for project, told in by_project.items():
            channel = self._channels.get(project)
            if channel is not None:
                await self._tell(channel, _newest(told))

    async def _tell(self, channel: Channel, notices: list[Notice]) -> None:
        """Tell the watchers of a project of changes, those who want whole jobs as they are now."""
        rows = [Broadcast(n.job_id, n.cursor, n.version, is_end=n.is_end, row=n.row) for n in notices]
        wanted = list(dict.fromkeys(row.job_id for row in rows if _is_wanted_whole(channel, row.job_id)))
        jobs: dict[str, Stored | None] = {}
        for start in range(0, len(wanted), READS_AT_ONCE):
            some = wanted[start : start + READS_AT_ONCE]
            jobs |= zip(some, await asyncio.gather(*map(self._live.get, some)), strict=True)
        news = [row for row in rows if channel.everything.is_news(row.cursor)]
        await _spread(channel.everything, news, _wholes(news, jobs) if channel.everything.is_whole else ())
        channel.everything.told = rows[-1].cursor
        for row in rows:
            topic = channel.jobs.get(row.job_id)
            if topic is not None and topic.is_news(row.cursor):
                wholes = [whole for whole in _wholes([row], jobs) if whole.is_end or whole.version != topic.version]
                await _spread(topic, [row], wholes)
                topic.told, topic.version = row.cursor, wholes[-1].version if wholes else topic.version

    async def _catch_up(self, line: Listening) -> None:
        """Tell everybody what changed while nobody listened."""
        for project, channel in list(self._channels.items()):
            await line.add(project)
            if channel.everything.by_form:
                await self._catch_up_on_all(project, channel.everything)
            for job_id, topic in list(channel.jobs.items()):
                stored = await self._live.get(job_id)
                change = [Broadcast(job_id, NOWHERE) if stored is None else Broadcast.of(stored)]
                await _spread(topic, change, change)
                topic.told = None if stored is None else stored.cursor

    async def _catch_up_on_all(self, project: str, topic: Topic) -> None:
        """Tell who watches a whole project what was missed; who cannot be told is ended, and will come again."""
        watchers = list(topic.watchers())
        for watcher in watchers:
            watcher.has_missed = True
        cursor = topic.told or min((each.floor for each in watchers if each.floor is not None), default=None)
        is_more = cursor is not None  # else all are about to read for themselves
        while cursor is not None and is_more:
            missed = await self.backlogs.after(project, cursor.rev)
            for watcher in watchers:
                if {cursor.epoch, "" if watcher.floor is None else watcher.floor.epoch} - {"", missed.cursor.epoch}:
                    watcher.end("error")
            if missed.changes:
                await _spread(topic, missed.changes, missed.changes)
            cursor = topic.told = missed.cursor
            is_more = missed.is_more


NOWHERE = Cursor("unknown", 0)
"""The place of a job that is not there any more; nobody knows when it went."""


def _wholes(rows: Sequence[Broadcast], jobs: Mapping[str, Stored | None]) -> list[Broadcast]:
    """Return the changes with whole jobs, as far as these are there: one that is not there was deleted meanwhile.

    An end that the next attempt has overtaken is told by its row.
    """
    wholes: list[Broadcast] = []
    for row in rows:
        stored = jobs.get(row.job_id)
        if row.is_gone or (row.is_end and (stored is None or not stored.view.is_over)):
            wholes.append(row)
        elif stored is not None:
            wholes.append(Broadcast.of(Stored(stored.view, row.cursor)))
    return wholes


def _newest(notices: list[Notice]) -> list[Notice]:
    """Return the last notice of each job and every one of an end, in ascending rev."""
    newest: dict[tuple[str, int], Notice] = {}
    for notice in notices:
        newest.pop((notice.job_id, 0), None)
        newest[notice.job_id, notice.cursor.rev if notice.is_end else 0] = notice
    return list(newest.values())


def _is_wanted_whole(channel: Channel, job_id: str) -> bool:
    topic = channel.jobs.get(job_id)
    return channel.everything.is_whole or (topic is not None and topic.is_whole)


async def _spread(topic: Topic, rows: Sequence[Broadcast], wholes: Sequence[Broadcast]) -> None:
    """Tell each watcher of a topic in its form."""
    clock = asyncio.get_running_loop().time
    for form, watchers in list(topic.by_form.items()):
        changes = wholes if form.is_whole else rows
        if not changes:
            continue
        data, now = form.framed(changes), clock()
        for number, watcher in enumerate(list(watchers), 1):
            watcher.tell(data, changes, now)
            if number % WATCHERS_A_TURN == 0:
                await asyncio.sleep(0)
                now = clock()
