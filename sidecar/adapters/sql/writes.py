"""What is done inside a transaction that writes, the same for whoever writes."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Insert, Table, delete, exists, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.sql.rows import Row, attempt_row, event_row, former_attempt_row, stage_rows
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, OF_REDIS, PROJECTS, STAGES, TIMELINE, TOMBSTONES, UNRECORDED
from sidecar.core.job import Event
from sidecar.core.view import View
from sidecar.history import Buried


@dataclass(slots=True)
class Order:
    """A project's order of changes in SQL, locked by this transaction."""

    epoch: str
    rev: int

    def next(self) -> int:
        """Return the place of one more change."""
        self.rev += 1
        return self.rev


Lines = Sequence[tuple[str, Event]]
"""Timeline lines, each with the id of its job."""


async def lock_projects(connection: AsyncConnection, projects: Iterable[str]) -> dict[str, Order]:
    """Return the orders of projects, new ones at their beginning; nobody else changes them until the end."""
    names = sorted(set(projects))
    if not names:
        return {}
    new = [{"project": name, "epoch": f"s{secrets.token_hex(4)}", "rev": 0} for name in names]
    await connection.execute(insert(connection, PROJECTS).on_conflict_do_nothing(), new)
    mine = select(PROJECTS).where(PROJECTS.c.project.in_(names)).order_by(PROJECTS.c.project).with_for_update()
    return {row.project: Order(row.epoch, row.rev) for row in await connection.execute(mine)}


async def lock_new_jobs(connection: AsyncConnection, job_ids: Iterable[str]) -> None:
    """Let nobody else create these jobs, in whatever project, until the end; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        for job_id in sorted(job_ids):
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": job_id})


async def move_projects(connection: AsyncConnection, orders: Mapping[str, Order]) -> None:
    """Store how far the orders have come."""
    for project, order in orders.items():
        await connection.execute(update(PROJECTS).where(PROJECTS.c.project == project).values(rev=order.rev))


async def append_lines(connection: AsyncConnection, lines: Lines) -> dict[str, int]:
    """Append timeline lines that are not there yet; return the last number of each job.

    A line keeps its number unless a line of the other side of a split has taken it.
    """
    if not lines:
        return {}
    job_ids = sorted({job_id for job_id, _ in lines})
    tops = select(TIMELINE.c.job_id, func.max(TIMELINE.c.number)).where(TIMELINE.c.job_id.in_(job_ids))
    last: dict[str, int] = dict((await connection.execute(tops.group_by(TIMELINE.c.job_id))).all())
    known = await _known_events(connection, job_ids, lines) if last else set()
    rows: list[Row] = []
    for job_id, line in lines:
        if (job_id, line.id) not in known:
            known.add((job_id, line.id))
            last[job_id] = max(line.number, last.get(job_id, 0) + 1)
            rows.append(event_row(job_id, line, last[job_id]))
    if rows:
        await connection.execute(insert(connection, TIMELINE), rows)
    former = [row for job_id, line in lines if (row := former_attempt_row(job_id, line)) is not None]
    await upsert(connection, ATTEMPTS, former)
    return last


async def _known_events(connection: AsyncConnection, job_ids: Sequence[str], lines: Lines) -> set[tuple[str, str]]:
    ids = sorted({line.id for _, line in lines})
    mine = select(TIMELINE.c.job_id, TIMELINE.c.event_id)
    found = await connection.execute(mine.where(TIMELINE.c.job_id.in_(job_ids), TIMELINE.c.event_id.in_(ids)))
    return set(found.all())


async def store_jobs(connection: AsyncConnection, jobs: Sequence[tuple[View, Row]]) -> None:
    """Store jobs, each with its row, and what is counted of them."""
    if not jobs:
        return
    await upsert(connection, JOBS, [row for _, row in jobs])
    await upsert(connection, ATTEMPTS, [attempt_row(shown) for shown, _ in jobs])
    await upsert(connection, STAGES, [row for shown, _ in jobs for row in stage_rows(shown)])
    await _unearth(connection, [row["job_id"] for _, row in jobs])


async def _unearth(connection: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Remove the tombstones of jobs that are here again; those of earlier jobs of their ids stay."""
    is_here = exists().where(JOBS.c.job_id == TOMBSTONES.c.job_id, JOBS.c.created_at <= TOMBSTONES.c.created_at)
    await connection.execute(delete(TOMBSTONES).where(TOMBSTONES.c.job_id.in_(job_ids), is_here))


async def bury(connection: AsyncConnection, gone: Buried, deleted_at: float, *, is_recorded: bool) -> None:
    """Keep a tombstone of a job that was deleted in Redis, unless one of that or of a later job of its id is there.

    If Redis is to be told of one, it still is.
    """
    made = insert(connection, TOMBSTONES).values(
        job_id=gone.job_id,
        project=gone.project,
        rev=OF_REDIS if is_recorded else UNRECORDED,
        created_at=gone.created_at,
        deleted_at=deleted_at,
        is_ahead=False,
    )
    others = {name: made.excluded[name] for name in ("project", "rev", "created_at", "deleted_at")}
    is_same = made.excluded.created_at == TOMBSTONES.c.created_at
    is_later = (made.excluded.created_at > TOMBSTONES.c.created_at) | (is_same & (TOMBSTONES.c.rev == UNRECORDED))
    await connection.execute(made.on_conflict_do_update(index_elements=["job_id"], set_=others, where=is_later))


async def forget_jobs(connection: AsyncConnection, job_ids: Sequence[str]) -> None:
    """Remove jobs with all that is known of them."""
    for table in (JOBS, TIMELINE, ATTEMPTS, STAGES):
        await connection.execute(delete(table).where(table.c.job_id.in_(job_ids)))


async def upsert(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows in the place of those with the same key."""
    if not rows:
        return
    made = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: made.excluded[column.name] for column in table.columns if column.name not in keys}
    await connection.execute(made.on_conflict_do_update(index_elements=keys, set_=others), list(rows))


def insert(connection: AsyncConnection, table: Table) -> Any:
    """Return an INSERT of the dialect in use: both know ON CONFLICT, each in a class of its own."""
    made: Insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    return made
