"""What has changed of a project since a rev, as SQL has it."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.sql.rows import stored_of
from sidecar.adapters.sql.tables import JOBS, OF_REDIS, PROJECTS, TOMBSTONES
from sidecar.ports import Cursor, Gone, Missed, Stored


async def read_changes(
    connection: AsyncConnection, project: str, rev: int, limit: int, finished_after: float
) -> Missed:
    """Return what changed after a rev, but not what finished long ago; see `Feed`."""
    order = (await connection.execute(select(PROJECTS).where(PROJECTS.c.project == project))).one_or_none()
    if order is None:
        return Missed(Cursor("", 0), (), is_more=False)
    base = await _base(connection, project)
    changes = await _jobs_since(connection, order, rev, limit + 1, finished_after)
    changes = sorted([*changes, *await _gone_since(connection, order, rev, limit + 1)], key=_rev)
    is_more = len(changes) > limit
    return Missed(
        Cursor(order.epoch, order.rev), tuple(changes[:limit]), is_more, order.rev if base is None else base - 1
    )


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
) -> list[Stored | Gone]:
    """Return jobs of a project that changed after a rev, in ascending rev; not what finished long ago."""
    asked = select(JOBS.c.document, JOBS.c.rev).where(
        JOBS.c.project == order.project,
        JOBS.c.rev > rev,
        JOBS.c.finished_at.is_(None) | (JOBS.c.finished_at > finished_after),
    )
    found = await connection.execute(asked.order_by(JOBS.c.rev).limit(limit))
    return [stored_of(row.document, order.epoch, row.rev) for row in found]


async def _gone_since(connection: AsyncConnection, order: Any, rev: int, limit: int) -> list[Gone]:
    """Return jobs of a project that were deleted after a rev."""
    asked = select(TOMBSTONES.c.job_id, TOMBSTONES.c.rev)
    asked = asked.where(TOMBSTONES.c.project == order.project, TOMBSTONES.c.rev > rev)
    found = await connection.execute(asked.order_by(TOMBSTONES.c.rev).limit(limit))
    return [Gone(row.job_id, Cursor(order.epoch, row.rev)) for row in found]


def _rev(change: Stored | Gone) -> int:
    return change.cursor.rev
