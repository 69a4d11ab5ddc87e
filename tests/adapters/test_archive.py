"""The recorder's side of SQL: what it joins, what it forgets, and that it does so as a whole or not at all."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy import update as sql_update

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import ATTEMPTS, JOBS, STAGES, TIMELINE, TOMBSTONES
from sidecar.adapters.sql.writes import lock_projects
from sidecar.core import merge
from sidecar.core.errors import HistoryUnavailable
from sidecar.core.job import Event, Job, PlannedStage, Status, Update
from sidecar.core.merge import fork
from sidecar.core.view import view
from sidecar.history import BEGINNING, Batch, Line, Recorded, SupersededError
from sidecar.ports import Cursor, Gone, Stored
from tests.adapters.updates import NOON, finish, push, update
from tests.faults.patience import until_found
from tests.servers.postgres import Postgres

REDIS, ANEW = "r1", "r2"
PLAN = (PlannedStage("load"), PlannedStage("solve"))


class Redis:
    """What Redis would have, made by hand: jobs, their timeline lines and their places in one order."""

    def __init__(self, epoch: str = REDIS) -> None:
        self.epoch = epoch
        self.rev = 0
        self.jobs: dict[str, Job] = {}
        self.lines: list[Line] = []
        self.changes: dict[str, Stored | Gone] = {}

    def push(self, *updates: Update, now: float = NOON) -> Job:
        """Take updates, a second apart, and return the job of the last."""
        for number, given in enumerate(updates):
            job = self.jobs.get(given.job_id)
            self._took(merge.apply(job and fork(job, self.epoch), given, now + number))
        return self.jobs[updates[-1].job_id]

    def put(self, job: Job) -> None:
        """Have a job as it is, without any lines."""
        self.rev += 1
        self.jobs[job.job_id] = job
        self.changes[job.job_id] = Stored(view(job), Cursor(self.epoch, self.rev))

    def delete(self, job_id: str, now: float) -> None:
        """Delete a job as the live store does."""
        job = self.jobs.pop(job_id)
        number = job.event_count + 1
        told = Event(f"{job.lineage}/{number}", number, "deleted", now, 1, {"created_at": job.created_at})
        self.lines.append(self._line(job_id, told))
        self.rev += 1
        self.changes[job_id] = Gone(job_id, Cursor(self.epoch, self.rev))

    def taken(self) -> Batch:
        """Return what has happened since the last time."""
        changes = sorted(self.changes.values(), key=lambda change: change.cursor.rev)
        batch = Batch(tuple(self.lines), changes)
        self.lines, self.changes = [], {}
        return batch

    @property
    def recorded(self) -> Recorded:
        """Return where it stands."""
        return Recorded(Cursor(self.epoch, self.rev), f"{self.rev}-0")

    def _took(self, outcome: merge.Outcome) -> None:
        self.put(fork(outcome.job, self.epoch))
        self.lines += [self._line(outcome.job.job_id, event) for event in outcome.events]

    def _line(self, job_id: str, event: Event) -> Line:
        return Line(f"{self.rev + 1}-{len(self.lines)}", job_id, event)


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


async def test_deletion_forgets_the_job_and_its_timeline(archive: SqlArchive, database: Database, redis: Redis) -> None:
    redis.push(update(seq=1, plan=PLAN, stage="load"), update(seq=2, stage="solve"), update(seq=3, attempt=2))
    await record(archive, redis)
    redis.delete("job-1", NOON + 50)
    await record(archive, redis)
    assert not any((await everything(database)).values())


async def test_job_that_was_deleted_before_it_was_recorded_leaves_nothing(
    archive: SqlArchive, database: Database, redis: Redis
) -> None:
    redis.push(update(seq=1), update(seq=2, stage="solve"))
    redis.delete("job-1", NOON + 50)
    await record(archive, redis)
    assert not any((await everything(database)).values())


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
    left = await everything(database)
    assert {row[0] for table in left.values() for row in table} == {"job-2"}


async def test_gone_job_of_which_sql_knows_more_stays(archive: SqlArchive, sql: SqlLive) -> None:
    await sql.update("job-1", push(update(current=4)))
    batch = Batch((), (Gone("job-1", Cursor(REDIS, 3)),))
    await archive.record("default", batch, BEGINNING, Recorded(Cursor(REDIS, 3), ""))
    assert view(await job_of(sql)).current == 4
    assert await ahead_ids(archive) == ["job-1"]


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


async def test_two_ends_are_both_on_the_timeline(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(writer="w", seq=1, current=1))
    await record(archive, redis)
    await sql.update("job-1", finish(status=Status.FAILED, now=NOON + 10))
    redis.push(update(writer="w", seq=2, words={"status": "completed"}), now=NOON + 20)
    await record(archive, redis)
    told = await types(history)
    assert [told.count(each) for each in ("failed", "completed", "late")] == [1, 1, 1]
    assert view(await job_of(sql)).status is Status.FAILED


async def test_job_knows_of_the_line_that_tells_of_the_other_end(
    archive: SqlArchive, sql: SqlLive, history: SqlHistory, redis: Redis
) -> None:
    redis.push(update(writer="w", seq=1, current=1))
    await record(archive, redis)
    await sql.update("job-1", finish(status=Status.FAILED, now=NOON + 10))
    redis.push(update(writer="w", seq=2, words={"status": "completed"}), now=NOON + 20)
    await record(archive, redis)
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


async def test_job_that_just_goes_on_is_not_forgotten(postgres: Postgres, redis: Redis) -> None:
    await postgres.ready()
    database = Database(await postgres.database("sidecar"), timeout_seconds=5.0)
    await database.start()
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
