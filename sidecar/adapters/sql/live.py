"""The store that serves while Redis is away: every change in a transaction, and all that is read of jobs."""

from collections.abc import Callable, Sequence
from math import inf

from sqlalchemy import select

from sidecar.adapters.queues.read_queue import ReadQueue
from sidecar.adapters.sql.census import read_counts, read_outstanding
from sidecar.adapters.sql.changes import read_changes
from sidecar.adapters.sql.combiner import SqlCombiner
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import timeline
from sidecar.adapters.sql.listing import read_page
from sidecar.adapters.sql.lookup import projects_of, rows_of
from sidecar.adapters.sql.rows import Row, job_of, stored_of
from sidecar.adapters.sql.tables import JOBS, PROJECTS, TOMBSTONES
from sidecar.adapters.sql.writes import bury, forget_jobs, lock_projects, move_projects, upsert
from sidecar.core.errors import HistoryUnavailable
from sidecar.core.job import Event, Job
from sidecar.core.view import View
from sidecar.history import Buried
from sidecar.ports import ChangeJob, Counts, Missed, Page, Query, Stored, Written


class SqlLive:
    """`LiveStore`, `Feed` and `Census` over SQL.

    What it writes is marked as ahead of Redis. Many changes that arrive together are one transaction.
    """

    def __init__(self, database: Database, clock: Callable[[], float], finished_seconds: float = 3600.0) -> None:
        """Keep the database; jobs that finished longer ago are no changes any more."""
        self._database = database
        self._clock = clock
        self._finished_seconds = finished_seconds
        self._combiner = SqlCombiner(database)
        self._reads = ReadQueue(self._read, database.timeout_seconds, HistoryUnavailable)
        self._recalls = ReadQueue(self._recall, database.timeout_seconds, HistoryUnavailable)

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply `change` atomically; see `LiveStore`."""
        return await self._combiner.submit(job_id, change)

    async def update_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Apply changes of many jobs; see `LiveStore`."""
        return await self._combiner.submit_many(changes)

    async def get(self, job_id: str) -> Stored | None:
        """Return the job as SQL holds it now."""
        return await self._reads.get(job_id)

    async def recall(self, job_id: str) -> Stored | None:
        """Return a job that has left Redis, with the cursor that it had there."""
        return await self._recalls.get(job_id)

    async def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of the jobs that are there."""
        async with self._database.reading() as connection:
            return {job_id: job_of(row.document, "") for job_id, row in (await rows_of(connection, job_ids)).items()}

    async def is_buried(self, job: Job) -> bool:
        """Whether a job, and not an earlier one of its id, was deleted here."""
        return bool(await self.buried([job]))

    async def buried(self, jobs: Sequence[Job]) -> list[str]:
        """Return the ids of those of the jobs that, and not earlier ones of their ids, were deleted here."""
        mine = select(TOMBSTONES.c.job_id, TOMBSTONES.c.created_at)
        async with self._database.reading() as connection:
            asked = mine.where(TOMBSTONES.c.job_id.in_([job.job_id for job in jobs]))
            deleted = dict((await connection.execute(asked)).all())
        return [job.job_id for job in jobs if job.created_at <= deleted.get(job.job_id, -inf)]

    async def page(self, query: Query) -> Page:
        """Return a page of jobs; see `LiveStore`."""
        async with self._database.reading() as connection:
            return await read_page(connection, query)

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget the job if `check` does not object, and keep a tombstone until Redis has been told."""
        async with self._database.writing() as connection:
            project = (await projects_of(connection, [job_id])).get(job_id)
            if project is None:
                return False
            order = (await lock_projects(connection, [project]))[project]
            row = (await rows_of(connection, [job_id])).get(job_id)
            if row is None:
                return False
            job = job_of(row.document, order.epoch)
            check(job)
            await forget_jobs(connection, [job_id])
            await upsert(connection, TOMBSTONES, [_tombstone(job, order.next(), self._clock())])
            await move_projects(connection, {project: order})
        return True

    async def remove(self, job: Job) -> None:
        """Forget a job that was deleted in Redis, but not a later one of its id, and keep a tombstone.

        Another sidecar may still remember the job.
        """
        later = select(JOBS.c.job_id).where(JOBS.c.job_id == job.job_id, JOBS.c.created_at > job.created_at)
        async with self._database.writing() as connection:
            await lock_projects(connection, [job.project])
            gone = Buried(job.job_id, job.project, job.created_at)
            await bury(connection, gone, self._clock(), is_recorded=False)
            if (await connection.execute(later)).first() is None:
                await forget_jobs(connection, [job.job_id])

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Return what changed after a rev; see `Feed`."""
        finished_after = self._clock() - self._finished_seconds
        async with self._database.reading() as connection:
            return await read_changes(connection, project, rev, limit, finished_after)

    async def projects(self) -> list[str]:
        """Return every project that SQL knows."""
        async with self._database.reading() as connection:
            return list((await connection.execute(select(PROJECTS.c.project))).scalars().all())

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's events numbered above `after`, oldest first."""
        async with self._database.reading() as connection:
            return await timeline(connection, job_id, after, limit)

    async def counts(self) -> Counts:
        """Return how many jobs are unfinished, and of these stuck, as they were when Redis was last there."""
        async with self._database.reading() as connection:
            return await read_counts(connection)

    async def outstanding(self, limit: int) -> list[View]:
        """Return unfinished jobs, the most pressing first; see `Census`."""
        async with self._database.reading() as connection:
            return await read_outstanding(connection, limit)

    async def _read(self, job_ids: Sequence[str]) -> dict[str, Stored]:
        mine = select(JOBS.c.job_id, JOBS.c.document, JOBS.c.rev, PROJECTS.c.epoch)
        asked = mine.join(PROJECTS, PROJECTS.c.project == JOBS.c.project).where(JOBS.c.job_id.in_(job_ids))
        async with self._database.reading() as connection:
            rows = (await connection.execute(asked)).all()
        return {row.job_id: stored_of(row.document, row.epoch, row.rev) for row in rows}

    async def _recall(self, job_ids: Sequence[str]) -> dict[str, Stored]:
        mine = select(JOBS.c.job_id, JOBS.c.document, JOBS.c.copied_epoch, JOBS.c.copied_rev)
        async with self._database.reading() as connection:
            rows = (await connection.execute(mine.where(JOBS.c.job_id.in_(job_ids)))).all()
        return {row.job_id: stored_of(row.document, row.copied_epoch, row.copied_rev) for row in rows}


def _tombstone(job: Job, rev: int, now: float) -> Row:
    return {
        "job_id": job.job_id,
        "project": job.project,
        "rev": rev,
        "created_at": job.created_at,
        "deleted_at": now,
        "is_ahead": True,
    }
