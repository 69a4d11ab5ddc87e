"""A deleted job is forgotten whole, and a later one of its id stays."""

import pytest

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.background.ahead import joining
from sidecar.core.job import Job
from sidecar.core.merge import fork
from sidecar.core.view import view
from sidecar.history import BEGINNING, Batch, Recorded
from sidecar.ports import Cursor, Gone
from tests.adapters.archive.conftest import PLAN, ahead_ids, everything, job_of, record, types
from tests.adapters.archive.redis_by_hand import REDIS, Redis
from tests.adapters.updates import NOON, push, update


async def left(database: Database) -> set[str]:
    """Return in which tables there is anything."""
    return {name for name, rows in (await everything(database)).items() if rows}


async def test_late_removal_spares_a_job_that_began_anew(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    old = redis.push(update(seq=1, current=3))
    await record(archive, redis)
    redis.delete("job-1", NOON + 5)
    new = redis.push(update(seq=1, current=9), now=NOON + 9)
    await record(archive, redis)
    await sql.remove(old)
    assert fork(await job_of(sql), REDIS) == new
    assert await types(history) == ["created", "started"]
    await sql.remove(new)
    assert await sql.get("job-1") is None
    assert await types(history) == []


async def test_deletion_forgets_the_job_and_its_timeline(archive: SqlArchive, database: Database, redis: Redis) -> None:
    redis.push(update(seq=1, plan=PLAN, stage="load"), update(seq=2, stage="solve"), update(seq=3, attempt=2))
    await record(archive, redis)
    redis.delete("job-1", NOON + 50)
    await record(archive, redis)
    assert await left(database) == {"tombstones"}


async def test_job_that_was_deleted_before_it_was_recorded_leaves_nothing(
    archive: SqlArchive, database: Database, redis: Redis
) -> None:
    redis.push(update(seq=1), update(seq=2, stage="solve"))
    redis.delete("job-1", NOON + 50)
    await record(archive, redis)
    assert await left(database) == {"tombstones"}


async def buried_by(how: str, archive: SqlArchive, sql: SqlLive, redis: Redis) -> Job:
    """Let Redis delete a recorded job, and SQL hear of it from the recorder or from who deleted it; return the job."""
    job = redis.push(update(seq=1, current=3))
    await record(archive, redis)
    redis.delete("job-1", NOON + 50)
    if how == "recorded":
        await record(archive, redis)
    else:
        await sql.remove(job)
    return job


BY_EITHER = pytest.mark.parametrize("how", ["recorded", "removed"])


@BY_EITHER
async def test_what_redis_deleted_is_known_to_be_deleted_and_a_later_job_of_that_id_is_not(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis, how: str
) -> None:
    old = await buried_by(how, archive, sql, redis)
    assert await sql.is_buried(old)
    assert await archive.ahead(10) == ([], [])
    new = redis.push(update(seq=1, current=9), now=NOON + 40)  # by the clock of another sidecar
    await record(archive, redis)
    assert fork(await job_of(sql), REDIS) == new
    assert await types(history) == ["created", "started"]
    assert (await sql.is_buried(old), await sql.is_buried(new)) == (True, False)
    redis.delete("job-1", NOON + 60)
    await record(archive, redis)
    assert await sql.is_buried(new)
    assert await sql.get("job-1") is None


@BY_EITHER
async def test_what_redis_deleted_is_deleted_no_more_when_it_is_given_back(
    archive: SqlArchive, sql: SqlLive, redis: Redis, how: str
) -> None:
    old = await buried_by(how, archive, sql, redis)
    await record(archive, redis)
    await sql.update("job-1", joining(old, lambda: NOON + 1_000))
    assert not await sql.is_buried(old)
    assert await ahead_ids(archive) == ["job-1"]


async def test_job_that_was_deleted_after_the_recorder_had_read_it_is_not_recorded_again(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(seq=1, current=3))
    await record(archive, redis)
    old = redis.push(update(seq=2, current=4), now=NOON + 10)
    read, recorded = redis.taken(), redis.recorded
    await sql.remove(old)
    await archive.record("default", read, await archive.recorded("default"), recorded)
    assert await sql.get("job-1") is None
    assert await sql.is_buried(old)
    redis.delete("job-1", NOON + 50)
    given_back = redis.push(update(seq=2, current=4))
    await record(archive, redis)
    assert fork(await job_of(sql), REDIS) == given_back
    assert await types(history) == ["created", "started"]


@BY_EITHER
async def test_tombstone_of_what_redis_deleted_is_forgotten_in_time_and_no_change_of_sql(
    archive: SqlArchive, sql: SqlLive, database: Database, redis: Redis, how: str
) -> None:
    await buried_by(how, archive, sql, redis)
    await record(archive, redis)
    assert (await sql.since("default", 0, 10)).changes == ()
    await archive.forget(NOON + 49, 10)
    assert await left(database) == {"tombstones"}
    await archive.forget(NOON + 1_001, 10)
    assert await left(database) == set()


async def test_redis_is_told_what_sql_deleted_although_it_deletes_the_same(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    job = redis.push(update(seq=1, current=3))
    await record(archive, redis)
    assert await sql.delete("job-1", lambda _: None)
    redis.delete("job-1", NOON + 50)
    await record(archive, redis)
    await sql.remove(job)
    assert [gone.job_id for gone in (await archive.ahead(10))[1]] == ["job-1"]
    assert [change.cursor.rev for change in (await sql.since("default", 0, 10)).changes] == [2]


@pytest.mark.parametrize("is_in_one_batch", [False, True])
async def test_deletion_leaves_a_later_job_of_that_id(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis, *, is_in_one_batch: bool
) -> None:
    redis.push(update(seq=1, current=9), update(seq=2, attempt=2))
    await record(archive, redis)
    redis.delete("job-1", NOON + 50)
    if not is_in_one_batch:
        await record(archive, redis)
    redis.push(update(seq=1, current=1), now=NOON + 60)
    await record(archive, redis)
    assert (view(await job_of(sql)).current, (await job_of(sql)).created_at) == (1, NOON + 60)
    assert await types(history) == ["created", "started"]
    assert len(await history.attempts("job-1")) == 1


async def test_deletion_that_comes_after_the_later_job_leaves_it(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    """The lines of a deletion may be read long after the job that was created next."""
    redis.push(update(seq=1, current=9))
    redis.delete("job-1", NOON + 50)
    lines = redis.taken().lines
    redis.push(update(seq=1, current=1), now=NOON + 60)
    await archive.record("default", redis.taken(), BEGINNING, Recorded(Cursor(REDIS, redis.rev), "1-0"))
    await archive.record("default", Batch(lines, ()), await archive.recorded("default"), redis.recorded)
    assert (await job_of(sql)).created_at == NOON + 60
    assert await types(history) == ["created", "started"]


async def test_gone_job_is_forgotten_without_its_line(archive: SqlArchive, database: Database, redis: Redis) -> None:
    redis.push(update(seq=1, plan=PLAN, stage="load"), update(seq=2, stage="solve"))
    redis.push(update("job-2"))
    await record(archive, redis)
    redis.delete("job-1", NOON + 50)
    batch = Batch((), redis.taken().changes)
    await archive.record("default", batch, await archive.recorded("default"), redis.recorded)
    kept = await everything(database)
    assert {row[0] for table in kept.values() for row in table} == {"job-2"}


async def test_gone_job_of_which_sql_knows_more_stays(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update(current=4)))
    batch = Batch((), (Gone("job-1", Cursor(REDIS, 3)),))
    await archive.record("default", batch, BEGINNING, Recorded(Cursor(REDIS, 3), ""))
    assert view(await job_of(sql)).current == 4
    assert await ahead_ids(archive) == ["job-1"]


async def began_anew(archive: SqlArchive, sql: SqlLive, redis: Redis) -> Job:
    """Delete a job in SQL, of which Redis has yet to be told, let it begin anew there and return the old one."""
    old = redis.push(update(seq=1, current=9), update(seq=2, attempt=2))
    await record(archive, redis)
    assert await sql.delete("job-1", lambda _: None)
    await sql.update("job-1", push(update(seq=1, current=1), NOON + 2_000))
    return old


async def test_redis_is_told_of_a_deletion_first_and_of_the_job_that_began_anew_afterwards(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    old = await began_anew(archive, sql, redis)
    jobs, gone = await archive.ahead(10)
    assert (jobs, [(each.job_id, each.created_at) for each in gone]) == ([], [("job-1", old.created_at)])
    await archive.told(jobs, gone)
    jobs, gone = await archive.ahead(10)
    assert ([each.job.created_at for each in jobs], gone) == ([NOON + 2_000], [])
    await archive.told(jobs, gone)
    assert await archive.ahead(10) == ([], [])
    assert await sql.is_buried(old)
    assert not await sql.is_buried(await job_of(sql))


@pytest.mark.parametrize("is_told", [False, True])
async def test_what_redis_still_had_of_a_deleted_job_is_nothing_of_the_one_that_began_anew(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis, *, is_told: bool
) -> None:
    await began_anew(archive, sql, redis)
    if is_told:
        await archive.told(*await archive.ahead(10))
    before = await types(history), await history.attempts("job-1")
    redis.push(update(seq=3, attempt=3), now=NOON + 900)
    redis.delete("job-1", NOON + 3_000)
    batch = redis.taken()
    await archive.record("default", batch, await archive.recorded("default"), redis.recorded)
    assert (await job_of(sql)).created_at == NOON + 2_000
    assert (await types(history), await history.attempts("job-1")) == before


async def test_job_that_redis_has_yet_to_hear_is_deleted_is_not_recorded(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(seq=1, current=9))
    await record(archive, redis)
    assert await sql.delete("job-1", lambda _: None)
    redis.push(update(seq=2, current=10), now=NOON + 900)
    await record(archive, redis)
    assert await sql.get("job-1") is None
    assert await types(history) == []
    assert len((await archive.ahead(10))[1]) == 1


async def test_redis_that_was_told_a_job_after_its_deletion_is_told_of_that_once_more(
    archive: SqlArchive, sql: SqlLive
) -> None:
    await sql.update("job-1", push(update(current=1)))
    late = await archive.ahead(10)
    assert await sql.delete("job-1", lambda _: None)
    await archive.told(*await archive.ahead(10))
    assert await archive.ahead(10) == ([], [])
    await archive.told(*late)
    jobs, gone = await archive.ahead(10)
    assert (jobs, [each.job_id for each in gone]) == ([], ["job-1"])


async def test_job_that_began_anew_stays_although_redis_says_of_the_old_one_that_it_is_gone(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    await began_anew(archive, sql, redis)
    for _ in range(2):
        await archive.told(*await archive.ahead(10))
    batch = Batch((), (Gone("job-1", Cursor(REDIS, 9)),))
    await archive.record("default", batch, await archive.recorded("default"), Recorded(Cursor(REDIS, 9), ""))
    assert (await job_of(sql)).created_at == NOON + 2_000
    assert await types(history) == ["created", "started"]


async def test_deleted_job_that_is_given_back_is_deleted_no_more(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    old = redis.push(update(seq=1, current=9))
    await record(archive, redis)
    assert await sql.delete("job-1", lambda _: None)
    await sql.update("job-1", joining(old, lambda: NOON + 1_000))
    assert not await sql.is_buried(old)
    jobs, gone = await archive.ahead(10)
    assert ([each.job.job_id for each in jobs], gone) == (["job-1"], [])


async def test_tombstone_of_a_job_that_began_anew_is_forgotten_in_time(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    old = await began_anew(archive, sql, redis)
    await archive.forget(NOON + 1_001, 10)
    assert await sql.is_buried(old)  # Redis has yet to be told
    await archive.told(*await archive.ahead(10))
    await archive.forget(NOON + 999, 10)
    assert await sql.is_buried(old)
    await archive.forget(NOON + 1_001, 10)
    assert not await sql.is_buried(old)
    assert await sql.get("job-1") is not None


async def test_redis_that_was_told_a_job_that_it_deleted_meanwhile_is_told_of_that_and_watchers_go_on_where_they_are(
    archive: SqlArchive, sql: SqlLive
) -> None:
    written = await sql.update("job-1", push(update(current=1)))
    late = await archive.ahead(10)
    await sql.remove(written.outcome.job)
    await archive.told(*late)
    assert [gone.job_id for gone in (await archive.ahead(10))[1]] == ["job-1"]
    assert (await sql.since("default", 0, 10)).base == written.cursor.rev


async def test_job_that_redis_was_told_after_it_had_deleted_it_is_not_recorded_and_deleted_once_more(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    old = redis.push(update(seq=1, current=3))
    await record(archive, redis)
    await sql.update("job-1", push(update(seq=2, current=4)))
    late = await archive.ahead(10)
    redis.delete("job-1", NOON + 50)
    await sql.remove(old)
    redis.push(update(seq=2, current=4))
    await archive.told(*late)
    await record(archive, redis)
    assert await sql.get("job-1") is None
    assert [gone.job_id for gone in (await archive.ahead(10))[1]] == ["job-1"]
