"""What is read of the past: timelines, attempts, and statistics of finished jobs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.rows import event_of, summary_of
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, PROJECTS, STAGES, TIMELINE
from sidecar.core.job import Event, Json, Status
from sidecar.core.usual import Run
from sidecar.history import Durations, StatsQuery, TypeStats

PERCENTS = (50, 95, 99)

STATS_SECONDS = 10.0
"""Deadline of statistics, which may have to look at every finished job."""


class SqlHistory:
    """`History` over SQL."""

    def __init__(self, database: Database) -> None:
        """Keep the database."""
        self._database = database

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's recorded events numbered above `after`, oldest first."""
        async with self._database.reading() as connection:
            return await timeline(connection, job_id, after, limit)

    async def recorded(self, job_id: str, event_ids: Sequence[str]) -> tuple[int, set[str]]:
        """Return the last number of the job's timeline, and those of the events that are in it."""
        mine = TIMELINE.c.job_id == job_id
        known = select(TIMELINE.c.event_id).where(mine, TIMELINE.c.event_id.in_(event_ids))
        async with self._database.reading() as connection:
            top = (await connection.execute(select(func.max(TIMELINE.c.number)).where(mine))).scalar()
            return top or 0, set((await connection.execute(known)).scalars().all())

    async def attempts(self, job_id: str) -> list[Mapping[str, Json]]:
        """Return what each recorded attempt had reached, the first one first."""
        mine = select(ATTEMPTS.c.summary).where(ATTEMPTS.c.job_id == job_id).order_by(ATTEMPTS.c.attempt)
        async with self._database.reading() as connection:
            return [summary_of(row) for row in await connection.execute(mine)]

    async def recent(self, job_type: str, successes: int) -> list[Run]:
        """Return how the last successes of a type went; see `Past`."""
        async with self._database.reading(STATS_SECONDS) as connection:
            return _runs(await connection.execute(_last(job_type, successes)))

    async def last_successes(self) -> Mapping[str, float]:
        """Return when a job of each type last completed; see `Past`."""
        asked = select(JOBS.c.job_type, func.max(JOBS.c.finished_at)).group_by(JOBS.c.job_type)
        completed = asked.where(JOBS.c.status == Status.COMPLETED.value, JOBS.c.finished_at.is_not(None))
        async with self._database.reading(STATS_SECONDS) as connection:
            return {kind: float(at) for kind, at in await connection.execute(completed)}

    async def oldest_queued(self) -> Mapping[str, float]:
        """Return since when a job of each type waits that nobody has begun; see `Past`.

        Of rows that an older release wrote it is known when they were made.
        """
        since = func.coalesce(JOBS.c.opened_at, JOBS.c.created_at)
        asked = select(JOBS.c.job_type, func.min(since)).group_by(JOBS.c.job_type)
        async with self._database.reading(STATS_SECONDS) as connection:
            rows = await connection.execute(asked.where(JOBS.c.status == Status.QUEUED.value))
            return {kind: float(at) for kind, at in rows}

    async def stats(self, may_see: Callable[[str], bool], asked: StatsQuery) -> list[TypeStats]:
        """Return statistics of the finished jobs of every type, by name; percentiles by the nearest rank."""
        async with self._database.reading(STATS_SECONDS) as connection:
            projects = [asked.project] if asked.project is not None else await _projects(connection, may_see)
            counted = await connection.execute(_counted(asked, projects))
            counts = {kind: (finished, completed) for kind, finished, completed in counted}
            durations = {row.job_type: _durations(row) for row in await connection.execute(_jobs(asked, projects))}
            stages: dict[str, dict[str, Durations]] = {}
            for row in await connection.execute(_stages(asked, projects)):
                stages.setdefault(row.job_type, {})[row.stage] = _durations(row)
        return [
            TypeStats(kind, finished, completed, durations.get(kind), stages.get(kind, {}))
            for kind, (finished, completed) in sorted(counts.items())
        ]


async def timeline(connection: AsyncConnection, job_id: str, after: int, limit: int) -> list[Event]:
    """Return the job's recorded events numbered above `after`, oldest first."""
    mine = select(TIMELINE).where(TIMELINE.c.job_id == job_id, TIMELINE.c.number > after)
    return [event_of(row) for row in await connection.execute(mine.order_by(TIMELINE.c.number).limit(limit))]


async def _projects(connection: AsyncConnection, may_see: Callable[[str], bool]) -> list[str]:
    return [name for (name,) in await connection.execute(select(PROJECTS.c.project)) if may_see(name)]


