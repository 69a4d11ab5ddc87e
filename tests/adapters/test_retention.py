"""What leaves Redis and SQL in time, and who counts as lost; over real servers, with a clock of the test's own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from typing_extensions import override

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import TOMBSTONE_SECONDS
from sidecar.adapters.redis.lease import RedisLease
from sidecar.adapters.redis.link import Arguments, RedisLink, Script
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.redis.sweep import RedisSweep
from sidecar.background.retention import DAY_SECONDS, JOBS_A_TURN, Retention
from sidecar.core.job import Job, Request, Status
from sidecar.ports import Gone
from sidecar.settings import Settings
from sidecar.storage import Storage, _terms
from sidecar.tasks import ended
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.updates import NOON, ask, finish, give, push, update
from tests.clock import Clock
from tests.http.conftest import Counted

HOUR = 3_600.0
SETTINGS = Settings(
    store_timeout_seconds=5, finished_ttl_seconds=HOUR, lost_seconds=10 * HOUR, abandoned_days=5, history_days=30
)


class LateSweep(RedisSweep):
    """A sweep between whose reading and acting a job is deleted."""

    live: RedisLive

    @override
    async def silent(self, project: str, before: float, offset: int, limit: int) -> list[Job]:
        jobs = await super().silent(project, before, offset, limit)
        for job in jobs:
            await self.live.delete(job.job_id, lambda _: None)
        return jobs


class SlowLink(RedisLink):
    """A link on which something happens between the two calls of a sweep."""

    meanwhile: Callable[[], Awaitable[object]]

    @override
    async def evaluate(self, script: Script, keys: Sequence[str], arguments: Arguments) -> Any:
        answer = await super().evaluate(script, keys, arguments)
        await self.meanwhile()
        return answer


@pytest.fixture
def settings() -> Settings:
    return SETTINGS


@pytest.fixture
def store(storage: Storage) -> FallbackStore:
    return storage.surface("rest")


async def sweep(storage: Storage, project: str = "default") -> None:
    standing = (await storage.outbox.standings())[project]
    await storage.retention.sweep(project, standing)


async def recorded_and_swept(storage: Storage) -> None:
    await storage.recorder.record_all()
    await sweep(storage)


async def types(storage: Storage, job_id: str = "job-1") -> list[str]:
    await storage.recorder.record_all()
    return [event.type for event in await storage.history.timeline(job_id, 0, 1_000)]


async def test_finished_job_leaves_redis_after_its_time_and_stays_readable(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    await store.update("job-1", push(update(seq=1, current=3)))
    written = await store.update("job-1", finish(now=NOON + 1))
    clock.now = NOON + HOUR
    await recorded_and_swept(storage)
    assert await live.get("job-1") is not None
    clock.now = NOON + HOUR + 2
    await sweep(storage)
    assert await live.get("job-1") is None
    stored = await store.get("job-1")
    assert stored is not None
    assert (stored.view.status, stored.view.current, stored.cursor) == (Status.COMPLETED, 3, written.cursor)


async def test_finished_job_does_not_leave_redis_before_it_is_recorded(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("other", push(update("other")))
    await storage.recorder.record_all()
    await live.update("job-1", push(update(current=3)))
    await live.update("job-1", finish())
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert await live.get("job-1") is not None
    await recorded_and_swept(storage)
    assert await live.get("job-1") is None


async def test_job_whose_end_is_not_recorded_does_not_leave_redis(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("job-1", push(update(current=3)))
    await storage.recorder.record_all()
    await live.update("job-1", finish())
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert (await viewed(live)).status is Status.COMPLETED


async def test_job_that_sql_has_otherwise_does_not_leave_redis(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    """Another sidecar took an update into SQL, so that both have a version of the same number."""
    await live.update("job-1", push(update(writer="w", seq=1, current=3)))
    await storage.recorder.record_all()
    await storage.stores.sql.update("job-1", push(update(writer="v", seq=1, current=4)))
    await live.update("job-1", push(update(writer="w", seq=2, words={"status": "completed"})))
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert (await viewed(store)).status is Status.COMPLETED


async def test_unfinished_job_never_leaves_redis(storage: Storage, live: RedisLive, clock: Clock) -> None:
    for status in ("running", "paused", "blocked", "queued"):
        await live.update(status, push(update(status, words={"status": status})))
    clock.now = NOON + 9 * HOUR
    await recorded_and_swept(storage)
    assert len((await live.page(query())).jobs) == 4


async def test_many_finished_jobs_leave_in_one_sweep(storage: Storage, live: RedisLive, clock: Clock) -> None:
    changes = [(f"job-{n}", finish(f"job-{n}", now=NOON + n)) for n in range(2 * JOBS_A_TURN + 30)]
    await give(live, changes)
    clock.now = NOON + 9 * HOUR
    await recorded_and_swept(storage)
    assert (await live.page(query())).jobs == ()
    assert (await live.counts()).jobs == {}


async def test_jobs_that_the_history_has_forgotten_do_not_keep_others_in_redis(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update_many([(f"old-{n}", finish(f"old-{n}", now=NOON + n)) for n in range(JOBS_A_TURN)])
    await storage.recorder.record_all()
    await storage.archive.forget(NOON + JOBS_A_TURN, JOBS_A_TURN)
    await live.update("young", finish("young", now=NOON + HOUR))
    clock.now = NOON + 9 * HOUR
    await recorded_and_swept(storage)
    assert await live.get("young") is None


async def test_what_left_redis_is_no_change_any_more_and_the_cut_rises(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("done", finish("done"))
    await live.update("running", push(update("running")))
    clock.now = NOON + 9 * HOUR
    await storage.recorder.record_all()
    assert (await live.since("default", 0, 10)).cut == 0
    await sweep(storage)
    missed = await live.since("default", 0, 10)
    assert (missed.cut, [change.cursor.rev for change in missed.changes], missed.cursor.rev) == (1, [2], 2)


async def test_nobody_is_told_that_a_job_left_redis(storage: Storage, live: RedisLive, clock: Clock) -> None:
    written = await live.update("job-1", finish())
    clock.now = NOON + 9 * HOUR
    await recorded_and_swept(storage)
    missed = await live.since("default", 0, 10)
    assert (missed.cursor, missed.changes) == (written.cursor, ())


async def test_job_that_began_again_meanwhile_stays(storage: Storage, live: RedisLive, clock: Clock) -> None:
    await live.update("job-1", finish())
    await storage.recorder.record_all()
    await live.update("job-1", push(update(attempt=2), NOON + 10))
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert (await viewed(live)).status is Status.RUNNING


async def test_late_word_before_a_job_leaves_is_kept(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await store.update("job-1", finish())
    await storage.recorder.record_all()
    late = update(seq=9, current=5)
    await store.update("job-1", push(late, NOON + 10))
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert await storage.stores.live.get("job-1") is None
    await store.update("job-1", push(late, NOON + 20))
    assert (await types(storage)).count("late") == 1


async def test_tombstone_is_buried_after_its_time_once_it_is_recorded(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("job-1", push(update()))
    await storage.recorder.record_all()
    await live.delete("job-1", lambda _: None)
    await storage.recorder.record_all()
    clock.now = NOON + TOMBSTONE_SECONDS - 1
    await sweep(storage)
    assert isinstance((await live.since("default", 0, 10)).changes[0], Gone)
    clock.now = NOON + TOMBSTONE_SECONDS + 1
    await sweep(storage)
    missed = await live.since("default", 0, 10)
    assert (missed.changes, missed.cut) == ((), 2)


async def test_tombstone_is_not_buried_before_it_is_recorded(storage: Storage, live: RedisLive, clock: Clock) -> None:
    await live.update("job-1", push(update()))
    await storage.recorder.record_all()
    await live.delete("job-1", lambda _: None)
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert isinstance((await live.since("default", 0, 10)).changes[0], Gone)
    await recorded_and_swept(storage)
    assert (await live.since("default", 0, 10)).changes == ()


async def test_deleted_job_does_not_come_back_after_it_was_buried(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    await store.update("job-1", push(update(current=9)))
    await storage.recorder.record_all()
    await store.delete("job-1", lambda _: None)
    await storage.recorder.record_all()
    clock.now = NOON + 9 * HOUR
    await sweep(storage)
    assert await store.get("job-1") is None
    await store.update("job-1", push(update(current=1), clock.now))
    assert (await viewed(store)).current == 1


async def test_silent_job_is_lost(storage: Storage, live: RedisLive, clock: Clock) -> None:
    await live.update("job-1", push(update(current=1)))
    clock.now = NOON + 10 * HOUR - 1
    await sweep(storage)
    assert (await viewed(live)).status is Status.RUNNING
    clock.now = NOON + 10 * HOUR + 1
    await sweep(storage)
    shown = await viewed(live)
    assert (shown.status, shown.finished_at) == (Status.LOST, clock.now)


async def statuses(live: RedisLive, names: Sequence[str]) -> list[str]:
    return [(await viewed(live, name)).status for name in names]


async def test_nobody_is_lost_after_an_outage_before_workers_have_had_time_to_speak(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    names = ("speaks", "silent")
    for name in names:
        await live.update(name, push(update(name, current=1)))
    await storage.retention.sweep_all()
    clock.now = began = NOON + 3 * DAY_SECONDS  # nobody has listened since
    for _ in range(2):
        await storage.retention.sweep_all()
    assert await statuses(live, names) == ["running", "running"]
    await live.update("speaks", push(update("speaks")._replace(said={}), began + HOUR))
    for seconds in (-1, 1):
        assert await statuses(live, names) == ["running", "running"]
        clock.now = began + 10 * HOUR + seconds
        await storage.link.commands.hset(keys.RETENTION, "listened", clock.now - 5)
        await storage.retention.sweep_all()
    assert await statuses(live, names) == ["running", "lost"]


async def test_nobody_is_lost_at_once_in_a_redis_that_does_not_know_who_listened(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("job-1", push(update(current=1)))
    clock.now = NOON + 3 * DAY_SECONDS
    await storage.retention.sweep_all()
    assert (await viewed(live)).status is Status.RUNNING


async def test_job_is_found_lost_although_it_was_never_recorded(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("job-1", push(update(current=1)))
    clock.now = NOON + 11 * HOUR
    await sweep(storage)
    assert (await live.counts()).jobs == {("default", "lost"): 1}


@pytest.mark.parametrize("status", ["paused", "blocked"])
async def test_job_that_waits_is_lost_only_when_it_is_abandoned(
    storage: Storage, live: RedisLive, clock: Clock, status: str
) -> None:
    await live.update("job-1", push(update(words={"status": status})))
    clock.now = NOON + 4.9 * DAY_SECONDS
    await sweep(storage)
    assert (await viewed(live)).status == status
    clock.now = NOON + 5.1 * DAY_SECONDS
    await sweep(storage)
    assert (await viewed(live)).status is Status.LOST


async def test_heartbeats_keep_a_job_from_being_lost(storage: Storage, live: RedisLive, clock: Clock) -> None:
    await live.update("job-1", push(update(current=1)))
    await live.update("job-1", push(update()._replace(said={}), NOON + 9 * HOUR))
    clock.now = NOON + 18 * HOUR
    await sweep(storage)
    assert (await viewed(live)).status is Status.RUNNING


async def test_operators_wish_does_not_keep_a_job_from_being_lost(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("job-1", push(update(current=1)))
    await live.update("job-1", ask(Request.CANCEL, NOON + 9 * HOUR))
    clock.now = NOON + 11 * HOUR
    await sweep(storage)
    assert (await viewed(live)).status is Status.LOST


async def test_those_who_still_speak_do_not_hide_who_is_silent(storage: Storage, live: RedisLive, clock: Clock) -> None:
    """More than one look takes in make no progress and live; one behind them is silent."""
    names = [f"job-{n:03}" for n in range(2 * JOBS_A_TURN)]
    await live.update_many([(name, push(update(name, current=1))) for name in names])
    await live.update("silent", push(update("silent", current=1), NOON + 1))
    late = NOON + 9 * HOUR
    await live.update_many([(name, push(update(name)._replace(said={}), late)) for name in names])
    clock.now = NOON + 11 * HOUR
    for _ in range(3):
        await sweep(storage)
    assert (await viewed(live, "silent")).status is Status.LOST
    assert (await live.counts()).jobs["default", "running"] == len(names)


async def test_job_that_was_deleted_meanwhile_does_not_rise_as_lost(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    await live.update("job-1", push(update(current=1)))
    await storage.recorder.record_all()
    late = LateSweep(storage.link, live.memory.forget)
    late.live = live
    lease = RedisLease(storage.link, "retention")
    terms = _terms(SETTINGS)
    retention = Retention(storage.outbox, late, live, storage.archive, lease, terms, Counted(), clock)
    clock.now = NOON + 11 * HOUR
    await retention.sweep("default", (await storage.outbox.standings())["default"])
    assert await live.get("job-1") is None


async def test_lost_job_that_reports_again_runs(storage: Storage, live: RedisLive, clock: Clock) -> None:
    await live.update("job-1", push(update(current=1)))
    clock.now = NOON + 11 * HOUR
    await sweep(storage)
    await live.update("job-1", push(update(current=2), clock.now + 5))
    shown = await viewed(live)
    assert (shown.status, shown.current) == (Status.RUNNING, 2)
    assert [kind for kind in await types(storage) if kind in {"lost", "returned"}] == ["lost", "returned"]


async def test_lost_job_that_left_redis_runs_again_when_it_reports(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    clock.now = NOON + 11 * HOUR
    await sweep(storage)
    await storage.recorder.record_all()
    clock.now = NOON + 13 * HOUR
    await sweep(storage)
    assert await live.get("job-1") is None
    assert (await viewed(store)).status is Status.LOST
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1), clock.now))
    shown = await viewed(store)
    assert (shown.status, shown.current, shown.job.created_at) == (Status.RUNNING, 6, NOON)
    assert [kind for kind in await types(storage) if kind in {"created", "lost", "returned"}] == [
        "created",
        "lost",
        "returned",
    ]
    assert (await live.counts()).jobs == {("default", "running"): 1}


async def test_history_forgets_after_its_days(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await store.update("old", push(update("old", stage="load")))
    await store.update("old", finish("old"))
    await store.update("young", finish("young", now=NOON + DAY_SECONDS))
    await store.update("running", push(update("running")))
    await storage.recorder.record_all()
    clock.now = NOON + DAY_SECONDS
    await sweep(storage)
    clock.now = NOON + 30.5 * DAY_SECONDS
    await storage.retention.forget()
    assert await storage.stores.sql.find(["old", "young", "running"]) != {}
    assert await store.get("old") is None
    assert await types(storage, "old") == []
    assert ids((await storage.stores.sql.page(query())).jobs) == ["young", "running"]


async def test_history_forgets_any_number_in_one_turn(storage: Storage, clock: Clock) -> None:
    sql = storage.stores.sql
    await give(sql, [(f"job-{n}", finish(f"job-{n}")) for n in range(1_100)])
    while (await storage.archive.ahead(500))[0]:
        jobs, buried = await storage.archive.ahead(500)
        await storage.archive.told(jobs, buried)
    clock.now = NOON + 31 * DAY_SECONDS
    await storage.retention.forget()
    assert (await sql.page(query())).jobs == ()


class Turns:
    """Lets a loop take one turn, and says when it has."""

    def __init__(self) -> None:
        self._pauses = 0
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Pause, the second time for ever."""
        assert seconds > 0
        self._pauses += 1
        if self._pauses > 1:
            self.over.set()
            await asyncio.Event().wait()


