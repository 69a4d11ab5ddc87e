"""The recorder between a real Valkey and a real database: all arrives, once, whoever dies in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy import update as sql_update
from typing_extensions import override

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.lease import RedisLease
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.redis.outbox import RedisOutbox
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.tables import JOBS, TABLES
from sidecar.background.ahead import tell_ahead
from sidecar.background.recorder import LINES_A_BATCH, Recorder
from sidecar.background.supervision import patient
from sidecar.core.errors import StoreUnavailable, Unreadable
from sidecar.core.job import Event, Job, Status, WorkerEvent
from sidecar.core.merge import fork
from sidecar.core.view import view
from sidecar.history import Batch, Recorded
from sidecar.ports import Written
from sidecar.settings import Settings
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import query
from tests.adapters.failover.mishaps import paused
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, finish, push, update
from tests.faults.patience import until, until_found
from tests.http.conftest import Counted

TAKE_OVER_SECONDS = 10.0
CANNOT_RECORD, CAN_RECORD = "what Redis has cannot be recorded in SQL", "what Redis has is recorded in SQL again"


class Broken(RedisOutbox):
    """An outbox whose lines cannot be trimmed, as when the process dies before."""

    @override
    async def trim(self, project: str, position: str) -> None:
        raise StoreUnavailable(f"{project} at {position}")


async def opened(valkey: EmbeddedValkey, database_url: str) -> Storage:
    """Return both stores as a process has them that has just begun."""
    storage = Storage(Settings(store_timeout_seconds=5), valkey.url, database_url, Counted())
    await storage.start()
    return storage


@pytest.fixture
async def storage(valkey: EmbeddedValkey, database_url: str) -> AsyncIterator[Storage]:
    storage = await opened(valkey, database_url)
    yield storage
    await storage.close()


@pytest.fixture
async def other(valkey: EmbeddedValkey, database_url: str, storage: Storage) -> AsyncIterator[Storage]:
    """Return the same stores as another process has them."""
    del storage  # opened first
    other = await opened(valkey, database_url)
    yield other
    await other.close()


@pytest.fixture
def live(storage: Storage) -> RedisLive:
    """Return Redis without anything behind it."""
    return RedisLive(storage.link, time.time)


def recorder(storage: Storage, outbox: RedisOutbox | None = None) -> Recorder:
    """Return a recorder that remembers nothing."""
    live = storage.stores.live
    outbox = outbox or storage.outbox
    return Recorder(outbox, live, live, storage.archive, RedisLease(storage.link, "recorder"), Counted(), time.time)


async def told(live: RedisLive, count: int, jobs: int = 7, project: str = "default") -> dict[str, list[Event]]:
    """Push updates of some jobs, and return the lines that each of them wrote."""
    lines: dict[str, list[Event]] = {}
    for number in range(count):
        job_id = f"{project}-{number % jobs}"
        given = update(job_id, project=project, writer="w", seq=number, stage=f"s{number // jobs % 9}", add_current=1)
        written = await live.update(job_id, push(given, NOON + number))
        lines.setdefault(job_id, []).extend(written.outcome.events)
    return lines


async def jobs_in(storage: Storage, job_ids: list[str]) -> tuple[dict[str, Job], dict[str, Job]]:
    """Return jobs as Redis and as SQL has them, whoever owns them."""
    found = {job_id: await storage.stores.live.get(job_id) for job_id in job_ids}
    redis = {job_id: fork(stored.view.job, "") for job_id, stored in found.items() if stored is not None}
    return redis, await storage.stores.sql.find(job_ids)


async def assert_recorded(storage: Storage, lines: dict[str, list[Event]]) -> None:
    """Find in SQL what Redis has, and exactly these lines."""
    redis, sql = await jobs_in(storage, list(lines))
    assert sql == redis
    assert sql.keys() == lines.keys()
    for job_id, events in lines.items():
        assert await storage.history.timeline(job_id, 0, 10_000) == events


@asynccontextmanager
async def refusing(url: str) -> AsyncIterator[None]:
    """Let SQL take no writes of what is recorded, nor on trial, while inside, as on a full disk."""
    database = Database(url, 5.0)
    tables = ("recorded", "watch")
    if database.is_postgresql:
        made = ["CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE disk_full; END'"]
        what, place = "EXECUTE FUNCTION refuse()", " ON {}"
    else:
        made, what, place = [], "BEGIN SELECT json('no JSON'); END", ""  # RAISE would be a constraint that is not kept
    async with database.writing() as connection:
        for given in (*made, *(f"CREATE TRIGGER full_{name} BEFORE INSERT ON {name} {what}" for name in tables)):
            await connection.execute(text(given))
    yield
    async with database.writing() as connection:
        for name in tables:
            await connection.execute(text(f"DROP TRIGGER full_{name}" + place.format(name)))
    await database.close()


async def left(storage: Storage) -> int:
    return (await storage.outbox.backlog()).lines


async def emptied(storage: Storage) -> None:
    """Take everything out of SQL, as if the disk had been lost."""
    async with storage.database.writing() as connection:
        for name in [*TABLES.tables, "alembic_version"]:
            await connection.execute(text(f"DROP TABLE {name}"))
    await storage.database.revive()


async def filled(storage: Storage) -> None:
    """Let the recorder see that Redis lacks something, and have that filled in."""
    await storage.recorder.record_all()
    filling = asyncio.create_task(storage.restoration.run())

    async def is_whole() -> bool:
        return all(standing.is_whole for standing in (await storage.outbox.standings()).values())

    await until_found(is_whole, TAKE_OVER_SECONDS, lambda: "Redis is filled")
    await ended(filling)


async def test_everything_that_was_pushed_is_in_sql_and_leaves_the_outbox(storage: Storage) -> None:
    live = storage.stores.live
    lines = await told(live, 100) | await told(live, 50, project="uni")
    assert await left(storage) == sum(map(len, lines.values()))
    await storage.recorder.record_all()
    await assert_recorded(storage, lines)
    assert await left(storage) == 0


async def test_more_than_a_batch_is_recorded_in_one_go(storage: Storage) -> None:
    lines = await told(storage.stores.live, 1_200, jobs=250)
    assert sum(map(len, lines.values())) > 2 * LINES_A_BATCH
    await storage.recorder.record_all()
    await assert_recorded(storage, lines)
    assert await left(storage) == 0


async def test_who_begins_records_what_is_left_although_one_that_died_has_the_lease(
    storage: Storage, other: Storage
) -> None:
    lines = await told(storage.stores.live, 30)
    assert await RedisLease(other.link, "recorder").hold()
    await storage.recorder.catch_up(TAKE_OVER_SECONDS)
    await assert_recorded(storage, lines)


async def test_who_begins_takes_no_longer_than_it_may_and_the_rest_is_recorded_afterwards(
    storage: Storage, valkey: EmbeddedValkey
) -> None:
    lines = await told(storage.stores.live, 100)
    began = time.monotonic()
    with paused(valkey):
        await storage.recorder.catch_up(0.1)
    assert time.monotonic() - began < storage.own_link.timeout_seconds / 2
    assert await left(storage) > 0
    await storage.recorder.record_all()
    await assert_recorded(storage, lines)


async def test_changes_without_lines_are_recorded_too(storage: Storage) -> None:
    live = storage.stores.live
    lines = await told(live, 3, jobs=1)
    await storage.recorder.record_all()
    await live.update("default-0", push(update("default-0", writer="w", seq=9, metadata={"k": 1}), NOON + 3))
    await storage.recorder.record_all()
    await assert_recorded(storage, lines)
    assert storage.recorder.recorded_rev("default").rev == 4


async def test_nothing_new_is_not_recorded_again(storage: Storage) -> None:
    await told(storage.stores.live, 10)
    await storage.recorder.record_all()
    before = await storage.stores.sql.since("default", 0, 100)
    await storage.recorder.record_all()
    assert (await storage.stores.sql.since("default", 0, 100)).cursor == before.cursor


async def test_what_is_deleted_leaves_sql(storage: Storage) -> None:
    live = storage.stores.live
    lines = await told(live, 20, jobs=2)
    await storage.recorder.record_all()
    await live.delete("default-0", lambda _: None)
    await storage.recorder.record_all()
    await assert_recorded(storage, {"default-1": lines["default-1"]})
    assert await storage.stores.sql.get("default-0") is None
    assert await storage.history.timeline("default-0", 0, 10) == []


async def test_job_that_was_deleted_and_began_anew_behind_a_long_queue_is_the_new_one(storage: Storage) -> None:
    """Its change is read before the line that tells of the deletion."""
    live = storage.stores.live
    await live.update("again", finish("again"))
    await storage.recorder.record_all()
    for seq in range(LINES_A_BATCH):
        await live.update("busy", push(update("busy", writer="w", seq=seq, event=WorkerEvent("line")), NOON + seq))
    await live.delete("again", lambda _: None)
    written = await live.update("again", push(update("again", current=1), NOON + 60))
    for _ in range(2):
        await storage.recorder.record_all()
        await tell_ahead(storage.archive, live, time.time)
    redis, sql = await jobs_in(storage, ["again"])
    assert redis["again"] == fork(written.outcome.job, "")
    assert sql == redis


async def crashed(storage: Storage) -> None:
    """Record, and die after the commit and before the outbox is trimmed."""
    with pytest.raises(StoreUnavailable):
        await recorder(storage, Broken(storage.link)).record_all()


async def test_crash_between_commit_and_trim_records_nothing_twice(storage: Storage) -> None:
    lines = await told(storage.stores.live, 100)
    await crashed(storage)
    assert await left(storage) > 0
    await recorder(storage).record_all()
    await assert_recorded(storage, lines)


async def test_what_is_pushed_after_such_a_crash_is_recorded(storage: Storage) -> None:
    live = storage.stores.live
    lines = await told(live, 100)
    await crashed(storage)
    written = await live.update("default-0", finish("default-0", now=NOON + 200))
    lines["default-0"] += written.outcome.events
    await recorder(storage).record_all()
    await assert_recorded(storage, lines)
    assert await left(storage) == 0


async def test_crash_between_commit_and_trim_leaves_nothing_waiting_for_ever(storage: Storage) -> None:
    await told(storage.stores.live, 100)
    await crashed(storage)
    await recorder(storage).record_all()
    assert await left(storage) == 0


async def test_two_recorders_at_once_record_everything_once(storage: Storage, other: Storage) -> None:
    pushing = asyncio.create_task(told(storage.stores.live, 600, jobs=40))
    while not pushing.done():
        await asyncio.gather(storage.recorder.record_all(), other.recorder.record_all())
    lines = await pushing
    await asyncio.gather(storage.recorder.record_all(), other.recorder.record_all())
    await assert_recorded(storage, lines)
    assert await left(storage) == 0


async def test_lease_is_one_holders_who_keeps_it(storage: Storage) -> None:
    mine, theirs = RedisLease(storage.link, "work"), RedisLease(storage.link, "work")
    assert [await mine.hold(), await theirs.hold(), await mine.hold()] == [True, False, True]
    assert await RedisLease(storage.link, "another").hold()


async def test_lease_is_taken_over_when_its_holder_stops(storage: Storage) -> None:
    mine, theirs = RedisLease(storage.link, "work"), RedisLease(storage.link, "work")
    assert await mine.hold()
    await until_found(theirs.hold, TAKE_OVER_SECONDS, lambda: "the lease was taken over")
    assert not await mine.hold()


async def test_another_recorder_goes_on_when_the_first_stops(storage: Storage, other: Storage) -> None:
    running = asyncio.create_task(storage.recorder.run())
    await told(storage.stores.live, 10, project="first")
    await until_found(partial(is_all_recorded, storage), TAKE_OVER_SECONDS, lambda: "the first one records")
    waiting = asyncio.create_task(other.recorder.run())
    await ended(running)
    lines = await told(storage.stores.live, 10, project="second")
    await until_found(partial(is_all_recorded, storage), TAKE_OVER_SECONDS, lambda: "the other one records")
    await ended(waiting)
    await assert_recorded(storage, lines)


async def is_all_recorded(storage: Storage) -> bool:
    return await left(storage) == 0


async def test_emptied_sql_is_filled_anew(storage: Storage) -> None:
    lines = await told(storage.stores.live, 300, jobs=250)
    await storage.recorder.record_all()
    await emptied(storage)
    await recorder(storage).record_all()
    redis, sql = await jobs_in(storage, list(lines))
    assert sql == redis
    assert len(sql) == 250


async def test_recorder_that_was_under_way_when_sql_was_emptied_fills_it_anew(storage: Storage) -> None:
    live = storage.stores.live
    lines = await told(live, 30)
    await storage.recorder.record_all()
    await emptied(storage)
    await live.update("default-0", push(update("default-0", writer="w", seq=99, add_current=1), NOON + 99))
    await storage.recorder.record_all()
    redis, sql = await jobs_in(storage, list(lines))
    assert sql == redis


async def test_flushed_redis_is_recorded_from_its_beginning(storage: Storage, live: RedisLive) -> None:
    await told(storage.stores.live, 30)
    await storage.recorder.record_all()
    before = await storage.archive.recorded("default")
    await storage.link.commands.flushall()
    await live.update("new", push(update("new", current=1)))
    await filled(storage)
    await storage.recorder.record_all()
    after = await storage.archive.recorded("default")
    assert after.cursor.epoch not in {"", before.cursor.epoch}
    assert after.cursor == (await storage.outbox.standings())["default"].cursor
    assert await storage.stores.sql.get("new") is not None
    assert await left(storage) == 0


async def test_lines_of_a_new_server_are_recorded_although_its_clock_is_behind(
    storage: Storage, live: RedisLive
) -> None:
    await told(storage.stores.live, 3)
    await storage.recorder.record_all()
    recorded = await storage.archive.recorded("default")
    ahead = Recorded(recorded.cursor, "99999999999999-0")
    await storage.archive.record("default", Batch((), ()), recorded, ahead)
    await storage.link.commands.flushall()
    written = await live.update("new", push(update("new", current=1)))
    await filled(storage)
    await recorder(storage).record_all()
    assert await storage.history.timeline("new", 0, 10) == list(written.outcome.events)
    assert await left(storage) == 0


async def test_what_sql_has_beyond_a_flushed_redis_is_joined_in_both(storage: Storage, live: RedisLive) -> None:
    await live.update("job-1", push(update(writer="w", seq=1, add_current=30)))
    await live.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    await storage.recorder.record_all()
    await storage.link.commands.flushall()
    anew = RedisLive(storage.link, time.time)
    await anew.update("job-1", push(update(writer="v", seq=1, add_current=500), NOON + 9))
    await filled(storage)
    await storage.recorder.record_all()
    for side in await jobs_in(storage, ["job-1"]):
        assert (view(side["job-1"]).current, side["job-1"].created_at) == (531, NOON)


async def test_what_both_have_comes_to_rest(storage: Storage, live: RedisLive) -> None:
    await live.update("job-1", push(update(writer="w", seq=1, add_current=30)))
    await storage.recorder.record_all()
    await storage.link.commands.flushall()
    anew = RedisLive(storage.link, time.time)
    await anew.update("job-1", push(update(writer="v", seq=1, add_current=500), NOON + 9))
    await filled(storage)
    for _ in range(3):
        await storage.recorder.record_all()
        await tell_ahead(storage.archive, anew, time.time)
    version = (await storage.stores.sql.find(["job-1"]))["job-1"].version
    assert await storage.archive.ahead(10) == ([], [])
    await storage.recorder.record_all()
    redis, sql = await jobs_in(storage, ["job-1"])
    assert redis["job-1"].version == sql["job-1"].version == version


async def test_job_that_ended_on_both_sides_has_one_end_in_both(storage: Storage, live: RedisLive) -> None:
    await live.update("job-1", push(update(writer="w", seq=1, current=3)))
    await storage.recorder.record_all()
    await storage.stores.sql.update("job-1", finish(status=Status.FAILED, now=NOON + 10))
    await live.update("job-1", finish(status=Status.COMPLETED, now=NOON + 20))
    for _ in range(2):
        await storage.recorder.record_all()
        await tell_ahead(storage.archive, live, time.time)
    redis, sql = await jobs_in(storage, ["job-1"])
    assert [view(side["job-1"]).status for side in (redis, sql)] == [Status.FAILED] * 2
    assert (await live.counts()).jobs == {("default", "failed"): 1}


async def test_deletion_in_sql_reaches_redis_but_not_a_later_job_of_that_id(storage: Storage, live: RedisLive) -> None:
    sql = storage.stores.sql
    for job_id in ("gone", "again"):
        await live.update(job_id, push(update(job_id)))
    await storage.recorder.record_all()
    for job_id in ("gone", "again"):
        assert await sql.delete(job_id, lambda _: None)
    await live.delete("again", lambda _: None)
    await live.update("again", push(update("again", current=1), NOON + 60))
    await tell_ahead(storage.archive, live, time.time)
    assert await live.get("gone") is None
    assert await live.get("again") is not None
    assert await storage.archive.ahead(10) == ([], [])


async def test_refusal_of_one_job_does_not_keep_others_from_being_told(storage: Storage, live: RedisLive) -> None:
    """The same id was given to two projects while the stores were apart."""
    sql = storage.stores.sql
    for number in range(100):
        await live.update(f"job-{number}", push(update(f"job-{number}", project="one"), NOON + 5))
        await sql.update(f"job-{number}", push(update(f"job-{number}", project="two")))
    await sql.update("other", push(update("other", project="two", current=7)))
    for _ in range(3):
        await tell_ahead(storage.archive, live, time.time)
    assert await live.get("other") is not None


async def test_lag_is_counted_from_the_last_round(link: RedisLink, storage: Storage) -> None:
    slept: list[float] = []
    rounds = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        rounds.set()
        await asyncio.Event().wait()

    mine = recorder(storage)
    assert await RedisLease(link, "recorder").hold()
    running = asyncio.create_task(_run(mine, sleep))
    await asyncio.wait_for(rounds.wait(), TAKE_OVER_SECONDS)
    await ended(running)
    assert slept == [1.0]
    assert mine.behind_seconds < TAKE_OVER_SECONDS


async def _run(mine: Recorder, sleep: Callable[[float], Awaitable[None]]) -> None:
    await mine.run(sleep)


async def format_of(storage: Storage, job_id: str, version: int, project: str = "default") -> None:
    """Have a job stored in a format of another release."""
    key = ProjectKeys(project).job(job_id)
    document = await storage.link.commands.hget(key, "document")
    anew = document.replace(b'"format":%d' % (3 - version), b'"format":%d' % version)
    await storage.link.commands.hset(key, "document", anew)
    await storage.link.commands.hincrby(key, "tag", 1)


def unreadable(storage: Storage) -> int:
    return counted(storage).counts["store_failed", "redis", "record", "unreadable"]


async def test_job_of_a_newer_format_keeps_no_other_from_being_recorded(storage: Storage, live: RedisLive) -> None:
    lines = await told(live, 20, jobs=3) | await told(live, 3, project="uni")
    await format_of(storage, "default-1", 2)
    for _ in range(2):
        await storage.recorder.record_all()
    _, sql = await jobs_in(storage, [job_id for job_id in lines if job_id != "default-1"])
    assert sql.keys() == lines.keys() - {"default-1"}
    assert (await left(storage), unreadable(storage)) == (0, 1)
    later = await live.update("default-0", push(update("default-0", metadata={"k": 1}), NOON + 60))
    await storage.recorder.record_all()
    assert (await storage.stores.sql.find(["default-0"]))["default-0"].version == later.outcome.job.version
    await format_of(storage, "default-1", 1)
    await recorder(storage).record_all()
    await assert_recorded(storage, lines)


async def test_line_that_cannot_be_read_keeps_no_other_from_being_recorded_and_is_kept(
    storage: Storage, live: RedisLive
) -> None:
    place, commands = ProjectKeys("default"), storage.link.commands
    lines = await told(live, 5, jobs=1)
    await commands.xadd(place.index("outbox"), {"job": "default-0", "event": b'{"format":2}'})
    written = await live.update("default-0", push(update("default-0", event=WorkerEvent("line")), NOON + 60))
    lines["default-0"] += written.outcome.events
    await crashed(storage)
    await recorder(storage).record_all()
    await assert_recorded(storage, lines)
    assert await left(storage) == 0
    ((_, kept),) = await commands.xrange(place.index("unread"))
    assert kept == {b"job": b"default-0", b"event": b'{"format":2}'}


async def test_recorder_tries_what_was_kept_aside_when_it_begins(storage: Storage, live: RedisLive) -> None:
    """The release before could not read it."""
    place, commands = ProjectKeys("default"), storage.link.commands
    lines = await told(live, 5, jobs=1)
    ((number, line), *_) = await commands.xrange(place.index("outbox"))
    await commands.xadd(place.index("unread"), line, id=number)
    await commands.xdel(place.index("outbox"), number)
    running = asyncio.create_task(storage.recorder.run())

    async def is_recorded() -> bool:
        found = await storage.history.timeline("default-0", 0, 100)
        return {event.id for event in found} == {event.id for event in lines["default-0"]}

    await until_found(is_recorded, TAKE_OVER_SECONDS, lambda: "the line is recorded")
    await ended(running)
    assert await commands.xlen(place.index("unread")) == 0


async def test_job_in_sql_of_a_newer_format_keeps_no_other_from_being_told(storage: Storage, live: RedisLive) -> None:
    sql = storage.stores.sql
    for name in ("newer", "other"):
        await sql.update(name, push(update(name)))
    async with storage.database.writing() as connection:
        newer = (JOBS.c.job_id == "newer", b'{"format":2}')
        await connection.execute(sql_update(JOBS).where(newer[0]).values(document=newer[1]))
    while await tell_ahead(storage.archive, live, time.time):
        continue
    assert await live.get("other") is not None
    answers = await sql.update_many([(name, push(update(name, current=1))) for name in ("newer", "other")])
    assert isinstance(answers[0], Unreadable)
    assert isinstance(answers[1], Written)
    assert [each.view.job.job_id for each in (await sql.page(query())).jobs] == ["other"]


async def test_job_of_a_newer_format_is_refused_and_others_are_pushed_and_listed(
    storage: Storage, live: RedisLive
) -> None:
    for name in ("newer", "other"):
        await live.update(name, push(update(name)))
    await format_of(storage, "newer", 2)
    anew = RedisLive(storage.link, time.time)
    for store in (live, anew):
        names = ("newer", "other")
        answers = await store.update_many([(name, push(update(name, event=WorkerEvent("line")))) for name in names])
        assert isinstance(answers[0], Unreadable)
        assert isinstance(answers[1], Written)
        with pytest.raises(Unreadable):
            await store.get("newer")
        assert [each.view.job.job_id for each in (await store.page(query())).jobs][-1] == "other"


async def test_sql_that_takes_no_writes_is_told_once_and_counted_and_so_is_that_it_is_over(
    storage: Storage, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be read all the time."""
    metrics, live = Counted(), storage.stores.live
    ports = (storage.outbox, live, live, storage.archive, RedisLease(storage.link, "recorder"), metrics, time.time)
    recorder = Recorder(*ports)
    lines = await told(live, 5)
    count = sum(map(len, lines.values()))
    async with refusing(database_url):
        running = asyncio.create_task(patient(recorder.run, storage.redis_breaker, storage.sql_breaker))
        await until(lambda: metrics.counts["store_failed", "sql", "record", "unavailable"] > 2, 60.0, "it fails")
        await storage.database.revive()
        assert not storage.database.takes_writes
        assert await storage.history.timeline("default-0", 0, 10) == []
    await until(lambda: metrics.counts["recorded", count] == 1, 60.0, "it is recorded")
    await until(lambda: CAN_RECORD in caplog.messages, 60.0, "it is told")
    await ended(running)
    await assert_recorded(storage, lines)
    await until(lambda: storage.database.takes_writes, 60.0, "SQL takes writes again")
    assert [caplog.messages.count(message) for message in (CANNOT_RECORD, CAN_RECORD)] == [1, 1]
    levels = {record.levelname for record in caplog.records if record.message in {CANNOT_RECORD, CAN_RECORD}}
    assert levels == {"WARNING"}
