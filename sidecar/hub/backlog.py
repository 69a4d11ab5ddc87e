"""What was missed of a project, read once for everybody who asks at the same time.

When a thousand clients come back at once they all ask for the same. A read that is under way began too early for
whoever asks now; so all of those wait for the next one, and share it and its bytes.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

from sidecar.core.errors import SidecarError, StoreUnavailable
from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.selection import Selection
from sidecar.ports import Cursor, Feed

JOBS_A_READ = 200
WHOLE_JOBS_A_READ = 4
"""Of whole jobs, which may be 100 KB each: what is read for a client is held until it has taken it."""

LOOK_AGAIN_SECONDS = 0.25
LOOKS = 20
"""How often a store is asked that lacks what watchers were told before it served; then what it has is all there is."""

PIECE_BYTES = 64 * 1024
"""What is written to a client before it is waited for: one that reads nothing must not make us keep all of it."""


class Backlog:
    """Part of what was missed, in ascending rev. `cursor` is up to where it reaches; `is_more` follows after it."""

    __slots__ = ("_framed", "changes", "cursor", "cut", "is_by_name", "is_more", "project_cursor")

    def __init__(self, changes: Sequence[Broadcast], project_cursor: Cursor, *, is_more: bool, cut: int = 0) -> None:
        """Keep the parts; `project_cursor` is where the project stood when this was read, `cut` as in `Missed`."""
        self.changes = changes
        self.project_cursor = project_cursor
        self.cut = cut
        self.cursor = changes[-1].cursor if is_more else project_cursor
        self.is_more = is_more
        self.is_by_name = False
        self._framed: dict[tuple[Form, Selection, int | None], list[bytes]] = {}

    @classmethod
    def named(cls, changes: Sequence[Broadcast], now: Cursor) -> "Backlog":
        """Return jobs that were read one by one, no newer than where the project stood; what changed since follows."""
        backlog = cls(changes, now, is_more=False)
        backlog.is_more, backlog.is_by_name = True, True
        return backlog

    def framed(self, form: Form, selection: Selection, opened_at: int | None) -> list[bytes]:
        """Return the bytes of what concerns a selection, in pieces that a slow client can take one after another.

        Whoever resumes (None) hears of everything, also of what has left the selection. Whoever gets the full state
        hears of unfinished jobs, and of whatever has happened after the rev at which the project stood at first.
        """
        asked = (form, selection, opened_at)
        known = self._framed.get(asked)
        if known is None:
            told = [change for change in self.changes if self.is_by_name or _concerns(change, selection, opened_at)]
            known = self._framed[asked] = [form.framed(piece) for piece in _pieces(told, form)]
        return known


def _pieces(changes: Sequence[Broadcast], form: Form) -> Iterator[list[Broadcast]]:
    """Cut changes into pieces, each as long as `PIECE_BYTES` or a change longer."""
    piece: list[Broadcast] = []
    size = 0
    for change in changes:
        piece.append(change)
        size += len(change.encoded(form.encode))
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _concerns(change: Broadcast, selection: Selection, opened_at: int | None) -> bool:
    if opened_at is None or change.cursor.rev > opened_at:
        return selection.has_type(change)
    return change.view is not None and not change.view.is_finished and selection.has(change)


Asked = tuple[str, int, int]
"""A project, the rev after which changes are asked for, and how many at a time."""


class Audience(Protocol):
    """Those who watch projects."""

    def show(self, project: str, changes: Sequence[Broadcast]) -> None:
        """Note what some of them are about to be shown."""
        ...

    def is_ahead(self, project: str, changes: Sequence[Broadcast]) -> bool:
        """Whether they were told more of some job than the store that serves now has."""
        ...


class Backlogs:
    """Reads backlogs, never two of the same at a time."""

    def __init__(self, feed: Feed, audience: Audience, again_seconds: float = LOOK_AGAIN_SECONDS) -> None:
        """Keep the port, and who hears of what is read of each project."""
        self._again_seconds = again_seconds
        self._feed = feed
        self._audience = audience
        self._waiting: dict[Asked, list[asyncio.Future[Backlog]]] = {}
        self._reads: set[asyncio.Task[None]] = set()

    async def after(self, project: str, rev: int, *, is_whole: bool = False) -> Backlog:
        """Return what changed after a rev, as of now or later. Raises `StoreUnavailable`."""
        asked = (project, rev, WHOLE_JOBS_A_READ if is_whole else JOBS_A_READ)
        if asked not in self._waiting:
            self._waiting[asked] = []
            reading = asyncio.create_task(self._read_for_all(asked), name=f"backlog-{project}")
            self._reads.add(reading)
            reading.add_done_callback(self._reads.discard)
        answer: asyncio.Future[Backlog] = asyncio.get_running_loop().create_future()
        self._waiting[asked].append(answer)
        return await answer

    async def _read_for_all(self, asked: Asked) -> None:
        """Read again and again, each time for all who wait, until nobody does."""
        answers: list[asyncio.Future[Backlog]] = []
        try:
            while self._waiting[asked]:
                answers, self._waiting[asked] = self._waiting[asked], []
                try:
                    backlog = await self._read(*asked)
                except SidecarError as error:
                    _fail(answers, error)
                else:
                    _answer(answers, backlog)
        finally:
            _fail([*answers, *self._waiting.pop(asked)], StoreUnavailable("the read broke off"))

    async def _read(self, project: str, rev: int, limit: int) -> Backlog:
        """Read; a store that has just begun to serve is waited for until it lacks nothing that was told."""
        looks = 0
        while True:
            missed = await self._feed.since(project, rev, limit)
            changes = [Broadcast.of(each) for each in missed.changes]
            looks += 1
            if looks == LOOKS or not self._audience.is_ahead(project, changes):
                break
            await asyncio.sleep(self._again_seconds)
        self._audience.show(project, changes)
        return Backlog(changes, missed.cursor, is_more=missed.is_more, cut=missed.cut)


def _answer(answers: list["asyncio.Future[Backlog]"], backlog: Backlog) -> None:
    """Give everybody who still waits the answer."""
    for answer in answers:
        if not answer.done():
            answer.set_result(backlog)


def _fail(answers: list["asyncio.Future[Backlog]"], error: SidecarError) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
