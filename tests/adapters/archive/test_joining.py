"""What both sides know of a job is joined; of what Redis lacks then it is told."""

import asyncio

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.live import SqlLive
from sidecar.core.job import Status
from sidecar.core.merge import fork
from sidecar.core.view import view
from tests.adapters.archive.conftest import ahead_ids, job_of, record
from tests.adapters.archive.redis_by_hand import ANEW, REDIS, Redis
from tests.adapters.updates import NOON, push, update


async def test_copy_of_the_same_epoch_replaces_what_is_there(archive: SqlArchive, sql: SqlLive, redis: Redis) -> None:
    redis.push(update(writer="w", seq=1, add_current=3))
    await record(archive, redis)
    behind = Redis()
    behind.rev = 7
    lower = behind.push(update(writer="v", seq=1, add_current=1))
    await record(archive, behind)
    assert fork(await job_of(sql), REDIS) == lower
    assert await ahead_ids(archive) == []


async def test_copy_of_another_epoch_is_joined(archive: SqlArchive, sql: SqlLive, redis: Redis) -> None:
    redis.push(update(writer="w", seq=1, add_current=3), update(writer="w", seq=2, add_current=1))
    await record(archive, redis)
    anew = Redis(ANEW)
    anew.push(update(writer="v", seq=1, add_current=10))
    await record(archive, anew)
    assert view(await job_of(sql)).current == 14
    assert await ahead_ids(archive) == ["job-1"]
    assert await archive.recorded("default") == anew.recorded


async def test_copy_of_another_epoch_that_lacks_nothing_is_not_ahead(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    job = redis.push(update(writer="w", seq=1, add_current=3))
    await record(archive, redis)
    anew = Redis(ANEW)
    anew.jobs["job-1"] = fork(job, ANEW)
    further = anew.push(update(writer="v", seq=2, add_current=1), now=NOON + 5)
    await record(archive, anew)
    assert fork(await job_of(sql), ANEW) == further
    assert await ahead_ids(archive) == []


async def test_job_created_anew_in_the_epoch_that_forgot_it_is_joined(
    archive: SqlArchive, sql: SqlLive, redis: Redis
) -> None:
    """A job has left Redis, and comes back while SQL is not there to be asked: Redis begins it from nothing."""
    redis.push(update(writer="w", seq=1, add_current=30), update(writer="w", seq=2, words={"status": "completed"}))
    await record(archive, redis)
    del redis.jobs["job-1"]
    redis.push(update(writer="w", seq=3, add_current=1), now=NOON + 500)
    await record(archive, redis)
    job = await job_of(sql)
    assert (view(job).status, view(job).current, job.created_at) == (Status.COMPLETED, 31, NOON)


async def test_row_that_sql_wrote_is_joined_and_ahead(archive: SqlArchive, sql: SqlLive, redis: Redis) -> None:
    redis.push(update(writer="w", seq=1, add_current=1))
    await record(archive, redis)
    await sql.update("job-1", push(update(writer="s", seq=1, add_current=10)))
    redis.push(update(writer="w", seq=2, add_current=100))
    await record(archive, redis)
    jobs, buried = await archive.ahead(100)
    assert [view(each.job).current for each in jobs] == [111]
    assert buried == []


async def test_job_that_redis_was_told_of_is_ahead_no_more(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update()))
    jobs, _ = await archive.ahead(100)
    await archive.told(jobs, [])
    assert await ahead_ids(archive) == []


async def test_job_that_changed_meanwhile_stays_ahead(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update(seq=1)))
    await sql.update("job-2", push(update("job-2")))
    jobs, _ = await archive.ahead(100)
    await sql.update("job-1", push(update(seq=2, current=1)))
    await archive.told(jobs, [])
    assert await ahead_ids(archive) == ["job-1"]


async def test_heartbeat_meanwhile_keeps_a_job_ahead(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update(seq=1)))
    jobs, _ = await archive.ahead(100)
    await sql.update("job-1", push(update(seq=2)._replace(said={}), NOON + 5))
    await archive.told(jobs, [])
    assert await ahead_ids(archive) == ["job-1"]


async def test_what_is_ahead_comes_in_parts(archive: SqlArchive, sql: SqlLive) -> None:
    for number in range(5):
        await sql.update(f"job-{number}", push(update(f"job-{number}")))
    await sql.delete("job-4", lambda _: None)
    seen: set[str] = set()
    while seen != {f"job-{number}" for number in range(4)}:
        jobs, buried = await archive.ahead(2)
        assert 0 < len(jobs) <= 2
        seen |= {each.job.job_id for each in jobs}
        await archive.told(jobs, buried)
    assert await archive.ahead(2) == ([], [])


async def test_deletion_in_sql_is_told_once(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update(project="uni")))
    await sql.delete("job-1", lambda _: None)
    jobs, buried = await archive.ahead(100)
    assert (jobs, [(each.job_id, each.project, each.created_at) for each in buried]) == ([], [("job-1", "uni", NOON)])
    await archive.told([], buried)
    assert await archive.ahead(100) == ([], [])


async def test_deletion_of_another_job_of_that_id_is_still_to_be_told(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update()))
    await sql.delete("job-1", lambda _: None)
    _, buried = await archive.ahead(100)
    await sql.update("job-1", push(update(), NOON + 10))
    await sql.delete("job-1", lambda _: None)
    await archive.told([], buried)
    assert [each.created_at for each in (await archive.ahead(100))[1]] == [NOON + 10]


async def test_telling_and_taking_the_same_jobs_in_opposite_orders_do_not_lock_each_other_out(
    archive: SqlArchive, sql: SqlLive
) -> None:
    names = [f"job-{number:03}" for number in range(100)]
    for turn in range(5):
        changes = [(name, push(update(name, writer="w", seq=turn))) for name in names]
        assert not [each for each in await sql.update_many(changes) if isinstance(each, Exception)]
        jobs, _ = await archive.ahead(1_000)
        told = archive.told(sorted(jobs, key=lambda each: each.job.job_id, reverse=True), [])
        taken = sql.update_many([(name, push(update(name, writer="v", seq=turn))) for name in names])
        _, answers = await asyncio.gather(told, taken)
        assert not [answer for answer in answers if isinstance(answer, Exception)]
