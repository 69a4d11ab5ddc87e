"""What a recorder has to do with, over a real database."""

from typing import Any

import pytest
from sqlalchemy import select

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, STAGES, TIMELINE, TOMBSTONES
from sidecar.core.job import Job, PlannedStage
from sidecar.history import Batch
from tests.adapters.archive.redis_by_hand import Redis
from tests.adapters.updates import NOON

PLAN = (PlannedStage("load"), PlannedStage("solve"))


@pytest.fixture
def archive(database: Database) -> SqlArchive:
    return SqlArchive(database, lambda: NOON + 1_000)


@pytest.fixture
def sql(database: Database) -> SqlLive:
    return SqlLive(database, lambda: NOON + 1_000)


@pytest.fixture
def history(database: Database) -> SqlHistory:
    return SqlHistory(database)


@pytest.fixture
def redis() -> Redis:
    return Redis()


async def record(archive: SqlArchive, redis: Redis) -> Batch:
    """Record what has happened in Redis since the last time, and return it."""
    batch = redis.taken()
    await archive.record("default", batch, await archive.recorded("default"), redis.recorded)
    return batch


async def job_of(sql: SqlLive, job_id: str = "job-1") -> Job:
    stored = await sql.get(job_id)
    assert stored is not None
    return stored.view.job


async def types(history: SqlHistory, job_id: str = "job-1") -> list[str]:
    return [event.type for event in await history.timeline(job_id, 0, 1_000)]


async def everything(database: Database) -> dict[str, list[Any]]:
    """Return all rows of what is kept, but not their places in SQL's own order."""
    async with database.reading() as connection:
        found = {
            table.name: sorted(map(tuple, (await connection.execute(select(table))).all()), key=repr)
            for table in (TIMELINE, ATTEMPTS, STAGES, TOMBSTONES)
        }
        jobs = select(*(column for column in JOBS.columns if column.name != "rev")).order_by(JOBS.c.job_id)
        return {**found, "jobs": [tuple(row) for row in (await connection.execute(jobs)).all()]}


async def ahead_ids(archive: SqlArchive) -> list[str]:
    jobs, _ = await archive.ahead(100)
    return sorted(each.job.job_id for each in jobs)
