"""Who watches a project, what they were told, and how all of them are told of a change."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.selection import Membership, Selection
from sidecar.hub.told import Told
from sidecar.hub.watcher import Watcher
from sidecar.ports import Cursor, Stored

WATCHERS_A_TURN = 1_000
"""Watchers written to before others get a turn of the event loop."""


class Topic:
    """Who wants to hear of the same jobs, by the form in which they want it."""

    __slots__ = ("_members", "by_form", "selection")

    def __init__(self, selection: Selection) -> None:
        """Begin without watchers."""
        self.selection = selection
        self.by_form: dict[Form, set[Watcher]] = {}
        self._members = Membership(selection) if selection.is_filtered else None

    @property
    def is_whole(self) -> bool:
        """Whether somebody wants the whole job and not only its row."""
        return any(form.is_whole for form in self.by_form)

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

    def wants(self, change: Broadcast) -> bool:
        """Whether a change of a job that is named is to be told here."""
        return self._members is None or self._members.wants(change)


class Channel:
    """Who watches a project, and what they were told.

    `topics` are those who watch, by what they want to hear of; `place` is the last place in Redis' order up to which
    everything was told.
    """

    __slots__ = ("_by_job", "_open", "place", "told", "topics")

    def __init__(self) -> None:
        """Begin without watchers."""
        self.topics: dict[Selection, Topic] = {}
        self.place: Cursor | None = None
        self.told = Told()
        self._open: dict[Selection, Topic] = {}
        self._by_job: dict[str, dict[Selection, Topic]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody watches."""
        return not self.topics

    @property
    def job_ids(self) -> list[str]:
        """The jobs that somebody watches by name."""
        return list(self._by_job)

    def add(self, selection: Selection, watcher: Watcher) -> None:
        """Let a watcher hear of a selection from now on."""
        topic = self.topics.get(selection)
        if topic is None:
            topic = self.topics[selection] = Topic(selection)
            if not selection.job_ids:
                self._open[selection] = topic
            for job_id in selection.job_ids:
                self._by_job.setdefault(job_id, {})[selection] = topic
        topic.add(watcher)

    def discard(self, selection: Selection, watcher: Watcher) -> bool:
        """Let a watcher hear no more; false if it did not. A selection that nobody wants any more is forgotten."""
        topic = self.topics.get(selection)
        if topic is None or not topic.discard(watcher):
            return False
        if not topic.by_form:
            del self.topics[selection]
            self._open.pop(selection, None)
            for job_id in selection.job_ids:
                del self._by_job[job_id][selection]
                if not self._by_job[job_id]:
                    del self._by_job[job_id]
        return True

    def watchers(self) -> Iterator[Watcher]:
        """Yield every watcher."""
        for topic in self.topics.values():
            yield from topic.watchers()

    def skip(self, job_id: str) -> None:
        """Count a change that nobody is told of, as a newer one of its job has come already."""
        for topic in self._topics_of(job_id):
            for watchers in topic.by_form.values():
                next(iter(watchers)).traffic.coalesced += len(watchers)

    def floors(self) -> Iterator[Cursor]:
        """Yield where the snapshots stood that the watchers were given."""
        for watcher in self.watchers():
            if watcher.floor is not None:
                yield watcher.floor

    def is_wanted_whole(self, job_id: str) -> bool:
        """Whether somebody wants this job whole and not only its row."""
        return any(topic.is_whole for topic in self._topics_of(job_id))

    async def tell(self, rows: Sequence[Broadcast], jobs: Mapping[str, Stored | None]) -> None:
        """Tell everybody of changes that came as rows, those who want whole jobs as they are now."""
        news = self._news(rows)
        for topic, changes in self._wanted(news):
            await _spread(topic, changes, _wholes(changes, jobs) if topic.is_whole else ())
        for row in news:
            self.told.note(row)

    async def tell_whole(self, changes: Sequence[Broadcast]) -> None:
        """Tell everybody of changes that came as whole jobs, as far as they are news."""
        news = self._news(changes)
        for topic, wanted in self._wanted(news):
            await _spread(topic, wanted, wanted)
        for change in news:
            self.told.note(change)

    def _news(self, changes: Sequence[Broadcast]) -> list[Broadcast]:
        """Return the changes that not everybody has heard of, marked if some have been shown them."""
        news = [change for change in changes if not self.told.is_older(change)]
        for change in news:
            change.repeats = self.told.place_shown(change)
        return news

    def _topics_of(self, job_id: str) -> Iterator[Topic]:
        yield from self._open.values()
        yield from self._by_job.get(job_id, NOBODY).values()

    def _wanted(self, changes: Sequence[Broadcast]) -> list[tuple[Topic, list[Broadcast]]]:
        """Return who wants to hear of which changes."""
        wanted: dict[Selection, tuple[Topic, list[Broadcast]]] = {}
        for change in changes:
            for topic in self._topics_of(change.job_id):
                if topic.wants(change):
                    wanted.setdefault(topic.selection, (topic, []))[1].append(change)
        return list(wanted.values())


NOBODY: dict[Selection, Topic] = {}


def _wholes(rows: Iterable[Broadcast], jobs: Mapping[str, Stored | None]) -> list[Broadcast]:
    """Return the changes with whole jobs, as far as these are there: one that is not there was deleted meanwhile.

    An end that the next attempt has overtaken is told by its row. A change that is read as an end, which came after it,
    is not told: the end is about to be, in its own place.
    """
    wholes: list[Broadcast] = []
    for row in rows:
        stored = jobs.get(row.job_id)
        if stored is not None and not row.is_gone and _tells(stored, row):
            whole = Broadcast.of(Stored(stored.view, row.cursor))
            whole.repeats = row.repeats
            wholes.append(whole)
        elif row.is_end:
            wholes.append(row)
    return wholes


def _tells(stored: Stored, row: Broadcast) -> bool:
    """Whether a job as it was read is what a change says or newer, and of the same attempt's life.

    An older one is SQL's.
    """
    return stored.view.job.version >= row.version and stored.view.is_over == row.is_end


async def _spread(topic: Topic, rows: Sequence[Broadcast], wholes: Sequence[Broadcast]) -> None:
    """Tell each watcher of a topic in its form."""
    for form, watchers in list(topic.by_form.items()):
        changes = wholes if form.is_whole else rows
        if not changes:
            continue
        data, told = form.framed(changes), list(watchers)
        are_repeats = any(change.repeats is not None for change in changes)
        for number, watcher in enumerate(told, 1):
            watcher.tell(data, changes, are_repeats=are_repeats)
            if number % WATCHERS_A_TURN == 0:
                await asyncio.sleep(0)
        if (changed_at := changes[-1].changed_at) is not None:  # those of one form are of one transport
            told[0].traffic.delivered(time.time() - changed_at, len(told))
