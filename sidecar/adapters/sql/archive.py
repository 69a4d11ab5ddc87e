"""The recorder's side of SQL: what Redis knows is joined in, with the position up to which it is."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.codec import decode_job
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.rows import NO_COPY, Row, job_row
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, OF_REDIS, RECORDED, STAGES, TIMELINE, TOMBSTONES, UNRECORDED
from sidecar.adapters.sql.writes import (
    Order,
    append_lines,
    bury,
    forget_jobs,
    lock_projects,
    move_projects,
    store_jobs,
    upsert,
)
from sidecar.core.errors import Unreadable
from sidecar.core.job import Event, Job
from sidecar.core.merge import united
from sidecar.core.view import View
from sidecar.history import BEGINNING, Ahead, Batch, Buried, Line, Recorded, SupersededError
from sidecar.ports import Cursor, Gone, Stored

logger = logging.getLogger(__name__)

MOST_UNREAD = 1_000

RECORD_SECONDS = 10.0
"""Deadline of recording a batch, of which nobody waits for the answer."""


class SqlArchive:
    """`Archive` over SQL."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """Keep the database; `clock` gives Unix seconds."""
        self._database = database
        self._clock = clock
        self._unread: set[str] = set()

    async def recorded(self, project: str) -> Recorded:
        """Return up to where a project is recorded."""
        async with self._database.reading() as connection:
            return await _recorded(connection, project)

    async def record(self, project: str, batch: Batch, before: Recorded, after: Recorded) -> None:
        """Join a batch in; see `Archive`."""
        async with self._database.writing(RECORD_SECONDS) as connection:
            order = (await lock_projects(connection, [project]))[project]
            if await _recorded(connection, project) != before:
                raise SupersededError
            batch = await _without_buried(connection, batch)
            last = await _write_lines(connection, project, batch.lines)
            await _forget(connection, batch.changes)
            stored = [change for change in batch.changes if isinstance(change, Stored)]
            await self._join(connection, stored, last, order)
            row = {"project": project, "position": after.position, "epoch": after.cursor.epoch, "rev": after.cursor.rev}
            await upsert(connection, RECORDED, [row])
            await move_projects(connection, {project: order})

    async def ahead(self, limit: int) -> tuple[list[Ahead], list[Buried]]:
        """Return what Redis has yet to be told; see `Archive`."""
        is_deleted_first = exists().where(TOMBSTONES.c.job_id == JOBS.c.job_id, TOMBSTONES.c.is_ahead)
        jobs = select(JOBS.c.job_id, JOBS.c.document).where(
            JOBS.c.is_ahead, JOBS.c.job_id.not_in(self._unread), ~is_deleted_first
        )
        gone = select(TOMBSTONES).where(TOMBSTONES.c.is_ahead).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(jobs.limit(limit))).all()
            buried = (await connection.execute(gone)).all()
        return list(self._ahead(rows)), [Buried(row.job_id, row.project, row.created_at) for row in buried]

    def _ahead(self, rows: Iterable[Any]) -> Iterator[Ahead]:
        """Yield those of the jobs that can be read; the others keep nobody from being told, and wait for a release."""
        for row in rows:
            try:
                yield Ahead(decode_job(row.document), row.document)
            except Unreadable as error:
                if len(self._unread) < MOST_UNREAD:
                    self._unread.add(row.job_id)
                told = {"job_id": row.job_id, "error": str(error)}
                logger.error("a job in SQL cannot be read, and waits for a release that can", extra={"fields": told})  # noqa: TRY400

    async def has(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those of the jobs that are kept here in this version."""
        mine = select(JOBS.c.job_id, JOBS.c.version).where(
            JOBS.c.job_id.in_([job.job_id for job in jobs]), JOBS.c.is_ahead.is_(False)
        )
        async with self._database.reading() as connection:
            versions = {row.job_id: row.version for row in await connection.execute(mine)}
        return [job for job in jobs if versions.get(job.job_id) == job.version]

    async def told(self, jobs: Sequence[Ahead], buried: Sequence[Buried]) -> None:
        """Note that Redis has been told.

        Who told it a job that was deleted meanwhile may have been later than who told it of that: it is told once more.
        """
        told_ids = [each.job.job_id for each in jobs]
        is_gone = ~exists().where(JOBS.c.job_id == TOMBSTONES.c.job_id)
        again = update(TOMBSTONES).where(TOMBSTONES.c.job_id.in_(told_ids), is_gone).values(is_ahead=True)
        async with self._database.writing(RECORD_SECONDS) as connection:
            await lock_projects(connection, [*(each.job.project for each in jobs), *(each.project for each in buried)])
            for each in jobs:
                mine = update(JOBS).where(JOBS.c.job_id == each.job.job_id, JOBS.c.document == each.stamp)
                await connection.execute(mine.values(is_ahead=False))
            for gone in buried:
                mine = update(TOMBSTONES).where(
                    TOMBSTONES.c.job_id == gone.job_id, TOMBSTONES.c.created_at == gone.created_at
                )
                await connection.execute(mine.values(is_ahead=False))
            await connection.execute(again)

    async def forget(self, finished_before: float, limit: int) -> int:
        """Remove old jobs; see `Archive`."""
        old = (JOBS.c.finished_at < finished_before, JOBS.c.is_ahead.is_(False))
        stale = (TOMBSTONES.c.deleted_at < finished_before, TOMBSTONES.c.is_ahead.is_(False))
        found = select(JOBS.c.job_id, JOBS.c.project).where(*old).order_by(JOBS.c.finished_at).limit(limit)
        buried = select(TOMBSTONES.c.job_id, TOMBSTONES.c.project).where(*stale).limit(limit)
        async with self._database.writing(RECORD_SECONDS) as connection:
            jobs, tombs = [dict((await connection.execute(asked)).all()) for asked in (found, buried)]
            await lock_projects(connection, {*jobs.values(), *tombs.values()})
            still_old = select(JOBS.c.job_id).where(JOBS.c.job_id.in_(jobs), *old)  # now nobody changes them
            await forget_jobs(connection, (await connection.execute(still_old)).scalars().all())
            await connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.job_id.in_(tombs), *stale))
        return len(jobs)

    async def _join(
        self, connection: AsyncConnection, changes: Sequence[Stored], last: dict[str, int], order: Order
    ) -> None:
        """Join jobs in as Redis has them; one that is no copy of an earlier state is united with it."""
        known = await _known(connection, changes) if changes else {}
        joined: list[tuple[Stored, View]] = []
        lines: list[tuple[str, Event]] = []
        for change in changes:
            job, row = change.view.job, known.get(change.view.job.job_id)
            if row is None or _is_copy(row, change):
                joined.append((change, change.view))
            elif (kept := _readable(row.document)) is not None:  # else a newer release has written it, and will join it
                outcome = united(change.view, kept, self._clock())
                lines += [(job.job_id, line) for line in outcome.events]
                joined.append((change, outcome.view))
        last |= await append_lines(connection, lines)
        await store_jobs(connection, [_stored(*each, last, order) for each in joined])


