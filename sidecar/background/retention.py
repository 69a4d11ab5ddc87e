"""Life and death of data: who is lost, what leaves the live store, what the history forgets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from sidecar.background.mistakes import tell_mistakes
from sidecar.core.errors import UnknownJob
from sidecar.core.merge import Outcome, lose
from sidecar.core.silence import Patience, is_lost
from sidecar.core.view import View, view
from sidecar.history import Archive, Lease, Outbox, Standing, Sweep
from sidecar.ports import LiveStore, Metrics, Written

JOBS_A_TURN = 100
FORGOTTEN_A_TURN = 500
PAUSE_SECONDS = 5.0
DAY_SECONDS = 86_400.0


class Terms(NamedTuple):
    """How long finished jobs stay in the live store and in the history (seconds), and how long a silent one counts."""

    finished_seconds: float
    history_seconds: float
    patience: Patience


class Retention:
    """Sweeps all projects, for ever. Nothing leaves the live store before the history has it."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports between which it stands
        self,
        outbox: Outbox,
        sweep: Sweep,
        live: LiveStore,
        archive: Archive,
        lease: Lease,
        terms: Terms,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        """Keep the ports; `clock` gives Unix seconds."""
        self._outbox = outbox
        self._sweep = sweep
        self._live = live
        self._archive = archive
        self._lease = lease
        self._terms = terms
        self._metrics = metrics
        self._clock = clock
        self._offsets: dict[str, int] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep now and then, for ever; raises `StoreUnavailable`."""
        pause = min(PAUSE_SECONDS, self._terms.finished_seconds / 4, self._terms.patience.lost_seconds / 4)
        while True:
            await sleep(pause)
            if await self._lease.hold():
                await self.sweep_all()
                await self.forget()

    async def sweep_all(self) -> None:
        """Look at every project; after an outage nobody is lost before workers have had time to speak."""
        now = self._clock()
        is_calm = now < await self._sweep.listening(now, self._terms.patience.lost_seconds)
        for project, standing in (await self._outbox.standings()).items():
            await self.sweep(project, standing, is_calm=is_calm)

    async def sweep(self, project: str, standing: Standing, *, is_calm: bool = False) -> None:
        """Look at one project: what is lost, unless silence counts for nothing, and what has stayed long enough."""
        if not is_calm:
            await self._lose(project)
        recorded = (await self._archive.recorded(project)).cursor
        if recorded.epoch != standing.cursor.epoch:
            return
        await self._expire(project)
        await self._sweep.bury(project, self._clock(), recorded.rev)

    async def forget(self) -> None:
        """Let the history forget what finished long ago, a few at a time."""
        before = self._clock() - self._terms.history_seconds
        while await self._archive.forget(before, FORGOTTEN_A_TURN) == FORGOTTEN_A_TURN:
            await self._lease.hold()

    async def _expire(self, project: str) -> None:
        """Let go what the history has; what it does not have is passed over."""
        before, offset = self._clock() - self._terms.finished_seconds, 0
        while jobs := await self._sweep.finished(project, before, offset, JOBS_A_TURN):
            kept = await self._archive.has(jobs)
            offset += len(jobs) - (await self._sweep.expire(project, kept) if kept else 0)
            await self._lease.hold()

    async def _lose(self, project: str) -> None:
        """Mark as lost who has fallen silent; those who still speak are passed over, some at a time."""
        before = self._clock() - min(self._terms.patience)
        offset = self._offsets.get(project, 0)
        jobs = await self._sweep.silent(project, before, offset, JOBS_A_TURN)
        lost = [job for job in jobs if is_lost(view(job), self._clock(), self._terms.patience)]
        self._offsets[project] = offset + len(jobs) - len(lost) if len(jobs) == JOBS_A_TURN else 0
        if lost:
            answers = await self._live.update_many([(job.job_id, self._losing) for job in lost])
            tell_mistakes(answers)
            for answer in answers:
                if isinstance(answer, Written) and answer.outcome.events:
                    self._metrics.job_finished(answer.outcome.job.job_type, "lost", None)

    def _losing(self, before: View | None) -> Outcome:
        """Mark a job as lost, unless it has spoken or was deleted meanwhile."""
        if before is None:
            raise UnknownJob("the job is gone")
        now = self._clock()
        return lose(before.job, now if is_lost(before, now, self._terms.patience) else before.job.last_contact_at)
