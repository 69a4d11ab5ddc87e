"""The two stores, which of them serves, and what one knows of the other's jobs."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sidecar.adapters.failover.breaker import Breaker
from sidecar.adapters.failover.crossing import Crossing
from sidecar.adapters.failover.spill import Spill
from sidecar.adapters.failover.telling import Telling
from sidecar.adapters.failover.untold import Untold
from sidecar.adapters.lineage import fresh_lineage
from sidecar.adapters.redis.entrance import Elsewhere
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.sql.live import SqlLive
from sidecar.core.errors import HistoryUnavailable
from sidecar.core.job import Job
from sidecar.core.merge import Outcome, fork, united
from sidecar.core.view import View
from sidecar.history import Archive
from sidecar.ports import ChangeJob, Metrics, Stored


class Stores:
    """The two stores, and which of them serves."""

    def __init__(  # noqa: PLR0913, PLR0917 - both stores and what is told of them
        self,
        live: RedisLive,
        sql: SqlLive,
        archive: Archive,
        breaker: Breaker,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        """Keep the parts; `clock` gives Unix seconds."""
        self.live = live
        self.sql = sql
        self.breaker = breaker
        self.metrics = metrics
        self.clock = clock
        self.crossing = Crossing(live.timeout_seconds)
        self.untold = Untold()
        self.telling = Telling(live, archive, self.untold, clock)
        self.spill = Spill(live.memory, sql, archive, clock)

    def with_memory(self, job_id: str, change: ChangeJob) -> ChangeJob:
        """Return the change on what SQL has and on what this process was last acknowledged by Redis.

        SQL counts on in its own lineage: Redis may be counting in its own meanwhile.
        """
        remembered = self.live.memory.last_written(job_id)
        if remembered is None:
            return change

        def on_memory(before: View | None) -> Outcome:
            shown = united(before, remembered.job, self.clock()).view
            owner = fresh_lineage() if before is None else before.job.lineage
            return change(shown._replace(job=fork(shown.job, owner)))

        return on_memory

    async def recalled(self, job_id: str) -> Stored | None:
        """Return a job as SQL has it, and at least as new as this process was last acknowledged."""
        stored = await self.sql.get(job_id)
        remembered = self.live.memory.last_written(job_id)
        if remembered is None:
            return stored
        if stored is None or stored.view.job.created_at > remembered.job.created_at:
            await self.forget_deleted([job_id])
            if self.live.memory.last_written(job_id) is None:
                return stored
        if stored is None:
            return Stored(remembered.view, remembered.cursor)
        return Stored(united(stored.view, remembered.job, self.clock()).view, stored.cursor)

    async def forget_deleted(self, job_ids: Iterable[str]) -> None:
        """Remember nothing of those of the jobs that were deleted in SQL, by whatever sidecar.

        Raises `HistoryUnavailable`.
        """
        held = filter(None, map(self.live.memory.last_written, job_ids))
        if jobs := [each.job for each in held]:
            self.live.memory.forget(await self.sql.buried(jobs))


def finding(sql: SqlLive) -> Elsewhere:
    """Return what finds jobs in SQL; none while it is away: what is created is then joined in later."""

    async def find(job_ids: Sequence[str]) -> Mapping[str, Job]:
        try:
            return await sql.find(job_ids)
        except HistoryUnavailable:
            return {}

    return find
