"""The recorder: carries what the live store knows into the history, and back what only the history knows.

One sidecar records at a time. The lease makes that likely; that nothing is recorded twice or passed over is due to the
position, which moves in the transaction of what was recorded, and only from where it was read.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sidecar.background.ahead import Clock, tell_ahead
from sidecar.background.mistakes import tell_mistakes
from sidecar.core.errors import HistoryBusy, HistoryUnavailable, Unavailable, UnknownJob, Unreadable
from sidecar.core.job import Reason
from sidecar.core.merge import Outcome
from sidecar.core.view import View
from sidecar.history import (
    BEGINNING,
    Archive,
    Batch,
    Lease,
    Line,
    Outbox,
    Recorded,
    Standing,
    SupersededError,
    UnreadLine,
)
from sidecar.ports import Cursor, Feed, Gone, LiveStore, Metrics, Missed, Written
from sidecar.tasks import ended

logger = logging.getLogger(__name__)

LINES_A_BATCH = 500
JOBS_A_BATCH = 100
PAUSE_SECONDS = 0.5
IDLE_SECONDS = 1.0
"""Between two looks at whether the lease has become free."""

UNREADABLE_TOLD = 1_000
"""Of which the log speaks; the metric counts all."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far this process has come in a project, and the jobs, with their revs, that it could not read on the way.

    `recorded`, which the history keeps, stays before the first of those: a release that can read them begins there.
    """

    recorded: Recorded
    cursor: Cursor
    position: str = ""
    unread: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, recorded: Recorded) -> "Reached":
        """Return the beginning of a process."""
        return cls(recorded, recorded.cursor, recorded.position)

    def with_lines(self, found: Sequence[Line | UnreadLine]) -> "Reached":
        """Return how far it is with the next lines."""
        position = found[-1].position if found else self.position
        return replace(self, recorded=replace(self.recorded, position=position), position=position)

    def with_changes(self, missed: Missed) -> "Reached":
        """Return how far it is with the next changes."""
        rev = missed.changes[-1].cursor.rev if missed.is_more else missed.cursor.rev
        seen = {each.job_id if isinstance(each, Gone) else each.view.job.job_id for each in missed.changes}
        kept = {job_id: at for job_id, at in self.unread.items() if job_id not in seen and job_id not in missed.lost}
        unread = {**kept, **dict(missed.unread)}
        cursor = Cursor(missed.cursor.epoch, rev)
        recorded = replace(self.recorded, cursor=replace(cursor, rev=min([rev, *(at - 1 for at in unread.values())])))
        return replace(self, recorded=recorded, cursor=cursor, unread=unread)


class Recorder:
    """Records every project, for ever."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports between which it stands
        self,
        outbox: Outbox,
        feed: Feed,
        live: LiveStore,
        archive: Archive,
        lease: Lease,
        metrics: Metrics,
        clock: Clock,
        unrestored: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep the ports: `feed` and `live` are those of the live store alone; `clock` gives Unix seconds.

        `unrestored` hears that the live store has yet to be brought up to date.
        """
        self._unrestored = unrestored
        self._outbox = outbox
        self._feed = feed
        self._live = live
        self._archive = archive
        self._lease = lease
        self._metrics = metrics
        self._clock = clock
        self._reached: dict[str, Reached] = {}
        self._unreadable: set[str] = set()
        self._recorded_at = time.monotonic()
        self._is_stuck = False

    @property
    def behind_seconds(self) -> float:
        """How long ago everything was recorded, or another sidecar had the lease."""
        return time.monotonic() - self._recorded_at

    def recorded_rev(self, project: str) -> Cursor:
        """Return up to where a project is known to be recorded."""
        return self._reached[project].recorded.cursor if project in self._reached else BEGINNING.cursor

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Record whatever comes, for ever; raises `StoreUnavailable`."""
        self._reached.clear()
        while True:
            if await self._lease.hold():
                await self._round()
                await sleep(PAUSE_SECONDS)
            else:
                self._reached.clear()
                self._is_stuck = False
                await sleep(IDLE_SECONDS)
            self._recorded_at = time.monotonic()

    async def _round(self) -> None:
        """Record and tell all there is; say once that SQL does not take it, and once that it does again."""
        try:
            if not self._reached:
                await self._outbox.take_up()
            await self.record_all()
            await tell_ahead(self._archive, self._live, self._clock)
        except HistoryUnavailable as error:
            self._metrics.store_failed("sql", "record", "busy" if isinstance(error, HistoryBusy) else "unavailable")
            if not self._is_stuck:
                logger.warning("what Redis has cannot be recorded in SQL", extra={"fields": {"error": str(error)}})
            self._is_stuck = True
            raise
        if self._is_stuck:
            logger.warning("what Redis has is recorded in SQL again")
        self._is_stuck = False

    async def catch_up(self, seconds: float) -> None:
        """Record what those who are gone have left, whoever has the lease, for no longer than so long.

        A sidecar that has just begun remembers nothing of it: if Redis goes away before the next round, only SQL tells.
        """
        recording = asyncio.create_task(self.record_all(), name="catch-up")
        try:
            await asyncio.wait({recording}, timeout=seconds)
            if recording.done():
                with suppress(Unavailable):
                    recording.result()
        finally:
            await ended(recording)

    async def record_all(self) -> None:
        """Record every project up to where it stands now; what cannot be read of one keeps no other from it."""
        for project, standing in (await self._outbox.standings()).items():
            try:
                while await self._record_some(project, standing):
                    await self._lease.hold()
            except Unreadable as error:
                self._pass_over(project, f"{project}: {error}")

    async def _record_some(self, project: str, standing: Standing) -> bool:
        """Record the next part of a project; false if it is recorded up to where it stood."""
        before = self._reached.get(project) or Reached.at(await self._archive.recorded(project))
        is_same_epoch = before.cursor.epoch == standing.cursor.epoch
        if not (is_same_epoch or standing.is_whole or before.recorded == BEGINNING):
            self._unrestored()  # recorded now, it would pass for whole
            return False
        has_lines = bool(standing.position) and not (is_same_epoch and _is_reached(before.position, standing.position))
        if is_same_epoch and before.cursor.rev >= standing.cursor.rev and not has_lines:
            self._reached[project] = before
            if standing.position:  # whoever recorded these lines died before it could trim them
                await self._outbox.trim(project, before.recorded.position)
            return False
        start = before if is_same_epoch else Reached(before.recorded, Cursor(standing.cursor.epoch, 0))
        found = await self._outbox.waiting(project, start.position, LINES_A_BATCH) if has_lines else []
        after, missed = start.with_lines(found), None
        if len(found) < LINES_A_BATCH or not is_same_epoch:  # jobs only with the last of the lines: they are later
            missed = await self._feed.since(project, start.cursor.rev, JOBS_A_BATCH)
            if missed.cursor.epoch != standing.cursor.epoch:  # begun anew since: the next round looks where it stands
                return False
            after = after.with_changes(missed)
        lines = [line for line in found if isinstance(line, Line)]
        batch = Batch(lines, missed.changes if missed else ())
        try:
            await self._archive.record(project, batch, before.recorded, after.recorded)
        except SupersededError:
            self._reached.pop(project, None)
            return True
        self._reached[project] = after
        aside = [line for line in found if isinstance(line, UnreadLine)]
        for unread in (*(f"line {line.position}" for line in aside), *(after.unread.keys() - start.unread.keys())):
            self._pass_over(project, unread)
        if found:
            await self._outbox.trim(project, after.position)
        self._metrics.recorded(len(lines))
        if missed is not None and missed.lost:
            await self._put_back(project, missed.lost)
        return after != before

    def _pass_over(self, project: str, unread: str) -> None:
        """Count what cannot be read, and say so once."""
        self._metrics.store_failed("redis", "record", "unreadable")
        if unread not in self._unreadable and len(self._unreadable) < UNREADABLE_TOLD:
            self._unreadable.add(unread)
            told = {"project": project, "what": unread}
            logger.error("what is stored cannot be read, and waits for a release that can", extra={"fields": told})

    async def _put_back(self, project: str, lost: Sequence[str]) -> None:
        """Give the live store back what it has lost, from wherever that still is."""
        answers = await self._live.update_many([(job_id, _as_it_was) for job_id in lost])
        tell_mistakes(answers)
        for answer in answers:
            if isinstance(answer, Unavailable):
                raise answer
        kept = sum(isinstance(answer, Written) for answer in answers)
        if kept:
            told = {"project": project, "jobs": kept}
            logger.warning("Redis has lost jobs, which are put back; is its policy noeviction?", extra={"fields": told})


def _as_it_was(before: View | None) -> Outcome:
    """Change nothing: a job that was lost is put back before it is changed."""
    if before is None:
        raise UnknownJob("it is nowhere any more")
    return Outcome(before.job, before, Reason.DUPLICATE, applied=False)


def _is_reached(position: str, wanted: str) -> bool:
    return _place(position) >= _place(wanted)


def _place(position: str) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds or 0), int(number or 0)
