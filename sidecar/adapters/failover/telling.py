"""Redis is told what SQL took while Redis gave no answer for a moment, before it is asked for more of those jobs."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from sidecar.adapters.failover.untold import Untold
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.ahead import Clock, joining, tell_deletion, tell_some_ahead
from sidecar.background.mistakes import tell_mistakes
from sidecar.core.errors import HistoryUnavailable, Unavailable
from sidecar.core.job import Job
from sidecar.history import Archive, Buried

JOBS_A_TURN = 100

TURNS = 2
"""An id of which both a deletion and a later job are to be told needs two: the deletion goes first."""


class Telling:
    """Tells Redis what this process gave SQL. Any number of sidecars may do so at once, and the recorder too."""

    def __init__(self, live: RedisLive, archive: Archive, untold: Untold, clock: Clock) -> None:
        """Keep the parts; `clock` gives Unix seconds."""
        self._live = live
        self._archive = archive
        self._untold = untold
        self._clock = clock
        self._lock = asyncio.Lock()

    async def tell(self, job_ids: Collection[str]) -> None:
        """Tell of those of the jobs that are untold; raises an `Unavailable` if Redis does not take it even now."""
        ids = self._untold.ids_among(job_ids)
        for start in range(0, len(ids), JOBS_A_TURN):
            await self._tell_some(ids[start : start + JOBS_A_TURN])

    async def tell_all(self) -> None:
        """Tell of all that is untold, for no longer than a call of Redis may take: the recorder tells of the rest.

        Whoever asks meanwhile waits for the same.
        """
        if self._untold.is_empty:
            return
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(self._live.timeout_seconds), self._lock:
                await self.tell(self._untold.ids)

    async def _tell_some(self, job_ids: Sequence[str]) -> None:
        """Tell what SQL has of them: it knows what the recorder of any sidecar told since, and what is gone by now.

        While SQL is away, what this process remembers has to do.
        """
        jobs, deleted = self._untold.jobs_of(job_ids), self._untold.deleted_of(job_ids)
        try:
            for _ in range(TURNS):
                await tell_some_ahead(self._archive, self._live, self._clock, job_ids)
        except HistoryUnavailable:
            await tell_remembered(self._live, jobs, deleted, self._clock)
        self._untold.told(jobs, deleted)


async def tell_remembered(live: RedisLive, jobs: Sequence[Job], deleted: Sequence[Buried], clock: Clock) -> None:
    """Tell Redis of deletions, and of jobs that may have come after them; raises an `Unavailable`."""
    for gone in deleted:
        await tell_deletion(live, gone)
    await tell_jobs(live, jobs, clock)


async def tell_jobs(live: RedisLive, jobs: Sequence[Job], clock: Clock) -> None:
    """Join jobs into Redis; raises an `Unavailable`."""
    for start in range(0, len(jobs), JOBS_A_TURN):
        changes = [(job.job_id, joining(job, clock)) for job in jobs[start : start + JOBS_A_TURN]]
        answers = await live.update_many(changes)
        tell_mistakes(answers)
        for answer in answers:
            if isinstance(answer, Unavailable):
                raise answer
