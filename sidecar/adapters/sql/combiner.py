"""Many changes in one transaction: what arrives while one is under way goes into the next one."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.queues.decision import Decision, decided
from sidecar.adapters.queues.flush_queue import FlushQueue
from sidecar.adapters.queues.pending import Change
from sidecar.adapters.redis.combiner import admit_all
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.lookup import projects_of, rows_of
from sidecar.adapters.sql.rows import Row, job_of, job_row
from sidecar.adapters.sql.writes import Order, append_lines, lock_new_jobs, lock_projects, move_projects, store_jobs
from sidecar.core.errors import Unreadable
from sidecar.core.merge import fork
from sidecar.core.view import View, view
from sidecar.ports import ChangeJob, Cursor, Written

FLUSH_SECONDS_A_CALL = 2.0
"""Deadline of a transaction, in multiples of that of a single call: it may carry a hundred jobs."""


class SqlCombiner:
    """Writes changes, and marks what it writes as ahead of Redis."""

    def __init__(self, database: Database) -> None:
        """Keep the database."""
        self._database = database
        self._queue = FlushQueue(self._flush, database.timeout_seconds)

    async def submit(self, job_id: str, change: ChangeJob) -> Written:
        """Apply a change with the next transaction; see `FlushQueue`."""
        return await self._queue.submit("", job_id, change, is_entered=True)

    async def submit_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Apply changes with the next transactions; see `FlushQueue`."""
        return await self._queue.submit_many("", changes, {job_id for job_id, _ in changes})

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
        projects = await projects_of(connection, by_job)
        if new := by_job.keys() - projects.keys():
            await lock_new_jobs(connection, new)
            projects |= await projects_of(connection, new)
        for job_id, changes in by_job.items():
            if job_id not in projects:
                projects[job_id] = _project_of_first(changes)
        orders = await lock_projects(connection, filter(None, projects.values()))
        rows = await rows_of(connection, by_job)
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
