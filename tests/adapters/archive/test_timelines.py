"""Timeline lines of both sides, attempts and stages."""

from sqlalchemy import select

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import STAGES
from sidecar.core.job import Status
from sidecar.core.view import view
from tests.adapters.archive.conftest import PLAN, job_of, record, types
from tests.adapters.archive.redis_by_hand import Redis
from tests.adapters.updates import NOON, finish, push, update


async def test_lines_of_both_sides_of_a_split_are_numbered_in_one_row(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(writer="w", seq=1, stage="load"))
    await record(archive, redis)
    for seq, stage in enumerate(("solve", "check", "save"), 11):
        await sql.update("job-1", push(update(writer="s", seq=seq, stage=stage), NOON + seq))
    redis.push(*(update(writer="w", seq=seq, stage=f"stage-{seq}") for seq in range(2, 7)), now=NOON + 5)
    batch = await record(archive, redis)
    events = await history.timeline("job-1", 0, 1_000)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    assert {line.event.id for line in batch.lines} < {event.id for event in events}
    assert [event.id for event in events if event.id.endswith(":stage_started") and "/s/" in event.id] == [
        f"1/s/{seq}:stage_started" for seq in (11, 12, 13)
    ]


async def test_job_knows_how_long_its_timeline_has_become(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(writer="w", seq=1, stage="load"))
    await record(archive, redis)
    await sql.update("job-1", push(update(writer="s", seq=1, stage="solve"), NOON + 5))
    redis.push(update(writer="w", seq=2, stage="save"), now=NOON + 5)
    await record(archive, redis)
    events = await history.timeline("job-1", 0, 1_000)
    assert (await job_of(sql)).event_count == events[-1].number == len(events)


async def test_line_that_both_sides_wrote_is_there_once(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    given = update(writer="w", seq=1, stage="load")
    redis.push(given)
    await sql.update("job-1", push(given))
    batch = await record(archive, redis)
    assert await types(history) == [line.event.type for line in batch.lines]


async def ended_twice(archive: SqlArchive, sql: SqlLive, redis: Redis) -> None:
    """Let a job fail in SQL, be completed in Redis, and be recorded."""
    redis.push(update(writer="w", seq=1, current=1))
    await record(archive, redis)
    await sql.update("job-1", finish(status=Status.FAILED, now=NOON + 10))
    redis.push(update(writer="w", seq=2, words={"status": "completed"}), now=NOON + 20)
    await record(archive, redis)


async def test_two_ends_are_both_on_the_timeline(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    await ended_twice(archive, sql, redis)
    told = await types(history)
    assert [told.count(each) for each in ("failed", "completed", "late")] == [1, 1, 1]
    assert view(await job_of(sql)).status is Status.FAILED


async def test_job_knows_of_the_line_that_tells_of_the_other_end(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    await ended_twice(archive, sql, redis)
    assert (await job_of(sql)).event_count == len(await types(history))


async def test_attempts_are_kept_with_what_each_had_reached(
    archive: SqlArchive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(seq=1, percent=30), update(seq=2, words={"status": "failed", "error": "boom"}))
    redis.push(update(seq=3, attempt=2, percent=10), update(seq=4, attempt=2, percent=60), now=NOON + 60)
    await record(archive, redis)
    first, second = await history.attempts("job-1")
    assert (first["attempt"], first["status"], first["percent"], first["error"]) == (1, "failed", 30, "boom")
    assert (second["attempt"], second["status"], second["percent"]) == (2, "running", 60)


async def test_durations_of_ended_stages_are_kept_by_attempt(
    archive: SqlArchive, database: Database, redis: Redis
) -> None:
    redis.push(update(seq=1, plan=PLAN, stage="load", job_type="t"))
    redis.push(update(seq=2, stage="solve"), now=NOON + 7)
    redis.push(update(seq=3, words={"status": "failed"}), now=NOON + 9)
    await record(archive, redis)
    redis.push(update(seq=4, attempt=2, stage="load"), now=NOON + 20)
    redis.push(update(seq=5, attempt=2, stage="solve"), now=NOON + 31)
    await record(archive, redis)
    async with database.reading() as connection:
        rows = (await connection.execute(select(STAGES).order_by(STAGES.c.attempt, STAGES.c.stage))).all()
    assert [(row.attempt, row.stage, row.outcome, row.seconds) for row in rows] == [
        (1, "load", "completed", 7),
        (1, "solve", "failed", 2),
        (2, "load", "completed", 11),
    ]
    assert {(row.project, row.job_type) for row in rows} == {("default", "t")}