async def one_turn(retention: Retention) -> None:
    turns = Turns()
    running = asyncio.create_task(retention.run(turns.sleep))
    await asyncio.wait_for(turns.over.wait(), 10)
    await ended(running)


async def test_sweeping_takes_all_projects_in_turn(storage: Storage, live: RedisLive, clock: Clock) -> None:
    for project in ("one", "two"):
        await live.update(f"{project}-job", push(update(f"{project}-job", project=project)))
        await live.update(f"{project}-job", finish(f"{project}-job"))
    await storage.recorder.record_all()
    clock.now = NOON + 9 * HOUR
    await one_turn(storage.retention)
    assert (await live.page(query())).jobs == ()


async def test_who_has_no_lease_does_not_sweep(storage: Storage, live: RedisLive, clock: Clock) -> None:
    await live.update("job-1", finish())
    await storage.recorder.record_all()
    clock.now = NOON + 9 * HOUR
    assert await RedisLease(storage.link, "retention").hold()
    await one_turn(storage.retention)
    assert await live.get("job-1") is not None


async def test_another_process_sees_what_has_left(storage: Storage, other: Storage, clock: Clock) -> None:
    """It remembers the job, and must not write on what it remembers."""
    await other.stores.live.update("job-1", push(update(seq=1, current=3)))
    await other.stores.live.update("job-1", finish())
    clock.now = NOON + 9 * HOUR
    await recorded_and_swept(storage)
    written = await other.surface("ingest").update("job-1", push(update(seq=2, current=9), clock.now))
    assert written.outcome.reason == "late"
    assert (await viewed(other.surface("rest"))).status is Status.COMPLETED


