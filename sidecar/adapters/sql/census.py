"""How many jobs are unfinished, and which need somebody's eye: out of the rows of the jobs."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from sqlalchemy import func, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.codec import decode_job
from sidecar.adapters.sql.logbook import read_watch
from sidecar.adapters.sql.tables import JOBS
from sidecar.core.errors import Unreadable
from sidecar.core.job import StallReason
from sidecar.core.stalls import Settling
from sidecar.core.view import View, view
from sidecar.ports import Counts


async def read_counts(connection: AsyncConnection) -> Counts:
    """Return how many jobs are unfinished, and of these stuck, as they were when Redis was last there."""
    jobs = await _numbers(connection, JOBS.c.job_type, JOBS.c.status)
    stalled = await _numbers(connection, JOBS.c.job_type, JOBS.c.stall_reason)
    watch = await read_watch(connection)
    return Counts(jobs=jobs, stalled=stalled, settling=Settling() if watch is None else watch.settling)


async def _numbers(connection: AsyncConnection, *kinds: Any) -> dict[tuple[str, str], int]:
    """Return how many unfinished jobs there are of each kind, of which no part is unknown."""
    asked = select(*kinds, func.count()).where(JOBS.c.finished_at.is_(None), *(each.is_not(None) for each in kinds))
    rows = (await connection.execute(asked.group_by(*kinds))).all()
    return {(row[0], row[1]): row[2] for row in rows}


async def read_outstanding(connection: AsyncConnection, limit: int) -> list[View]:
    """Return unfinished jobs: those stuck for the longest, what nobody began last, then the idle ones.

    However many wait, they hide none that runs.
    """
    unfinished = select(JOBS.c.job_id, JOBS.c.document).where(JOBS.c.finished_at.is_(None)).limit(limit)
    stuck = unfinished.order_by(JOBS.c.stalled_since)
    waits = JOBS.c.stall_reason == StallReason.NOT_STARTED.value
    found: dict[str, bytes] = {}
    for asked in (
        stuck.where(JOBS.c.stall_reason.is_not(None), not_(waits)),
        stuck.where(JOBS.c.stall_reason.is_not(None), waits),
        unfinished.order_by(JOBS.c.progress_at),
    ):
        if len(found) < limit:
            for job_id, document in await connection.execute(asked):
                found.setdefault(job_id, document)
    return list(islice(_readable(found.values()), limit))


def _readable(documents: Iterable[bytes]) -> Iterator[View]:
    """Yield the jobs of these documents; one that this release cannot read keeps no other from being told of."""
    for document in documents:
        with suppress(Unreadable):
            yield view(decode_job(document))
