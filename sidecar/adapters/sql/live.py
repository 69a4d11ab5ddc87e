"""The store that serves while Redis is away: every change in a transaction, and all that is read of jobs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.codec import decode_job
from sidecar.adapters.decision import Decision, decided
from sidecar.adapters.flush_queue import FlushQueue
from sidecar.adapters.pending import Change
from sidecar.adapters.read_queue import ReadQueue
from sidecar.adapters.redis.combiner import admit_all
from sidecar.adapters.sql.census import read_counts, read_outstanding
from sidecar.adapters.sql.changes import read_changes
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import timeline
from sidecar.adapters.sql.listing import read_page
from sidecar.adapters.sql.rows import Row, job_of, job_row, stored_of
from sidecar.adapters.sql.tables import JOBS, PROJECTS, TOMBSTONES
from sidecar.adapters.sql.writes import (
    Order,
    append_lines,
    forget_jobs,
    lock_new_jobs,
    lock_projects,
    move_projects,
    store_jobs,
    upsert,
)
from sidecar.core.errors import HistoryUnavailable, Unreadable
from sidecar.core.job import Event, Job
from sidecar.core.merge import fork
from sidecar.core.view import View, view
from sidecar.ports import ChangeJob, Counts, Cursor, Missed, Page, Query, Stored, Written

FLUSH_SECONDS_A_CALL = 2.0
"""Deadline of a transaction, in multiples of that of a single call: it may carry a hundred jobs."""


class SqlLive:
    """`LiveStore`, `Feed` and `Census` over SQL.

    What it writes is marked as ahead of Redis. Many changes that arrive together are one transaction.
    """

    def __init__(self, database: Database, clock: Callable[[], float], finished_seconds: float = 3600.0) -> None:
        """Keep the database; jobs that finished longer ago are no changes any more."""
        self._database = database
        self._clock = clock
        self._finished_seconds = finished_seconds
        self._queue = FlushQueue(self._flush, database.timeout_seconds)
        self._reads = ReadQueue(self._read, database.timeout_seconds, HistoryUnavailable)
        self._recalls = ReadQueue(self._recall, database.timeout_seconds, HistoryUnavailable)

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply `change` atomically; see `LiveStore`."""
        return await self._queue.submit("", job_id, change, is_entered=True)

    async def update_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Apply changes of many jobs; see `LiveStore`."""
        return await self._queue.submit_many("", changes, {job_id for job_id, _ in changes})

    async def get(self, job_id: str) -> Stored | None:
        """Return the job as SQL holds it now."""
        return await self._reads.get(job_id)

    async def recall(self, job_id: str) -> Stored | None:
        """Return a job that has left Redis, with the cursor that it had there."""
        return await self._recalls.get(job_id)

    async def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of the jobs that are there."""
        async with self._database.reading() as connection:
            return {job_id: job_of(row.document, "") for job_id, row in (await _rows(connection, job_ids)).items()}

    async def is_buried(self, job: Job) -> bool:
        """Whether a job, and not an earlier one of its id, was deleted here."""
        mine = select(TOMBSTONES.c.job_id).where(
            TOMBSTONES.c.job_id == job.job_id, TOMBSTONES.c.created_at >= job.created_at
        )
        async with self._database.reading() as connection:
            return (await connection.execute(mine)).first() is not None

    async def page(self, query: Query) -> Page:
        """Return a page of jobs; see `LiveStore`."""
        async with self._database.reading() as connection:
            return await read_page(connection, query)

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget the job if `check` does not object, and keep a tombstone until Redis has been told."""
        async with self._database.writing() as connection:
            project = (await _projects_of(connection, [job_id])).get(job_id)
            if project is None:
                return False
            order = (await lock_projects(connection, [project]))[project]
            row = (await _rows(connection, [job_id])).get(job_id)
            if row is None:
                return False
            job = job_of(row.document, order.epoch)
            check(job)
            await forget_jobs(connection, [job_id])
            await upsert(connection, TOMBSTONES, [_tombstone(job, order.next(), self._clock())])
            await move_projects(connection, {project: order})
        return True

    async def remove(self, job: Job) -> None:
        """Forget a job that Redis has been told to forget, but not a later one of its id."""
        later = select(JOBS.c.job_id).where(JOBS.c.job_id == job.job_id, JOBS.c.created_at > job.created_at)
        async with self._database.writing() as connection:
            await lock_projects(connection, [job.project])
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
            documents = await read_outstanding(connection, limit)
        return [view(decode_job(document)) for document in documents]

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

    async def _flush(self, batch: list[Change]) -> None:
        """Decide and write one batch in one transaction, then answer."""
        by_job: dict[str, list[Change]] = {}
        for change in batch:
            by_job.setdefault(change.job_id, []).append(change)
        async with self._database.writing(FLUSH_SECONDS_A_CALL * self._database.timeout_seconds) as connection:
            answers = await self._write(connection, by_job)
        for decision, cursor in answers:
            decision.answer(cursor)

    async def _write(
        self, connection: AsyncConnection, by_job: Mapping[str, list[Change]]
    ) -> list[tuple[Decision, Cursor]]:
        projects = await _projects_of(connection, by_job)
        if new := by_job.keys() - projects.keys():
            await lock_new_jobs(connection, new)
            projects |= await _projects_of(connection, new)
        for job_id, changes in by_job.items():
            if job_id not in projects:
                projects[job_id] = _project_of_first(changes)
        orders = await lock_projects(connection, filter(None, projects.values()))
        rows = await _rows(connection, by_job)
        written: list[tuple[Decision, View]] = []
        answers: list[tuple[Decision, Cursor]] = []
        for job_id, changes in by_job.items():
            order, row = orders.get(projects[job_id]), rows.get(job_id)
            try:
                before = None if row is None or order is None else view(job_of(row.document, order.epoch))
            except Unreadable as error:
                self._queue.fail(changes, error)
                continue
            decision = decided(projects[job_id], before, changes, admit_all)
            rev = 0 if row is None else row.rev
            if order is not None and decision.view is not None and decision.is_write:
                if before is None or decision.view.job.version != before.job.version:
                    rev = order.next()
                written.append((decision, decision.view))
            answers.append((decision, Cursor("" if order is None else order.epoch, rev)))
        cursors = {decision.changes[0].job_id: cursor for decision, cursor in answers}
        await _store(connection, written, cursors, orders)
        return answers


async def _store(
    connection: AsyncConnection,
    written: Sequence[tuple[Decision, View]],
    cursors: Mapping[str, Cursor],
    orders: Mapping[str, Order],
) -> None:
    """Store what was decided: the lines first, as they tell how long the timeline has become."""
    if not written:
        return
    lines = [(shown.job.job_id, line) for decision, shown in written for line in decision.events]
    last = await append_lines(connection, lines)
    stored: list[tuple[View, Row]] = []
    for _, shown in written:
        job = shown.job
        cursor = cursors[job.job_id]
        owned = fork(job._replace(event_count=max(job.event_count, last.get(job.job_id, 0))), cursor.epoch)
        stored.append((shown, job_row(shown._replace(job=owned), cursor.rev, is_ahead=True)))
    await store_jobs(connection, stored)
    await move_projects(connection, orders)


def _project_of_first(changes: Sequence[Change]) -> str:
    """Return the project in which the first change that can create the job does so, "" if none can."""
    for change in changes:
        try:
            return change.change(None).job.project
        except Exception:  # noqa: BLE001, S112 - each caller is answered with its own later
            continue
    return ""


async def _projects_of(connection: AsyncConnection, job_ids: Any) -> dict[str, str]:
    mine = select(JOBS.c.job_id, JOBS.c.project).where(JOBS.c.job_id.in_(sorted(job_ids)))
    return dict((await connection.execute(mine)).all())


async def _rows(connection: AsyncConnection, job_ids: Any) -> dict[str, Any]:
    mine = select(JOBS.c.job_id, JOBS.c.rev, JOBS.c.document).where(JOBS.c.job_id.in_(sorted(job_ids)))
    return {row.job_id: row for row in await connection.execute(mine)}


def _tombstone(job: Job, rev: int, now: float) -> Row:
    return {
        "job_id": job.job_id,
        "project": job.project,
        "rev": rev,
        "created_at": job.created_at,
        "deleted_at": now,
        "is_ahead": True,
    }
