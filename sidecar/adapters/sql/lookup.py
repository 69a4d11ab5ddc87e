"""Jobs by their ids: in which projects they are, and what is stored of them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.sql.tables import JOBS


async def projects_of(connection: AsyncConnection, job_ids: Any) -> dict[str, str]:
    """Return the projects of those of the jobs that are there."""
    mine = select(JOBS.c.job_id, JOBS.c.project).where(JOBS.c.job_id.in_(sorted(job_ids)))
    return dict((await connection.execute(mine)).all())


async def rows_of(connection: AsyncConnection, job_ids: Any) -> dict[str, Any]:
    """Return rev and document of those of the jobs that are there."""
    mine = select(JOBS.c.job_id, JOBS.c.rev, JOBS.c.document).where(JOBS.c.job_id.in_(sorted(job_ids)))
    return {row.job_id: row for row in await connection.execute(mine)}
