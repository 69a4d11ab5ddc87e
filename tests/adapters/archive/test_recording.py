"""What is recorded is there with its position, once, as a whole or not at all."""

import asyncio

import pytest
from sqlalchemy import func, select, text

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import JOBS, TIMELINE
from sidecar.core.errors import HistoryUnavailable
from sidecar.core.merge import fork
from sidecar.history import BEGINNING, SupersededError
from tests.adapters.archive.conftest import PLAN, ahead_ids, everything, job_of, record
from tests.adapters.archive.redis_by_hand import REDIS, Redis
from tests.adapters.updates import NOON, push, update


async def test_nothing_is_recorded_at_first(archive: SqlArchive) -> None:
    assert await archive.recorded("default") == BEGINNING


async def test_what_is_recorded_is_there_with_its_position(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    job = redis.push(update(seq=1, current=3), update(seq=2, current=4))
    batch = await record(archive, redis)
    assert await archive.recorded("default") == redis.recorded
    assert fork(await job_of(sql), REDIS) == job
    assert await history.timeline("job-1", 0, 100) == [line.event for line in batch.lines]
    assert await ahead_ids(archive) == []


async def test_position_moves_only_from_where_it_was_read(
    archive: SqlArchive, database: Database, redis: Redis
) -> None:
    redis.push(update(seq=1, current=3))
    await record(archive, redis)
    kept = await everything(database)
    redis.push(update(seq=2, current=4), update("job-2"))
    with pytest.raises(SupersededError):
        await archive.record("default", redis.taken(), BEGINNING, redis.recorded)
    assert await everything(database) == kept
    assert (await archive.recorded("default")).cursor.rev == 1


async def test_of_two_at_once_one_alone_records(archive: SqlArchive, database: Database, redis: Redis) -> None:
    redis.push(update(seq=1, current=3))
    batch = redis.taken()
    both = [archive.record("default", batch, BEGINNING, redis.recorded) for _ in range(2)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert [isinstance(answer, SupersededError) for answer in answers if answer is not None] == [True]
    assert len((await everything(database))["timeline"]) == len(batch.lines)


async def test_projects_move_apart(archive: SqlArchive, redis: Redis) -> None:
    redis.push(update())
    await record(archive, redis)
    assert await archive.recorded("another") == BEGINNING


async def test_repeating_a_record_changes_nothing(archive: SqlArchive, database: Database, redis: Redis) -> None:
    redis.push(update(seq=1, plan=PLAN, stage="load", current=3), update(seq=2, stage="solve"), update("job-2", seq=1))
    redis.push(update(seq=3, attempt=2), update("job-2", words={"status": "failed"}), now=NOON + 20)
    batch = await record(archive, redis)
    kept = await everything(database)
    await archive.record("default", batch, redis.recorded, redis.recorded)
    assert await everything(database) == kept


async def test_jobs_are_had_in_the_version_that_is_recorded(archive: SqlArchive, redis: Redis) -> None:
    job = redis.push(update(seq=1, current=1))
    await record(archive, redis)
    further = redis.push(update(seq=2, current=2))
    assert await archive.has([job]) == [job]
    assert await archive.has([further]) == []
    assert await archive.has([]) == []


async def test_another_job_of_the_same_version_is_not_had(archive: SqlArchive, sql: SqlLive, redis: Redis) -> None:
    redis.push(update(writer="w", seq=1, current=1))
    await record(archive, redis)
    finished = redis.push(update(writer="w", seq=2, words={"status": "completed"}))
    written = await sql.update("job-1", push(update(writer="s", seq=1, current=5)))
    assert written.outcome.job.version == finished.version
    assert await archive.has([finished]) == []


async def test_batch_that_cannot_be_written_leaves_nothing(
    archive: SqlArchive, database: Database, redis: Redis
) -> None:
    redis.push(update(seq=1, plan=PLAN, stage="load"))
    await record(archive, redis)
    kept = await everything(database)
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE stage_durations RENAME TO elsewhere"))
    redis.push(update(seq=2, stage="solve"), update("job-2"))
    with pytest.raises(HistoryUnavailable):
        await record(archive, redis)
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO stage_durations"))
    assert await everything(database) == kept
    assert (await archive.recorded("default")).cursor.rev == 1


async def test_places_in_sqls_order_rise_by_one_a_job(archive: SqlArchive, database: Database, redis: Redis) -> None:
    redis.push(update("a"), update("b"), update("c"))
    await record(archive, redis)
    redis.push(update("a", current=1))
    await record(archive, redis)
    async with database.reading() as connection:
        revs = (await connection.execute(select(JOBS.c.job_id, JOBS.c.rev).order_by(JOBS.c.rev))).all()
        assert (await connection.execute(select(func.count()).select_from(TIMELINE))).scalar()
    assert [tuple(row) for row in revs] == [("b", 2), ("c", 3), ("a", 4)]
