"""The recorder: carries what the live store knows into the history, and back what only the history knows.

One sidecar records at a time. The lease makes that likely; that nothing is recorded twice or passed over is due to the
position, which moves in the transaction of what was recorded, and only from where it was read.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from sidecar.core.errors import Conflict, Unavailable, UnknownJob
from sidecar.core.job import Job, Reason
from sidecar.core.merge import Outcome, united
from sidecar.core.view import View
from sidecar.history import BEGINNING, Archive, Batch, Buried, Lease, Outbox, Recorded, Standing, SupersededError
from sidecar.ports import ChangeJob, Cursor, Feed, Gone, LiveStore, Metrics, Stored, Written

logger = logging.getLogger(__name__)

LINES_A_BATCH = 500
JOBS_A_BATCH = 100
PAUSE_SECONDS = 0.5
IDLE_SECONDS = 1.0
"""Between two looks at whether the lease has become free."""

AHEAD_A_ROUND = 100

Clock = Callable[[], float]


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
        self._recorded: dict[str, Recorded] = {}
        self._recorded_at = time.monotonic()

    @property
    def behind_seconds(self) -> float:
        """How long ago everything was recorded, or another sidecar had the lease."""
        return time.monotonic() - self._recorded_at

    def recorded_rev(self, project: str) -> Cursor:
        """Return up to where a project is known to be recorded."""
        return self._recorded.get(project, BEGINNING).cursor

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Record whatever comes, for ever; raises `StoreUnavailable`."""
        self._recorded.clear()
        while True:
            if await self._lease.hold():
                await self.record_all()
                await tell_ahead(self._archive, self._live, self._clock)
                await sleep(PAUSE_SECONDS)
            else:
                self._recorded.clear()
                await sleep(IDLE_SECONDS)
            self._recorded_at = time.monotonic()

    async def record_all(self) -> None:
        """Record every project up to where it stands now."""
        for project, standing in (await self._outbox.standings()).items():
            while await self._record_some(project, standing):
                await self._lease.hold()

    async def _record_some(self, project: str, standing: Standing) -> bool:
        """Record the next part of a project; false if it is recorded up to where it stood."""
        before = self._recorded.get(project) or await self._archive.recorded(project)
        is_same_epoch = before.cursor.epoch == standing.cursor.epoch
        if not (is_same_epoch or standing.is_whole or before == BEGINNING):
            self._unrestored()  # recorded now, it would pass for whole
            return False
        has_lines = bool(standing.position) and not (is_same_epoch and _is_reached(before.position, standing.position))
        if is_same_epoch and before.cursor.rev >= standing.cursor.rev and not has_lines:
            self._recorded[project] = before
            if standing.position:  # whoever recorded these lines died before it could trim them
                await self._outbox.trim(project, before.position)
            return False
        position = before.position if is_same_epoch else ""
        lines = await self._outbox.waiting(project, position, LINES_A_BATCH) if has_lines else []
        reached = lines[-1].position if lines else position
        changes: Sequence[Stored | Gone] = ()
        lost: Sequence[str] = ()
        if len(lines) == LINES_A_BATCH and is_same_epoch:  # jobs only with the last of the lines: they are later
            after = Recorded(before.cursor, reached)
        else:
            missed = await self._feed.since(project, before.cursor.rev if is_same_epoch else 0, JOBS_A_BATCH)
            if missed.cursor.epoch != standing.cursor.epoch:  # begun anew since: the next round looks where it stands
                return False
            changes, lost = missed.changes, missed.lost
            rev = changes[-1].cursor.rev if missed.is_more else missed.cursor.rev
            after = Recorded(Cursor(missed.cursor.epoch, rev), reached)
        try:
            await self._archive.record(project, Batch(lines, changes), before, after)
        except SupersededError:
            self._recorded.pop(project, None)
            return True
        self._recorded[project] = after
        if lines:
            await self._outbox.trim(project, after.position)
        self._metrics.recorded(len(lines))
        if lost:
            await self._put_back(project, lost)
        return after != before

    async def _put_back(self, project: str, lost: Sequence[str]) -> None:
        """Give the live store back what it has lost, from wherever that still is."""
        answers = await self._live.update_many([(job_id, _as_it_was) for job_id in lost])
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


async def tell_ahead(archive: Archive, live: LiveStore, clock: Clock) -> set[str]:
    """Tell the live store some of what only the history knows; return the projects of which that was."""
    jobs, buried = await archive.ahead(AHEAD_A_ROUND)
    if not jobs and not buried:
        return set()
    answers = await live.update_many([(each.job.job_id, joining(each.job, clock)) for each in jobs])
    for answer in answers:
        if isinstance(answer, Unavailable):
            raise answer
    for gone in buried:
        await _delete(live, gone)
    for each, answer in zip(jobs, answers, strict=True):
        if not isinstance(answer, Written):  # nor would it be taken later: its id belongs to another project there
            told = {"job_id": each.job.job_id, "error": str(answer)}
            logger.error("a job that SQL has cannot be told to Redis", extra={"fields": told})
    await archive.told(jobs, buried)
    return {each.job.project for each in jobs} | {gone.project for gone in buried}


async def _delete(live: LiveStore, gone: Buried) -> None:
    """Delete a job that was deleted in the history, but not a later one of the same id."""

    def check(job: Job) -> None:
        if job.created_at > gone.created_at:
            raise Conflict("there is a new job of that id")

    with suppress(Conflict):
        await live.delete(gone.job_id, check)


def joining(job: Job, clock: Clock) -> ChangeJob:
    """Return the change that joins a version of a job in."""
    return lambda before: united(before, job, clock())


def _is_reached(position: str, wanted: str) -> bool:
    return _place(position) >= _place(wanted)


def _place(position: str) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds or 0), int(number or 0)