def _filters(table: Any, asked: StatsQuery, projects: Sequence[str]) -> list[ColumnElement[bool]]:
    filters = [table.c.project.in_(projects), table.c.finished_at.is_not(None)]
    if asked.job_type is not None:
        filters.append(table.c.job_type == asked.job_type)
    if asked.since is not None:
        filters.append(table.c.finished_at >= asked.since)
    return filters


def _counted(asked: StatsQuery, projects: Sequence[str]) -> Select[Any]:
    completed = func.sum(case((JOBS.c.status == Status.COMPLETED.value, 1), else_=0))
    counted = select(JOBS.c.job_type, func.count(), completed).where(*_filters(JOBS, asked, projects))
    return counted.group_by(JOBS.c.job_type)


def _jobs(asked: StatsQuery, projects: Sequence[str]) -> Select[Any]:
    completed = (JOBS.c.status == Status.COMPLETED.value, JOBS.c.started_at.is_not(None))
    seconds = (JOBS.c.finished_at - JOBS.c.started_at).label("seconds")
    return _percentiles(
        select(JOBS.c.job_type, seconds).where(*_filters(JOBS, asked, projects), *completed).subquery(), "job_type"
    )


def _stages(asked: StatsQuery, projects: Sequence[str]) -> Select[Any]:
    completed = STAGES.c.outcome == Status.COMPLETED.value
    jobs = select(JOBS.c.job_id).where(*_filters(JOBS, asked, projects))
    ended = select(STAGES.c.job_type, STAGES.c.stage, STAGES.c.seconds)
    return _percentiles(ended.where(STAGES.c.job_id.in_(jobs), completed).subquery(), "job_type", "stage")


def _last(job_type: str, successes: int) -> Select[Any]:
    """Return the query of the last jobs of a type that completed, a row for each stage in the order of their ends.

    What they waited is no part of how long they took. It may be one of when they were halfway, so that is known only of
    those that never waited.
    """
    waited = func.coalesce(JOBS.c.waited_seconds, 0.0)
    seconds = (JOBS.c.finished_at - JOBS.c.started_at - waited).label("took")
    halfway = case((waited == 0.0, JOBS.c.halfway_seconds)).label("halfway_seconds")
    completed = (JOBS.c.job_type == job_type, JOBS.c.status == Status.COMPLETED.value, JOBS.c.started_at.is_not(None))
    jobs = select(JOBS.c.job_id, seconds, halfway).where(*completed)
    last = jobs.order_by(JOBS.c.finished_at.desc()).limit(successes).subquery()
    is_stage = (STAGES.c.job_id == last.c.job_id) & (STAGES.c.outcome == Status.COMPLETED.value)
    rows = select(last, STAGES.c.attempt, STAGES.c.stage, STAGES.c.seconds)
    return rows.select_from(last.outerjoin(STAGES, is_stage)).order_by(STAGES.c.attempt, STAGES.c.finished_at)


def _runs(rows: Iterable[Any]) -> list[Run]:
    """Return the runs of such rows; of several attempts the last one's stages."""
    found: dict[str, tuple[int | None, Run]] = {}
    for row in rows:
        attempt, run = found.get(row.job_id, (None, None))
        if run is None or attempt != row.attempt:
            run = Run(max(0.0, row.took), {}, row.halfway_seconds)
        if row.stage is not None:
            run = run._replace(stages={**run.stages, row.stage: row.seconds})
        found[row.job_id] = (row.attempt, run)
    return [run for _, run in found.values()]


def _percentiles(values: Subquery, *names: str) -> Select[Any]:
    """Return the query of count and percentiles of `seconds` by some columns: both dialects know window functions."""
    by = [values.c[name] for name in names]
    rank = func.row_number().over(partition_by=by, order_by=values.c.seconds).label("rank")
    total = func.count().over(partition_by=by).label("total")
    ranked = select(*by, values.c.seconds, rank, total).subquery()
    at = [
        func.max(case((ranked.c.rank == (ranked.c.total * percent + 99) // 100, ranked.c.seconds))).label(f"p{percent}")
        for percent in PERCENTS
    ]
    groups = [ranked.c[name] for name in names]
    return select(*groups, func.max(ranked.c.total).label("total"), *at).group_by(*groups)


def _durations(row: Any) -> Durations:
    return Durations(row.total, *(round(float(value), 3) for value in (row.p50, row.p95, row.p99)))