def _stored(change: Stored, shown: View, last: Mapping[str, int], order: Order) -> tuple[View, Row]:
    """Return a job and its row: a copy of Redis' if it is just that, else ahead of it."""
    count = last.get(shown.job.job_id, 0)
    if count > shown.job.event_count:  # the other side of a split has written lines as well
        shown = shown._replace(job=shown.job._replace(event_count=count))
    is_copy = shown.job is change.view.job
    return shown, job_row(shown, order.next(), change.cursor if is_copy else NO_COPY, is_ahead=not is_copy)


def _is_copy(row: Any, change: Stored) -> bool:
    """Whether a row is a copy of an earlier state of this very job, in the same epoch: then nothing is to be joined.

    A job that was begun anew, as SQL was not there to be asked, has another time of creation.
    """
    return bool(row.copied_epoch == change.cursor.epoch and row.created_at == change.view.job.created_at)


def _readable(document: bytes) -> Job | None:
    try:
        return decode_job(document)
    except Unreadable:
        return None


async def _recorded(connection: AsyncConnection, project: str) -> Recorded:
    row = (await connection.execute(select(RECORDED).where(RECORDED.c.project == project))).one_or_none()
    return BEGINNING if row is None else Recorded(Cursor(row.epoch, row.rev), row.position)


async def _known(connection: AsyncConnection, changes: Iterable[Stored]) -> dict[str, Any]:
    """Return what is known of the jobs: of copies not the document, which is not needed."""
    by_id = {change.view.job.job_id: change for change in changes}
    mine = select(JOBS.c.job_id, JOBS.c.copied_epoch, JOBS.c.created_at).where(JOBS.c.job_id.in_(by_id))
    known = {row.job_id: row for row in await connection.execute(mine)}
    others = [job_id for job_id, row in known.items() if not _is_copy(row, by_id[job_id])]
    if others:
        whole = mine.add_columns(JOBS.c.document).where(JOBS.c.job_id.in_(others))
        known |= {row.job_id: row for row in await connection.execute(whole)}
    return known


