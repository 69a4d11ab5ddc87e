"""Lists of jobs out of SQL, in order, filtered and cut into pages."""

from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.matching import matches
from sidecar.adapters.sql.rows import stored_of
from sidecar.adapters.sql.tables import JOBS, PROJECTS
from sidecar.core.errors import Unreadable
from sidecar.ports import Cursor, Order, Page, Place, Query, Stored

CHUNK = 200
MOST_READ = 5_000
"""Documents read for one page at most; a page that would need more ends early, with a next."""


async def read_page(connection: AsyncConnection, query: Query) -> Page:
    """Return the jobs that match, in order, and where the next page begins.

    First as much is read as the page needs if everything matches.
    """
    orders = await _orders(connection, query)
    cursor = None
    if query.project is not None and query.project in orders:
        cursor = orders[query.project]
    found: list[Stored] = []
    last, count, chunk = query.after, 0, min(CHUNK, query.limit + 1)
    while orders and count < MOST_READ:
        asked = _asked(query, list(orders), last, _job_id(connection)).limit(chunk)
        rows = (await connection.execute(asked)).all()
        count += len(rows)
        for row in rows:
            stored = _readable(row, orders[row.project])
            if stored is not None and matches(query, stored.view):
                if len(found) == query.limit:
                    return Page(tuple(found), last, cursor)
                found.append(stored)
            last = Place(row.at, row.job_id)
        if len(rows) < chunk:
            return Page(tuple(found), None, cursor)
        chunk = CHUNK
    return Page(tuple(found), last if orders else None, cursor)


def _readable(row: Any, order: Cursor) -> Stored | None:
    """Return the job of a row, None if this release cannot read it: the others are listed."""
    try:
        return stored_of(row.document, order.epoch, row.rev)
    except Unreadable:
        return None


async def visible_projects(connection: AsyncConnection, query: Any) -> list[str]:
    """Return the projects that a query may look at."""
    if query.project is not None:
        return [query.project]
    return [name for (name,) in await connection.execute(select(PROJECTS.c.project)) if query.may_see(name)]


async def _orders(connection: AsyncConnection, query: Query) -> dict[str, Cursor]:
    asked = select(PROJECTS)
    if query.project is not None:
        asked = asked.where(PROJECTS.c.project == query.project)
    return {
        row.project: Cursor(row.epoch, row.rev)
        for row in await connection.execute(asked)
        if query.project is not None or query.may_see(row.project)
    }


def _job_id(connection: AsyncConnection) -> ColumnElement[str]:
    """Return the id as it is ordered everywhere else, by code points; PostgreSQL would do it by its locale."""
    return JOBS.c.job_id.collate("C") if connection.dialect.name == "postgresql" else JOBS.c.job_id


def _asked(query: Query, projects: list[str], last: Place | None, job_id: ColumnElement[str]) -> Select[Any]:
    at = JOBS.c.updated_at if query.order in (Order.NEWEST_UPDATED, Order.OLDEST_UPDATED) else JOBS.c.created_at
    is_descending = query.order in (Order.NEWEST_CREATED, Order.NEWEST_UPDATED)
    asked = select(JOBS.c.job_id, JOBS.c.project, JOBS.c.rev, JOBS.c.document, at.label("at"))
    asked = asked.where(JOBS.c.project.in_(projects))
    if last is not None:
        place = tuple_(at, job_id)
        here = tuple_(last.at, last.job_id)
        asked = asked.where(place < here if is_descending else place > here)
    for column, value in ((JOBS.c.job_type, query.job_type), (JOBS.c.parent_id, query.parent_id)):
        if value is not None:
            asked = asked.where(column == value)
    if query.statuses:
        asked = asked.where(JOBS.c.status.in_(list(query.statuses)))
    if query.active is not None:
        asked = asked.where(JOBS.c.finished_at.is_(None) if query.active else JOBS.c.finished_at.is_not(None))
    if query.updated_since is not None:
        asked = asked.where(JOBS.c.updated_at >= query.updated_since)
    directions = (at.desc(), job_id.desc()) if is_descending else (at, job_id)
    return asked.order_by(*directions)
