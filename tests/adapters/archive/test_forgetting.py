"""What finished long ago is forgotten, once Redis has been told of it."""

import asyncio

from sqlalchemy import text
from sqlalchemy import update as sql_update

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import JOBS
from sidecar.adapters.sql.writes import lock_projects
from tests.adapters.archive.conftest import PLAN, everything, record
from tests.adapters.archive.redis_by_hand import Redis
from tests.adapters.updates import NOON, finish, push, update
from tests.faults.patience import until_found
from tests.servers.postgres import Postgres


async def test_jobs_that_finished_long_ago_are_forgotten_whole_and_the_others_stay(
    archive: SqlArchive, database: Database, redis: Redis
) -> None:
    redis.push(update("old", plan=PLAN, stage="load"), update("old", words={"status": "completed"}))
    redis.push(update("young", stage="load"), update("young", words={"status": "failed"}), now=NOON + 100)
    redis.push(update("running", stage="load"))
    await record(archive, redis)
    assert await archive.forget(NOON + 50, 100) == 1
    left = await everything(database)
    assert {row[0] for table in left.values() for row in table} == {"young", "running"}
    assert await archive.forget(NOON + 50, 100) == 0


async def test_oldest_are_forgotten_first_and_so_many_at_a_time(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    for number in (2, 0, 1):
        redis.push(update(f"job-{number}", words={"status": "completed"}), now=NOON + number)
    await record(archive, redis)
    assert await archive.forget(NOON + 50, 2) == 2
    assert await sql.get("job-2") is not None
    assert await archive.forget(NOON + 50, 2) == 1


async def test_what_redis_has_not_been_told_is_not_forgotten(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", finish())
    await sql.update("job-2", push(update("job-2")))
    await sql.delete("job-2", lambda _: None)
    assert await archive.forget(NOON + 1e6, 100) == 0
    jobs, buried = await archive.ahead(100)
    assert (len(jobs), len(buried)) == (1, 1)


async def test_old_tombstones_are_forgotten_once_redis_has_been_told(
    archive: SqlArchive, sql: SqlLive, database: Database
) -> None:
    await sql.update("job-1", push(update()))
    await sql.delete("job-1", lambda _: None)
    _, buried = await archive.ahead(100)
    await archive.told([], buried)
    await archive.forget(NOON + 999, 100)
    assert len((await everything(database))["tombstones"]) == 1
    await archive.forget(NOON + 1_001, 100)
    assert not any((await everything(database)).values())


async def test_job_that_just_goes_on_is_not_forgotten(postgres: Postgres, redis: Redis) -> None:
    await postgres.ready()
    database = Database(await postgres.database("sidecar"), timeout_seconds=5.0)
    await database.open()
    archive, sql = SqlArchive(database, lambda: NOON), SqlLive(database, lambda: NOON)
    redis.push(update(words={"status": "completed"}))
    await record(archive, redis)
    async with database.writing() as connection:
        await lock_projects(connection, ["default"])
        await connection.execute(sql_update(JOBS).values(finished_at=None))
        forgetting = asyncio.create_task(archive.forget(NOON + 1_000, 100))

        async def is_waiting() -> bool:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            return bool((await connection.execute(text(waiting))).scalar())

        await until_found(is_waiting, 5.0, lambda: "it waits for the lock")
    await forgetting
    assert await sql.get("job-1") is not None
    await database.close()