async def _without_buried(connection: AsyncConnection, batch: Batch) -> Batch:
    """Return a batch without what Redis still has, or had, of jobs that were deleted here."""
    ids = {line.job_id for line in batch.lines}
    ids |= {change.view.job.job_id for change in batch.changes if isinstance(change, Stored)}
    asked = select(TOMBSTONES).where(TOMBSTONES.c.job_id.in_(ids))
    tombs = {row.job_id: row for row in await connection.execute(asked)}
    if not tombs:
        return batch
    lines = [line for line in batch.lines if not _is_of_buried(line, tombs.get(line.job_id))]
    for line in lines:
        if _is_recorded_by(line, tombs.get(line.job_id)):
            del tombs[line.job_id]  # the changes were read after its deletion
    changes = [
        each
        for each in batch.changes
        if isinstance(each, Gone) or not _is_buried(each, tombs.get(each.view.job.job_id))
    ]
    return Batch(lines, changes)


def _is_of_buried(line: Line, tomb: Any) -> bool:
    is_of_sql = tomb is not None and tomb.rev > OF_REDIS
    return is_of_sql and line.event.type != "deleted" and line.event.at <= tomb.deleted_at


def _is_recorded_by(line: Line, tomb: Any) -> bool:
    """Whether this is the deletion for which the tombstone stands, and nothing was told Redis after it."""
    is_waiting = tomb is not None and tomb.rev == UNRECORDED and not tomb.is_ahead
    return is_waiting and line.event.type == "deleted" and line.event.details.get("created_at") == tomb.created_at


def _is_buried(change: Stored, tomb: Any) -> bool:
    """Whether Redis has yet to hear that a job was deleted, or this was read before it deleted the job itself.

    One that it has although it was told was given back.
    """
    is_old = tomb is not None and (tomb.is_ahead or tomb.rev == UNRECORDED)
    return is_old and change.view.job.created_at <= tomb.created_at


async def _write_lines(connection: AsyncConnection, project: str, lines: Sequence[Line]) -> dict[str, int]:
    """Append lines; one that tells of a deletion removes what was there before it of its job."""
    last: dict[str, int] = {}
    for is_deletion, told in groupby(lines, lambda line: line.event.type == "deleted"):
        if is_deletion:
            for line in told:
                await _delete(connection, project, line)
                last.pop(line.job_id, None)
        else:
            last |= await append_lines(connection, [(line.job_id, line.event) for line in told])
    return last


async def _delete(connection: AsyncConnection, project: str, line: Line) -> None:
    """Forget a deleted job, but not a later one of the same id."""
    created_at = line.event.details.get("created_at", line.event.at)
    await bury(connection, Buried(line.job_id, project, created_at), line.event.at, is_recorded=True)
    later = select(JOBS.c.created_at).where(JOBS.c.job_id == line.job_id, JOBS.c.created_at > created_at)
    begun_at = (await connection.execute(later)).scalar()
    # Redis may have been told of the deletion long after the later job began
    is_old = TIMELINE.c.at <= line.event.at if begun_at is None else TIMELINE.c.at < begun_at
    await connection.execute(delete(TIMELINE).where(TIMELINE.c.job_id == line.job_id, is_old))
    if begun_at is None:
        for table in (JOBS, ATTEMPTS, STAGES):
            await connection.execute(delete(table).where(table.c.job_id == line.job_id))


async def _forget(connection: AsyncConnection, changes: Sequence[Stored | Gone]) -> None:
    """Forget the jobs that Redis says are gone, but those of which SQL knows more, or which came after a deletion."""
    ids = [change.job_id for change in changes if isinstance(change, Gone)]
    if ids:
        is_later = exists().where(TOMBSTONES.c.job_id == JOBS.c.job_id, TOMBSTONES.c.created_at < JOBS.c.created_at)
        ahead = select(JOBS.c.job_id).where(JOBS.c.job_id.in_(ids), JOBS.c.is_ahead | is_later)
        kept = set((await connection.execute(ahead)).scalars().all())
        await forget_jobs(connection, [job_id for job_id in ids if job_id not in kept])
