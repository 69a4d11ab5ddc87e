"""Who watches a project, what they were told, and how all of them are told of a change."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from sidecar.ports import Cursor, Stored
from sidecar.told import Told
from sidecar.watcher import Broadcast, Form, Watcher

WATCHERS_A_TURN = 1_000
"""Watchers written to before others get a turn of the event loop."""


class Topic:
    """Who wants to hear of the same thing, by the form in which they want it."""

    __slots__ = ("by_form", "version")

    def __init__(self) -> None:
        """Begin without watchers; `version` is that of the one job when it was last told whole."""
        self.by_form: dict[Form, set[Watcher]] = {}
        self.version = -1

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


class Channel:
    """Who watches a project: all of it, or one of its jobs; and what they were told.

    `place` is the last place in Redis' order up to which everything was told.
    """

    __slots__ = ("everything", "jobs", "place", "told")

    def __init__(self) -> None:
        """Begin without watchers."""
        self.everything = Topic()
        self.jobs: dict[str, Topic] = {}
        self.place: Cursor | None = None
        self.told = Told()

    @property
    def is_empty(self) -> bool:
        """Whether nobody watches."""
        return not (self.jobs or self.everything.by_form)

    def watchers(self) -> Iterator[Watcher]:
        """Yield every watcher."""
        for topic in (self.everything, *self.jobs.values()):
            yield from topic.watchers()

    def floors(self) -> Iterator[Cursor]:
        """Yield where the snapshots stood that the watchers were given."""
        for watcher in self.watchers():
            if watcher.floor is not None:
                yield watcher.floor

    def is_wanted_whole(self, job_id: str) -> bool:
        """Whether somebody wants this job whole and not only its row."""
        topic = self.jobs.get(job_id)
        return self.everything.is_whole or (topic is not None and topic.is_whole)

    async def tell(self, rows: Sequence[Broadcast], jobs: Mapping[str, Stored | None]) -> None:
        """Tell everybody of changes that came as rows, those who want whole jobs as they are now."""
        news = [row for row in rows if not self.told.is_older(row)]
        await _spread(self.everything, news, _wholes(news, jobs) if self.everything.is_whole else ())
        for row in news:
            self.told.note(row)
            topic = self.jobs.get(row.job_id)
            if topic is not None:
                wholes = [whole for whole in _wholes([row], jobs) if whole.is_end or whole.version != topic.version]
                await _spread(topic, [row], wholes)
                topic.version = wholes[-1].version if wholes else topic.version

    async def tell_whole(self, changes: Sequence[Broadcast]) -> None:
        """Tell everybody of changes that came as whole jobs, as far as they are news."""
        news = [change for change in changes if not self.told.is_older(change)]
        await _spread(self.everything, news, news)
        for change in news:
            self.told.note(change)
            topic = self.jobs.get(change.job_id)
            if topic is not None:
                await _spread(topic, [change], [change])
                topic.version = change.version


def _wholes(rows: Sequence[Broadcast], jobs: Mapping[str, Stored | None]) -> list[Broadcast]:
    """Return the changes with whole jobs, as far as these are there: one that is not there was deleted meanwhile.

    An end that the next attempt has overtaken is told by its row.
    """
    wholes: list[Broadcast] = []
    for row in rows:
        stored = jobs.get(row.job_id)
        if row.is_gone or (row.is_end and (stored is None or not stored.view.is_over)):
            wholes.append(row)
        elif stored is not None and stored.view.job.version >= row.version:  # an older one is SQL's
            wholes.append(Broadcast.of(Stored(stored.view, row.cursor)))
    return wholes


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