def names(jobs: Sequence[Job]) -> list[str]:
    return [job.job_id for job in jobs]


async def test_finished_jobs_are_read_from_the_earliest_on(storage: Storage, live: RedisLive) -> None:
    sweep = RedisSweep(storage.link, live.memory.forget)
    for number in (3, 1, 2):
        await live.update(f"job-{number}", finish(f"job-{number}", now=NOON + number))
    assert names(await sweep.finished("default", NOON + 3, 0, 2)) == ["job-1", "job-2"]
    assert names(await sweep.finished("default", NOON + 2, 0, 9)) == ["job-1", "job-2"]
    assert await sweep.finished("nobody", NOON + 9, 0, 9) == []


async def test_job_that_changed_since_it_was_read_does_not_leave(storage: Storage, live: RedisLive) -> None:
    sweep = RedisSweep(storage.link, live.memory.forget)
    await live.update("a", finish("a"))
    await live.update("b", finish("b"))
    jobs = await sweep.finished("default", NOON + 1, 0, 9)
    await live.update("a", push(update("a", attempt=2), NOON + 5))
    assert await sweep.expire("default", jobs) == 1
    assert await live.get("a") is not None
    assert await live.get("b") is None
    assert await sweep.expire("default", jobs) == 0


async def test_job_that_begins_again_at_the_moment_it_leaves_is_found_by_everybody(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", finish())
    await storage.recorder.record_all()
    link = SlowLink(valkey.url, timeout_seconds=5)
    link.meanwhile = lambda: store.update("job-1", push(update(attempt=2), NOON + 5))
    sweep = RedisSweep(link, lambda _: None)
    assert await sweep.expire("default", await sweep.finished("default", NOON, 0, 9)) == 1
    await link.close()
    reader = RedisLive(storage.link, storage.stores.clock)
    assert (await viewed(reader)).status is Status.RUNNING
