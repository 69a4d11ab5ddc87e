"""What has changed of a project since a rev, as SQL has it."""

from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.sql.rows import stored_of
from sidecar.adapters.sql.tables import JOBS, OF_REDIS, PROJECTS, TOMBSTONES
from sidecar.core.errors import Unreadable
from sidecar.ports import Cursor, Gone, Missed, Stored


class Unread(NamedTuple):
    """A job that waits for a release that can read it, and its place."""

    job_id: str
    rev: int


async def read_changes(
    connection: AsyncConnection, project: str, rev: int, limit: int, finished_after: float
) -> Missed:
    """Return what changed after a rev, but not what finished long ago; see `Feed`.

    What cannot be read is passed over, so that more is read if it is all that was found.
    """
    order = (await connection.execute(select(PROJECTS).where(PROJECTS.c.project == project))).one_or_none()
    if order is None:
        return Missed(Cursor("", 0), (), is_more=False)
    base = await _base(connection, project)
    unread: list[Unread] = []
    while True:
        jobs = await _jobs_since(connection, order, rev, limit + 1, finished_after)
        found = sorted([*jobs, *await _gone_since(connection, order, rev, limit + 1)], key=_rev)
        is_more, found = len(found) > limit, found[:limit]
        changes = tuple(each for each in found if not isinstance(each, Unread))
        unread += [each for each in found if isinstance(each, Unread)]
        if changes or not is_more:
            break
        rev = _rev(found[-1])
    now, seen = Cursor(order.epoch, order.rev), order.rev if base is None else base - 1
    return Missed(now, changes, is_more, seen, unread=tuple(unread))


async def _base(connection: AsyncConnection, project: str) -> int | None:
    """Return the lowest rev of what Redis has yet to be told, of which watchers of SQL hear."""
    lowest = [
        select(func.min(table.c.rev)).where(table.c.project == project, table.c.is_ahead, table.c.rev > OF_REDIS)
        for table in (JOBS, TOMBSTONES)
    ]
    found = [(await connection.execute(asked)).scalar() for asked in lowest]
    return min((rev for rev in found if rev is not None), default=None)


async def _jobs_since(
    connection: AsyncConnection, order: Any, rev: int, limit: int, finished_after: float
) -> list[Stored | Gone | Unread]:
    """Return jobs of a project that changed after a rev, in ascending rev; not what finished long ago."""
    asked = select(JOBS.c.job_id, JOBS.c.document, JOBS.c.rev).where(
        JOBS.c.project == order.project,
        JOBS.c.rev > rev,
        JOBS.c.finished_at.is_(None) | (JOBS.c.finished_at > finished_after),
    )
    found = await connection.execute(asked.order_by(JOBS.c.rev).limit(limit))
    return [_change(row, order.epoch) for row in found]


def _change(row: Any, epoch: str) -> Stored | Unread:
    try:
        return stored_of(row.document, epoch, row.rev)
    except Unreadable:
        return Unread(row.job_id, row.rev)


async def _gone_since(connection: AsyncConnection, order: Any, rev: int, limit: int) -> list[Gone]:
    """Return jobs of a project that were deleted after a rev."""
    asked = select(TOMBSTONES.c.job_id, TOMBSTONES.c.rev)
    asked = asked.where(TOMBSTONES.c.project == order.project, TOMBSTONES.c.rev > rev)
    found = await connection.execute(asked.order_by(TOMBSTONES.c.rev).limit(limit))
    return [Gone(row.job_id, Cursor(order.epoch, row.rev)) for row in found]


def _rev(change: Stored | Gone | Unread) -> int:
    return change.rev if isinstance(change, Unread) else change.cursor.rev
