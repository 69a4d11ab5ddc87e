"""One store out of two: lists of live and past jobs, keys that Redis has lost, and either of the two away."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typing_extensions import override

from sidecar.adapters.crossing import Crossing
from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.fallback import LONG_READS, FallbackStore
from sidecar.adapters.redis.agenda import RedisAgenda
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.restoration import Restoration
from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.live import SqlLive
from sidecar.background.recorder import tell_ahead
from sidecar.core.errors import Conflict, HistoryUnavailable, StoreRefused, StoreUnavailable
from sidecar.core.job import Job, Reason, Status, WorkerEvent
from sidecar.core.view import View, view
from sidecar.history import Ahead, Buried
from sidecar.ports import ChangeJob, Gone, Order, Query, Stored, Written
from sidecar.settings import Settings
from sidecar.storage import Storage
from sidecar.tasks import ended
from sidecar.tracker import Tracker
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.updates import NOON, finish, push, update
from tests.faults.patience import until_found
from tests.http.conftest import Counted

HOUR = 3_600.0
SOON = 10.0
SETTINGS = Settings(store_timeout_seconds=0.5, finished_ttl_seconds=HOUR)


class Clock:
    """Says the time that the test has set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
async def storage(valkey: EmbeddedValkey, database_path: Path, clock: Clock) -> AsyncIterator[Storage]:
    storage = await opened(valkey, database_path, clock)
    yield storage
    await storage.close()


@pytest.fixture
async def other(storage: Storage, valkey: EmbeddedValkey, database_path: Path, clock: Clock) -> AsyncIterator[Storage]:
    """Return the same stores as another process has them."""
    del storage  # opened first
    other = await opened(valkey, database_path, clock)
    yield other
    await other.close()


async def opened(valkey: EmbeddedValkey, database_path: Path, clock: Clock) -> Storage:
    storage = Storage(SETTINGS, valkey.url, f"sqlite:///{database_path}", Counted(), clock)
    await storage.start()
    return storage


@pytest.fixture
def store(storage: Storage) -> FallbackStore:
    return storage.surface("rest")


@pytest.fixture
def live(storage: Storage) -> RedisLive:
    return storage.stores.live


@contextmanager
def paused(valkey: EmbeddedValkey) -> Iterator[None]:
    """Stop the server while inside: its connections stay open and nothing answers."""
    assert valkey._server is not None
    pid = valkey._server._transport.get_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def parted(storage: Storage) -> Iterator[None]:
    """Let one process alone take Redis for away while inside."""
    storage.redis_breaker.open("its line is cut")
    yield


async def swept(storage: Storage) -> None:
    """Record everything, and let what has finished long enough leave Redis."""
    await storage.recorder.record_all()
    for project, standing in (await storage.outbox.standings()).items():
        await storage.retention.sweep(project, standing)


async def lose_key(storage: Storage, job_id: str = "job-1", project: str = "default") -> None:
    """Lose a job's document, as a Redis does that evicts keys."""
    assert await storage.link.commands.delete(ProjectKeys(project).job(job_id)) == 1


def fell_back(storage: Storage, operation: str, surface: str, reason: str = "unavailable") -> int:
    metrics = storage.stores.metrics
    assert isinstance(metrics, Counted)
    return metrics.counts["fell_back", operation, surface, reason]


async def left_redis(storage: Storage, clock: Clock, *, at: float = NOON + 1) -> View:
    """Return a job that counted to 5, was completed, and is kept in SQL alone."""
    store = storage.surface("ingest")
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    written = await store.update("job-1", push(update(writer="w", seq=2, words={"status": "completed"}), at))
    clock.now = at + 2 * HOUR
    await swept(storage)
    assert await storage.stores.live.get("job-1") is None
    return written.outcome.view


async def timeline(storage: Storage, job_id: str = "job-1") -> list[str]:
    await storage.recorder.record_all()
    return [event.type for event in await storage.history.timeline(job_id, 0, 1_000)]


# Lists


async def crowd(storage: Storage, clock: Clock) -> dict[str, View]:
    """Make jobs of every kind, many of them at the same moment, and return how each looks.

    A third has left Redis, a third has finished and is still there, the rest is unfinished; some have changed since
    they were recorded.
    """
    store, jobs = storage.surface("ingest"), dict[str, View]()

    async def take(job_id: str, given_at: float, **said: object) -> None:
        number = int(job_id.partition("-")[2])
        said |= {"project": f"p{number % 3}", "job_type": f"t{number % 2}"}
        written = await store.update(job_id, push(update(job_id, **said), given_at))
        jobs[job_id] = written.outcome.view

    names = [f"job-{number:02}" for number in range(36)]
    for number, name in enumerate(names):
        await take(name, NOON + number * 7 % 36 // 3)
    for name in names[::3]:
        await take(name, NOON + 20 + int(name[-2:]) // 6, words={"status": "completed"})
    clock.now = NOON + 2 * HOUR
    await swept(storage)
    for name in names[1::3]:
        await take(name, NOON + 15 + int(name[-2:]) // 6, words={"status": "failed"})
    await storage.recorder.record_all()
    for name in names[2::6]:
        await take(name, NOON + 30 + int(name[-2:]) // 12, current=5)
    for name in names[4::9]:
        await take(name, NOON + 40, attempt=2)
    held = {name for name in names if await storage.stores.live.get(name) is not None}
    assert held == set(names) - set(names[::3])
    return jobs


FILTERS: dict[str, dict[str, object]] = {
    "all": {},
    "finished": {"active": False},
    "unfinished": {"active": True},
    "completed": {"statuses": frozenset({"completed"})},
    "failed or running": {"statuses": frozenset({"failed", "running"})},
    "of a project": {"project": "p1"},
    "of a type": {"job_type": "t1", "active": False},
    "late ones": {"updated_since": NOON + 20},
    "of some projects": {"may_see": lambda project: project != "p0"},
}


def asked(order: Order, limit: int, fields: dict[str, object]) -> Query:
    return query(order=order, limit=limit, **fields) if "may_see" not in fields else _seen(order, limit, fields)


def _seen(order: Order, limit: int, fields: dict[str, object]) -> Query:
    return Query(order=order, limit=limit, **fields)  # type: ignore[arg-type] # checked by the dataclass' own users


def plainly(jobs: dict[str, View], wanted: Query) -> list[str]:
    """Return the ids that a query asks for, in its order."""

    def is_wanted(shown: View) -> bool:
        job = shown.job
        return (
            wanted.may_see(job.project)
            and wanted.project in {None, job.project}
            and wanted.job_type in {None, job.job_type}
            and (wanted.active is None or wanted.active is not shown.is_finished)
            and (not wanted.statuses or shown.status in wanted.statuses)
            and (wanted.updated_since is None or job.updated_at >= wanted.updated_since)
        )

    by_update = wanted.order in {Order.NEWEST_UPDATED, Order.OLDEST_UPDATED}
    return [
        job.job_id
        for job in sorted(
            (shown.job for shown in jobs.values() if is_wanted(shown)),
            key=lambda job: (job.updated_at if by_update else job.created_at, job.job_id),
            reverse=wanted.order in {Order.NEWEST_CREATED, Order.NEWEST_UPDATED},
        )
    ]


async def walk(store: FallbackStore, wanted: Query) -> list[str]:
    """Return the ids on all pages."""
    seen: list[str] = []
    while True:
        page = await store.page(wanted)
        assert len(page.jobs) <= wanted.limit
        seen += ids(page.jobs)
        if page.next is None:
            return seen
        assert page.next != wanted.after
        wanted = Query(**{name: getattr(wanted, name) for name in wanted.__slots__} | {"after": page.next})


@pytest.mark.parametrize("order", list(Order))
async def test_lists_of_live_and_past_jobs_are_one_in_any_order_and_pages_of_any_size(
    storage: Storage, store: FallbackStore, clock: Clock, order: Order
) -> None:
    jobs = await crowd(storage, clock)
    for name, fields in FILTERS.items():
        for limit in (1, 2, 5, 100):
            wanted = asked(order, limit, fields)
            assert await walk(store, wanted) == plainly(jobs, wanted), (name, limit)


async def test_list_shows_each_job_as_it_is_now(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    jobs = await crowd(storage, clock)
    page = await store.page(query(limit=1_000))
    assert {each.view.job.job_id: (each.view.status, each.view.job.version) for each in page.jobs} == {
        job_id: (shown.status, shown.job.version) for job_id, shown in jobs.items()
    }


@pytest.mark.parametrize("order", list(Order))
async def test_jobs_that_leave_redis_while_they_are_paged_are_neither_missed_nor_repeated(
    storage: Storage, store: FallbackStore, clock: Clock, order: Order
) -> None:
    jobs = await crowd(storage, clock)
    wanted, seen = query(order=order, limit=4), list[str]()
    while True:
        page = await store.page(wanted)
        seen += ids(page.jobs)
        if page.next is None:
            break
        clock.now += HOUR / 4
        await swept(storage)
        wanted = query(order=order, limit=4, after=page.next)
    assert seen == plainly(jobs, wanted)


async def test_page_that_ends_with_the_last_job_has_no_next(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    await left_redis(storage, clock)
    await store.update("job-2", push(update("job-2"), clock.now))
    assert (await store.page(query(limit=2))).next is None
    assert (await store.page(query(limit=1))).next is not None


async def test_list_of_a_project_tells_where_redis_stands(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    written = await store.update("job-2", push(update("job-2"), clock.now))
    assert (await store.page(query(project="default"))).cursor == written.cursor


# Keys that Redis has lost


async def test_running_job_that_redis_lost_is_read_from_sql_put_back_and_counted(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    assert (await viewed(store)).current == 5
    assert (await viewed(live)).current == 5
    assert (await viewed(store)).current == 5
    metrics = storage.stores.metrics
    assert isinstance(metrics, Counted)
    counted = {key: count for key, count in metrics.counts.items() if key[0] == "fell_back"}
    assert counted == {("fell_back", "get", "rest", "miss"): 1}


async def test_running_job_that_redis_lost_counts_on_where_it_was(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    written = await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 9))
    assert (written.outcome.view.current, written.outcome.job.created_at) == (6, NOON)
    assert (await viewed(live)).current == 6
    assert (await timeline(storage)).count("created") == 1


async def test_push_to_a_job_that_redis_lost_is_counted_as_a_miss(storage: Storage, store: FallbackStore) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    await store.update("job-1", push(update(current=6)))
    assert sum(fell_back(storage, "update", surface, "miss") for surface in ("rest", "ingest")) == 1


async def test_pushes_of_many_to_jobs_that_redis_lost_count_on(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    names = [f"job-{number}" for number in range(4)]
    await store.update_many([(name, push(update(name, writer="w", seq=1, add_current=5))) for name in names])
    await storage.recorder.record_all()
    for name in names[:2]:
        await lose_key(storage, name)
    for number, sidecar in enumerate((storage, other)):
        changes = [(name, push(update(name, writer=f"v{number}", seq=1, add_current=1))) for name in names]
        await sidecar.surface("ingest").update_many(changes)
    assert [(await viewed(store, name)).current for name in names] == [7] * 4


async def test_pushes_of_many_by_a_sidecar_that_remembers_nothing_to_jobs_that_redis_lost_count_on(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    change = push(update(writer="w", seq=2, add_current=1), NOON + 9)
    (written,) = await other.surface("ingest").update_many([("job-1", change)])
    assert isinstance(written, Written)
    assert (written.outcome.view.current, written.outcome.job.created_at) == (6, NOON)


async def test_what_was_acknowledged_and_not_recorded_is_read_although_redis_lost_it(
    storage: Storage, store: FallbackStore
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1)))
    await lose_key(storage)
    assert (await viewed(store)).current == 6


async def test_what_was_acknowledged_and_not_recorded_is_counted_on_although_redis_lost_it(
    storage: Storage, store: FallbackStore
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1)))
    await lose_key(storage)
    written = await store.update("job-1", push(update(writer="w", seq=3, add_current=1)))
    assert written.outcome.view.current == 7


async def test_job_that_redis_lost_and_has_again_is_counted_once(storage: Storage, store: FallbackStore) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    await viewed(store)
    assert (await store.counts()).jobs == {("default", "running"): 1}


async def test_job_that_redis_lost_may_end_with_the_push_that_puts_it_back(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    await store.update("job-1", finish(now=NOON + 1))
    assert (await store.counts()).jobs == {("default", "completed"): 1}
    clock.now = NOON + 2 * HOUR
    await swept(storage)
    assert (await live.counts()).jobs == {}
    place = ProjectKeys("default")
    for index in ("created", "updated", "active", "idle", "finished"):
        assert await storage.link.commands.zcard(place.index(index)) == 0, index


async def test_recorder_leaves_a_job_in_sql_that_redis_lost_and_puts_it_back(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1, event=WorkerEvent("line")), NOON + 1))
    await lose_key(storage)
    await storage.recorder.record_all()
    kept = await storage.stores.sql.get("job-1")
    assert kept is not None
    assert (await viewed(live)).current == 6
    assert (await viewed(store)).current == 6
    told = await timeline(storage)
    assert (told.count("created"), told.count("line")) == (1, 1)
    assert view((await storage.stores.sql.find(["job-1"]))["job-1"]).current == 6


async def test_recorder_that_begins_anew_leaves_jobs_in_sql_that_redis_lost_long_ago(
    storage: Storage, store: FallbackStore, other: Storage, valkey: EmbeddedValkey, clock: Clock
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await store.update("done", finish("done"))
    await storage.recorder.record_all()
    for name in ("job-1", "done"):
        await lose_key(storage, name)
    clock.now = NOON + HOUR / 2
    await valkey.stop()
    await valkey.start()
    other.redis_breaker.open("it was started anew")
    await other.restoration.prepare()
    await other.recorder.record_all()
    assert view((await other.stores.sql.find(["job-1"]))["job-1"]).current == 5
    assert (await viewed(other.stores.live)).current == 5
    assert (await viewed(other.surface("rest"), "done")).status is Status.COMPLETED
    assert (await timeline(other)).count("created") == 1


async def test_job_that_redis_lost_is_not_told_as_gone(storage: Storage, store: FallbackStore, live: RedisLive) -> None:
    names = [f"job-{number}" for number in range(250)]
    await store.update_many([(name, push(update(name))) for name in names])
    await store.delete("job-7", lambda _: None)
    for name in set(names) - {"job-7", "job-3"}:
        await lose_key(storage, name)
    first = await live.since("default", 0, 1)
    assert [each.view.job.job_id for each in first.changes if isinstance(each, Stored)] == ["job-3"]
    assert first.is_more
    rest = await live.since("default", first.changes[-1].cursor.rev, 100)
    assert [each.job_id for each in rest.changes if isinstance(each, Gone)] == ["job-7"]
    assert len(rest.changes) == 1
    assert not rest.is_more
    assert set(first.lost + rest.lost) == set(names) - {"job-7", "job-3"}


async def test_job_that_redis_lost_before_it_was_recorded_is_read_and_put_back(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(current=5)))
    await lose_key(storage)
    assert (await viewed(store)).current == 5
    assert (await viewed(live)).current == 5


async def counted_on_after_another_put_it_back(storage: Storage, other: Storage, pushes_of_other: int) -> None:
    """Lose a job of which this sidecar was acknowledged more than is recorded, and let another one put it back."""
    mine, theirs = storage.surface("ingest"), other.surface("ingest")
    await mine.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    for seq in (2, 3):
        await mine.update("job-1", push(update(writer="w", seq=seq, add_current=1), NOON + seq))
    await lose_key(storage)
    assert (await viewed(theirs)).current == 5
    for seq in range(pushes_of_other):
        await theirs.update("job-1", push(update(writer="v", seq=seq, add_current=1), NOON + 5))


@pytest.mark.parametrize("pushes_of_other", [0, 1, 5])
async def test_what_was_acknowledged_is_joined_into_an_older_job_that_another_sidecar_put_back(
    storage: Storage, store: FallbackStore, other: Storage, pushes_of_other: int
) -> None:
    await counted_on_after_another_put_it_back(storage, other, pushes_of_other)
    written = await store.update("job-1", push(update(writer="w", seq=4, add_current=1), NOON + 9))
    assert written.outcome.view.current == 8 + pushes_of_other
    assert (await viewed(other.stores.live)).current == 8 + pushes_of_other


@pytest.mark.parametrize("pushes_of_other", [0, 5])
async def test_what_was_acknowledged_is_read_although_another_sidecar_put_back_an_older_job(
    storage: Storage, store: FallbackStore, other: Storage, pushes_of_other: int
) -> None:
    await counted_on_after_another_put_it_back(storage, other, pushes_of_other)
    assert (await viewed(store)).current == 7 + pushes_of_other
    assert (await viewed(other.stores.live)).current == 7 + pushes_of_other


async def test_job_that_another_sidecar_deleted_and_that_began_anew_is_not_joined_with_the_old_one(
    store: FallbackStore, other: Storage
) -> None:
    theirs = other.surface("ingest")
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    assert await theirs.delete("job-1", lambda _: None)
    await theirs.update("job-1", push(update(writer="v", seq=1, add_current=1), NOON + 5))
    assert (await viewed(store)).current == 1
    written = await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 9))
    assert written.outcome.view.current == 2


async def test_job_that_only_another_sidecar_remembers_and_that_was_deleted_stays_deleted(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    assert await other.surface("rest").delete("job-1", lambda _: None)
    assert await store.get("job-1") is None


async def test_job_that_redis_lost_is_still_listed(storage: Storage, store: FallbackStore) -> None:
    await store.update("job-1", push(update(current=5)))
    await store.update("job-2", push(update("job-2"), NOON + 1))
    await storage.recorder.record_all()
    await lose_key(storage)
    assert ids((await store.page(query())).jobs) == ["job-2", "job-1"]


async def test_job_that_redis_lost_is_in_order_again_after_it_was_recorded(
    storage: Storage, store: FallbackStore
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1)))
    await storage.recorder.record_all()
    assert (await storage.archive.ahead(10))[0] == []
    assert view((await storage.stores.sql.find(["job-1"]))["job-1"]).current == 6


async def test_read_of_a_stream_that_redis_cannot_answer_is_counted(storage: Storage, clock: Clock) -> None:
    await left_redis(storage, clock)
    await viewed(storage.surface("stream"))
    metrics = storage.stores.metrics
    assert isinstance(metrics, Counted)
    assert metrics.counts["stream_missed",] == 1


# Finished jobs that have left Redis


async def test_late_push_does_not_make_a_past_job_a_new_one(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    past = await left_redis(storage, clock)
    written = await store.update("job-1", push(update(writer="w", seq=3, add_current=7), clock.now))
    assert (written.outcome.reason, written.outcome.applied) == (Reason.LATE, False)
    shown = await viewed(store)
    assert (shown.status, shown.current, shown.job.created_at) == (Status.COMPLETED, 5, NOON)
    assert shown.job.version == past.job.version
    assert ids((await store.page(query())).jobs) == ["job-1"]
    told = await timeline(storage)
    assert (told.count("created"), told.count("completed"), told.count("late")) == (1, 1, 1)


async def test_repeated_push_to_a_past_job_is_a_duplicate(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    again = update(writer="w", seq=1, add_current=5)
    written = await store.update("job-1", push(again, clock.now))
    assert (written.outcome.reason, written.outcome.view.current) == (Reason.DUPLICATE, 5)


async def test_next_attempt_of_a_past_job_counts_on_from_it(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    past = await left_redis(storage, clock)
    given = update(writer="w", seq=1, attempt=2, add_current=1)
    written = await store.update("job-1", push(given, clock.now))
    assert (written.outcome.job.attempt.number, written.outcome.view.current) == (2, 1)
    assert written.outcome.job.version == past.job.version + 1
    assert (await live.counts()).jobs == {("default", "running"): 1}
    assert ids((await store.page(query(active=True))).jobs) == ["job-1"]
    assert (await store.page(query(active=False))).jobs == ()
    told = await timeline(storage)
    assert [told.count(kind) for kind in ("created", "completed", "attempt_started", "started")] == [1, 1, 1, 2]
    first, second = await storage.history.attempts("job-1")
    assert (first["attempt"], first["status"], second["attempt"], second["status"]) == (1, "completed", 2, "running")


async def test_past_job_keeps_its_project(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    with pytest.raises(Conflict):
        await store.update("job-1", push(update(project="another"), clock.now))
    assert (await viewed(store)).job.project == "default"


async def test_past_job_that_is_pushed_to_while_sql_is_away_keeps_its_past(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    await left_redis(storage, clock)
    storage.sql_breaker.open("it is gone")
    await store.update("job-1", push(update(writer="w", seq=3, add_current=7), clock.now))
    storage.sql_breaker.close()
    for _ in range(2):
        await storage.recorder.record_all()
        await tell_ahead(storage.archive, storage.stores.live, clock)
    shown = await viewed(store)
    assert (shown.status, shown.job.created_at) == (Status.COMPLETED, NOON)


async def test_past_job_that_is_deleted_is_gone(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    assert await store.delete("job-1", lambda _: None)
    assert await store.get("job-1") is None
    assert (await store.page(query())).jobs == ()
    assert await storage.history.timeline("job-1", 0, 10) == []
    assert not await store.delete("job-1", lambda _: None)


# Deletion


async def test_deletion_is_one_of_both_stores_at_once(storage: Storage, store: FallbackStore) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    assert await store.delete("job-1", lambda _: None)
    assert await storage.stores.live.get("job-1") is None
    assert await storage.stores.sql.get("job-1") is None
    assert await storage.history.timeline("job-1", 0, 10) == []
    assert await store.get("job-1") is None
    await storage.recorder.record_all()
    assert await storage.stores.sql.get("job-1") is None


async def test_deleted_job_is_not_read_from_sql_that_has_yet_to_forget_it(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await live.delete("job-1", lambda _: None)
    assert await store.get("job-1") is None
    assert (await store.page(query())).jobs == ()


async def test_deletion_may_be_refused_in_either_store(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    def refuse(job: Job) -> None:
        raise Conflict(job.job_id)

    await left_redis(storage, clock)
    await store.update("job-2", push(update("job-2"), clock.now))
    for job_id in ("job-1", "job-2"):
        with pytest.raises(Conflict, match=job_id):
            await store.delete(job_id, refuse)
        assert await store.get(job_id) is not None


# Redis away


async def test_sql_answers_everything_while_redis_is_stopped_and_that_is_counted(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await store.update("job-2", push(update("job-2"), NOON + 1))
    await storage.recorder.record_all()
    with paused(valkey):
        written = await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 2))
        assert (written.outcome.view.current, written.outcome.job.created_at) == (6, NOON)
        assert (await viewed(store)).current == 6
        assert ids((await store.page(query())).jobs) == ["job-2", "job-1"]
        missed = await store.since("default", 0, 10)
        assert written.cursor == missed.cursor == missed.changes[-1].cursor
        assert (await store.counts()).jobs == {("default", "running"): 2}
        assert [event.type for event in await store.timeline("job-2", 0, 10)] == ["created", "started"]
        assert await store.delete("job-2", lambda _: None)
    assert storage.redis_breaker.is_away
    for operation in ("get", "page", "since", "counts", "timeline"):
        assert fell_back(storage, operation, "rest") == 1, operation
    assert fell_back(storage, "update", "ingest") == 1
    assert fell_back(storage, "delete", "ingest") == 1


def everybody(_: str) -> bool:
    return True


@pytest.mark.parametrize("read", ["timeline", "attempts"])
async def test_who_reads_a_timeline_waits_for_a_stopped_redis_once(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey, read: str
) -> None:
    metrics = storage.stores.metrics
    assert isinstance(metrics, Counted)
    tracker = Tracker(store, store, storage.history, metrics, lambda: NOON)
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    storage.stores.live.memory.forget_all()
    with paused(valkey):
        if read == "timeline":
            assert len(await tracker.timeline("job-1", 0, 10, everybody)) == 2
        else:
            assert len(await tracker.attempts("job-1", everybody)) == 1
        assert not storage.redis_breaker.is_away
    failed = [key for key in metrics.counts if key[:2] == ("store_failed", "redis")]
    assert [(key[2], metrics.counts[key]) for key in failed] == [("get", 1)]


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_timeline_of_which_the_last_lines_are_in_redis_alone_is_not_told_as_whole(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey, *, is_remembered: bool
) -> None:
    tracker = Tracker(store, store, storage.history, Counted(), lambda: NOON)
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await store.update("job-1", push(update(event=WorkerEvent("line")), NOON + 1))
    with paused(valkey):
        storage.redis_breaker.open("it is stopped")
        if not is_remembered:
            await store.update("job-1", push(update(event=WorkerEvent("another")), NOON + 2))
        for read in (tracker.timeline("job-1", 0, 10, everybody), tracker.attempts("job-1", everybody)):
            with pytest.raises(StoreUnavailable, match="the last lines"):
                await read
    await storage.restoration.prepare()
    assert "line" in await timeline(storage)
    assert "line" in [event.type for event in await tracker.timeline("job-1", 0, 10, everybody)]


async def test_many_changes_go_to_sql_while_redis_is_stopped(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    names = [f"job-{number}" for number in range(5)]
    with paused(valkey):
        for seq in range(3):
            changes = [(name, push(update(name, writer="w", seq=seq, add_current=1))) for name in names]
            answers = await store.update_many(changes)
            assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert fell_back(storage, "update", "ingest") == 15
    await storage.restoration.prepare()
    assert [(await viewed(storage.stores.live, name)).current for name in names] == [3] * 5


async def test_stuck_jobs_are_counted_as_before_while_redis_is_stopped(
    storage: Storage, valkey: EmbeddedValkey, clock: Clock
) -> None:
    census, store = storage.surface("metrics"), storage.surface("ingest")
    for name in ("moves", "sleeps", "waits"):
        await store.update(name, push(update(name, current=1), NOON))
    await store.update("waits", push(update("waits", words={"status": "paused"}), NOON))
    for clock.now in (NOON + 590, NOON + 595, NOON + 600):
        await store.update("moves", push(update("moves", current=int(clock.now)), clock.now))
        await storage.watchdog.evaluate()
    before = await census.counts()
    assert before.stalled == {("default", "silent"): 1}
    await storage.recorder.record_all()
    with paused(valkey):
        assert await census.counts() == before
        assert [shown.job.job_id for shown in await census.outstanding(2)] == ["sleeps", "waits"]
        await store.update("sleeps", push(update("sleeps", current=2), NOON + 700))
        assert (await census.counts()).stalled == {}


async def test_job_that_is_put_back_into_redis_is_looked_at_when_that_is_due(storage: Storage) -> None:
    await storage.surface("ingest").update("job-1", push(update(current=1), NOON))
    await storage.recorder.record_all()
    await storage.link.commands.flushall()
    storage.stores.live.memory.forget_all()
    await storage.restoration.prepare()
    assert [shown.job.job_id for shown in await storage.stores.live.outstanding(9)] == ["job-1"]
    agenda = RedisAgenda(storage.link)
    assert await agenda.due(NOON + 299, 9) == []
    assert [due.view.job.job_id for due in await agenda.due(NOON + 300, 9)] == ["job-1"]


def told(storage: Storage, store: str) -> dict[tuple[object, ...], int]:
    """Return what was counted of a store that was given many changes at once."""
    metrics = storage.stores.metrics
    assert isinstance(metrics, Counted)
    found = {key: number for key, number in metrics.counts.items() if key[1:3] == (store, "update_many")}
    return {(key[0], *key[3:]): number for key, number in found.items()}


async def test_many_changes_that_a_store_does_not_make_count_as_failed(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    def changes() -> list[tuple[str, ChangeJob]]:
        return [(name, push(update(name, current=1))) for name in ("job-1", "job-2", "job-3")]

    await store.update_many(changes())
    assert told(storage, "redis") == {("store_answered",): 1}
    await storage.link.commands.config_set("maxmemory", "1")
    assert [type(answer) for answer in await store.update_many(changes())] == [StoreRefused] * 3
    assert told(storage, "redis") == {("store_answered",): 1, ("store_failed", "refused"): 1}
    with paused(valkey):
        await store.update_many(changes())
        assert told(storage, "redis")["store_failed", "unavailable"] == 1
        assert told(storage, "sql") == {("store_answered",): 1}
        storage.redis_breaker.open("it is stopped")
        storage.sql_breaker.open("it is gone")
        await store.update_many(changes())
    assert told(storage, "redis")["store_answered",] == 1
    assert told(storage, "sql") == {("store_answered",): 1, ("store_failed", "unavailable"): 1}


async def test_redis_has_everything_when_it_returns_and_every_increment_once(
    storage: Storage, store: FallbackStore, live: RedisLive, valkey: EmbeddedValkey
) -> None:
    async def count(first: int, end: int) -> list[Written]:
        return [
            await store.update("job-1", push(update(writer="w", seq=seq, add_current=1), NOON + seq))
            for seq in range(first, end)
        ]

    await count(0, 5)
    await storage.recorder.record_all()
    before = (await count(5, 8))[-1]
    with paused(valkey):
        await count(6, 14)
        await store.update("new", finish("new", now=NOON + 20))
        assert (await viewed(store)).current == 14
    await storage.restoration.prepare()
    assert not storage.redis_breaker.is_away
    assert (await viewed(live)).current == 14
    assert (await viewed(live, "new")).status is Status.COMPLETED
    after = (await count(10, 16))[-1]
    assert after.outcome.view.current == 16
    assert after.cursor.epoch != before.cursor.epoch
    assert after.cursor.rev > before.cursor.rev
    assert fell_back(storage, "update", "ingest") == 9
    told = await timeline(storage)
    assert (told.count("created"), told.count("started")) == (1, 1)
    assert view((await storage.stores.sql.find(["job-1"]))["job-1"]).current == 16


async def test_first_call_that_redis_does_not_answer_may_be_a_deletion(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    with paused(valkey):
        assert await store.delete("job-1", lambda _: None)
    assert fell_back(storage, "delete", "ingest") == 1


async def test_job_that_goes_on_while_redis_is_told_comes_to_rest(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    """What one recorder's round joins, the next one must not have to join again."""
    await store.update("job-1", push(update(writer="w", seq=0, add_current=1)))
    await storage.recorder.record_all()
    with parted(storage):
        await store.update("job-1", push(update(writer="w", seq=1, add_current=1), NOON + 1))
    await storage.restoration.prepare()
    ahead: list[int] = []
    for seq in range(2, 8):
        await store.update("job-1", push(update(writer="w", seq=seq, add_current=1), NOON + seq))
        await storage.recorder.record_all()
        ahead.append(len((await storage.archive.ahead(10))[0]))
        await tell_ahead(storage.archive, storage.stores.live, clock)
    assert (await viewed(store)).current == 8
    assert ahead[-3:] == [0, 0, 0]
    assert (await viewed(store)).job.version <= 12


async def test_deletion_that_sql_took_is_one_of_redis_when_it_returns(
    storage: Storage, store: FallbackStore, live: RedisLive, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    with paused(valkey):
        storage.redis_breaker.open("it is stopped")
        assert await store.delete("job-1", lambda _: None)
        assert await store.get("job-1") is None
    await storage.restoration.prepare()
    assert await live.get("job-1") is None
    assert await store.get("job-1") is None
    assert isinstance((await live.since("default", 0, 10)).changes[-1], Gone)
    await storage.recorder.record_all()
    assert await storage.stores.sql.get("job-1") is None


async def test_what_was_acknowledged_and_not_recorded_is_there_while_redis_is_stopped(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    spilling = asyncio.create_task(storage.restoration.spill())
    with paused(valkey):
        assert (await viewed(store)).current == 5
        storage.redis_breaker.open("it is stopped")

        async def is_in_sql() -> bool:
            return "job-1" in await storage.stores.sql.find(["job-1"])

        await until_found(is_in_sql, SOON, lambda: "SQL has taken it along")
        assert ids((await store.page(query())).jobs) == ["job-1"]
    await ended(spilling)


async def test_what_sql_could_not_take_along_is_given_to_it_again(
    storage: Storage, store: FallbackStore, database_path: Path
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    with parted(storage), closing(sqlite3.connect(database_path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(storage.restoration.spill(), SOON)
        somebody.execute("ROLLBACK")
        spilling = asyncio.create_task(storage.restoration.spill())

        async def is_in_sql() -> bool:
            return "job-1" in await storage.stores.sql.find(["job-1"])

        await until_found(is_in_sql, SOON, lambda: "SQL has taken it along")
        await ended(spilling)


async def test_end_that_sql_took_is_one_in_every_index_of_redis(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    """Another process still reached Redis, and both sides have counted to the same version."""
    live = other.stores.live
    await store.update("job-1", push(update(seq=1, percent=10)))
    await storage.recorder.record_all()
    await other.surface("ingest").update("job-1", push(update(percent=40), NOON + 5))
    with parted(storage):
        await store.update("job-1", push(update(seq=2, percent=90, words={"status": "failed"}), NOON + 9))
    before = (await live.since("default", 0, 10)).cursor
    await storage.restoration.prepare()
    assert (await viewed(live)).status is Status.FAILED
    assert (await live.counts()).jobs == {("default", "failed"): 1}
    assert (await live.page(query(active=True))).jobs == ()
    missed = await live.since("default", before.rev, 10)
    assert [change.view.status for change in missed.changes if isinstance(change, Stored)] == [Status.FAILED]


async def test_two_processes_that_saw_redis_differently_count_everything_once(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    theirs = other.surface("ingest")
    await store.update("job-1", push(update(writer="w", seq=0, add_current=1)))
    await storage.recorder.record_all()
    shared = update(writer="w", seq=500, add_current=1)
    with parted(storage):
        for seq in range(10):
            await store.update("job-1", push(update(writer="a", seq=seq, add_current=1), NOON + seq))
            await theirs.update("job-1", push(update(writer="b", seq=seq, add_current=1), NOON + seq))
        await store.update("job-1", push(shared, NOON + 20))
        await theirs.update("job-1", push(shared, NOON + 20))
    await storage.restoration.prepare()
    await other.recorder.record_all()
    for sidecar in (storage, other):
        assert (await viewed(sidecar.surface("rest"))).current == 22
    assert view((await storage.stores.sql.find(["job-1"]))["job-1"]).current == 22


async def test_server_that_comes_back_empty_is_filled_from_sql(
    storage: Storage, store: FallbackStore, live: RedisLive, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    await store.update("running", push(update("running", writer="w", seq=1, add_current=5)))
    await store.update("done", finish("done", now=NOON + 1))
    before = await store.update("gone", push(update("gone")))
    await store.delete("gone", lambda _: None)
    await storage.recorder.record_all()
    await store.update("running", push(update("running", writer="w", seq=2, add_current=1), NOON + 3))
    await valkey.stop()
    shutil.rmtree(tmp_path / "valkey")
    await valkey.start()
    assert (await viewed(store, "running")).current == 6
    storage.redis_breaker.open("it is empty")
    await storage.restoration.prepare()
    assert (await viewed(live, "running")).current == 6
    assert (await viewed(live, "done")).status is Status.COMPLETED
    assert await live.get("gone") is None
    assert (await live.counts()).jobs == {("default", "running"): 1, ("default", "completed"): 1}
    after = await store.update("running", push(update("running", writer="w", seq=3, add_current=1), NOON + 4))
    assert after.outcome.view.current == 7
    assert after.cursor.epoch != before.cursor.epoch


async def test_server_that_was_started_anew_is_not_talked_to_before_it_is_brought_up_to_date(
    storage: Storage, store: FallbackStore, live: RedisLive, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await valkey.stop()
    await valkey.start()
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    assert storage.redis_breaker.is_away
    with pytest.raises(StoreUnavailable):
        await live.get("job-1")
    await storage.restoration.prepare()
    assert (await viewed(live)).current == 6


# SQL away


@contextmanager
def no_database(storage: Storage, path: Path) -> Iterator[None]:
    """Put something else in the place of the database while inside; its connections must be closed."""
    for name in (path, *path.parent.glob(f"{path.name}-*")):
        name.rename(name.with_name(f"kept-{name.name}"))
    path.write_bytes(b"this is no database" * 100)
    yield
    path.unlink()
    for name in path.parent.glob(f"kept-{path.name}*"):
        name.rename(name.with_name(name.name.removeprefix("kept-")))
    storage.sql_breaker.close()


async def test_pushes_and_what_is_live_go_on_without_sql(
    storage: Storage, store: FallbackStore, clock: Clock, database_path: Path
) -> None:
    await left_redis(storage, clock)
    await store.update("job-2", push(update("job-2", writer="w", seq=1, add_current=1), clock.now))
    await storage.database.close()
    with no_database(storage, database_path):
        await store.update("job-2", push(update("job-2", writer="w", seq=2, add_current=1), clock.now))
        await store.update("job-3", push(update("job-3"), clock.now + 1))
        assert (await viewed(store, "job-2")).current == 2
        assert ids((await store.page(query(active=True))).jobs) == ["job-3", "job-2"]
        assert ids((await store.page(query(statuses=frozenset({"running"})))).jobs) == ["job-3", "job-2"]
        assert len((await store.since("default", 0, 10)).changes) == 2
        for asked in (query(), query(active=False), query(statuses=frozenset({"completed"}))):
            with pytest.raises(HistoryUnavailable):
                await store.page(asked)
        with pytest.raises(HistoryUnavailable):
            await store.get("job-1")
        with pytest.raises(HistoryUnavailable):
            await storage.history.timeline("job-1", 0, 10)
        assert await store.delete("job-2", lambda _: None)
        assert not storage.redis_breaker.is_away
        await storage.database.close()
    await storage.recorder.record_all()
    assert ids((await store.page(query())).jobs) == ["job-3", "job-1"]
    assert await storage.stores.sql.get("job-2") is None
    assert await timeline(storage, "job-3") == ["created", "started"]


async def test_nothing_is_answered_while_both_are_away(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update()))
    storage.sql_breaker.open("it is gone")
    with paused(valkey):
        storage.redis_breaker.open("it is stopped")
        with pytest.raises(StoreUnavailable, match=r"Redis .*; SQL "):
            await store.update("job-1", push(update(current=1)))
        (answer,) = await store.update_many([("job-1", push(update(current=1)))])
        assert isinstance(answer, StoreUnavailable)
        for call in (store.get("job-1"), store.page(query()), store.since("default", 0, 1), store.counts()):
            with pytest.raises(StoreUnavailable):
                await call


async def test_what_sql_took_is_made_good_later_if_it_is_away_when_redis_returns(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with parted(storage):
        await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    storage.sql_breaker.open("it is gone")
    await storage.restoration.prepare()
    assert not storage.redis_breaker.is_away
    assert (await viewed(live)).current == 5
    running = asyncio.create_task(storage.restoration.run())
    storage.sql_breaker.close()

    async def is_made_good() -> bool:
        return (await viewed(live)).current == 6

    await until_found(is_made_good, SOON, lambda: "Redis was told")
    await ended(running)


async def test_empty_redis_is_filled_before_anything_new_is_recorded_of_it(
    storage: Storage, other: Storage, live: RedisLive, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """SQL is away when it returns; once it is back, another sidecar is faster to record than this one to fill."""
    sidecars, projects = (storage, other), ("a", "b")
    for name in projects:
        await live.update(name, push(update(name, project=name, current=5)))
    await storage.recorder.record_all()
    before = [await storage.archive.recorded(name) for name in projects]
    await valkey.stop()
    shutil.rmtree(tmp_path / "valkey")
    await valkey.start()
    for each in sidecars:
        each.stores.live.memory.forget_all()
        each.sql_breaker.open("it is away")
        each.redis_breaker.open("it is empty")
        await each.restoration.prepare()
    await other.surface("ingest").update("new", push(update("new", project="b", current=1)))
    for each in sidecars:
        each.sql_breaker.close()
    await other.recorder.record_all()
    assert [await storage.archive.recorded(name) for name in projects] == before
    running = asyncio.create_task(storage.restoration.run())

    async def is_filled() -> bool:
        return all([await live.get(name) is not None for name in projects])

    await until_found(is_filled, SOON, lambda: "Redis is filled")

    async def is_recorded() -> bool:
        await other.recorder.record_all()
        return "new" in await other.stores.sql.find(["new"])

    await until_found(is_recorded, SOON, lambda: "what is new is recorded")
    assert (await other.stores.sql.find(["a", "b"])).keys() == {"a", "b"}
    await ended(running)


async def test_recorder_has_an_empty_redis_filled_by_itself(
    storage: Storage, live: RedisLive, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """Whoever was to fill it has died meanwhile; what is left to do is known from the stores."""
    await live.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await valkey.stop()
    shutil.rmtree(tmp_path / "valkey")
    await valkey.start()
    live.memory.forget_all()
    await storage.link.trust("")
    await live.update("new", push(update("new", current=1)))
    running = asyncio.create_task(storage.restoration.run())
    await storage.recorder.record_all()

    async def is_filled() -> bool:
        return await live.get("job-1") is not None

    await until_found(is_filled, SOON, lambda: "Redis is filled")
    await ended(running)


# The moment in which Redis takes over


async def test_redis_takes_over_when_sql_has_finished_with_what_it_was_taking() -> None:
    crossing, taking, told = Crossing(SOON), asyncio.Event(), list[str]()

    async def take(name: str) -> None:
        async with crossing.taken():
            told.append(f"{name} begins")
            await taking.wait()
            told.append(f"{name} ends")

    async def close() -> None:
        async with crossing.closed():
            told.append("closed")

    first = asyncio.create_task(take("first"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(close())
    await asyncio.sleep(0)
    second = asyncio.create_task(take("second"))
    await asyncio.sleep(0)
    assert told == ["first begins"]
    taking.set()
    await asyncio.wait_for(asyncio.gather(first, closing, second), SOON)
    assert told == ["first begins", "first ends", "closed", "second begins", "second ends"]


async def test_change_that_waited_for_redis_to_take_over_goes_to_redis(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    with parted(storage):
        async with storage.stores.crossing.closed():
            pushing = asyncio.create_task(store.update("job-1", push(update(writer="w", seq=2, add_current=1))))
            await asyncio.sleep(0)
            assert not pushing.done()
            storage.redis_breaker.close()
        await asyncio.wait_for(pushing, SOON)
    assert (await viewed(live)).current == 6
    assert fell_back(storage, "update", "ingest") == 0


async def test_change_waits_no_longer_for_redis_to_take_over_than_for_a_store(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    with parted(storage):
        async with storage.stores.crossing.closed():
            await asyncio.wait_for(store.update("job-1", push(update(current=5))), SOON)
            changes = [("job-2", push(update("job-2", current=6)))]
            await asyncio.wait_for(store.update_many(changes), SOON)
        storage.redis_breaker.close()
    await tell_ahead(storage.archive, live, clock)
    assert [(await viewed(live, name)).current for name in ("job-1", "job-2")] == [5, 6]


class Busy(SqlArchive):
    """An archive to which another sidecar has just given something, whenever it is asked."""

    sql: SqlLive

    @override
    async def ahead(self, limit: int) -> tuple[list[Ahead], list[Buried]]:
        await self.sql.update("theirs", push(update("theirs", event=WorkerEvent("line"))))
        return await super().ahead(limit)


async def test_redis_takes_over_although_another_sidecar_gives_sql_ever_more(
    storage: Storage, store: FallbackStore, other: Storage, live: RedisLive, clock: Clock
) -> None:
    archive = Busy(storage.database, clock)
    archive.sql = other.stores.sql
    parts = (storage.stores, storage.link, storage.own_link, archive, storage.sql_breaker)
    names = [f"job-{number:03}" for number in range(250)]
    with parted(storage):
        await store.update_many([(name, push(update(name, current=5))) for name in names])
        await asyncio.wait_for(Restoration(*parts).prepare(), SOON)
    assert not storage.redis_breaker.is_away
    assert [(await viewed(live, name)).current for name in names] == [5] * 250


async def test_readers_who_may_see_nothing_see_nothing(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    assert (await store.page(Query(may_see=lambda _: False))).jobs == ()


@pytest.mark.parametrize("operation", ["page", "since", "timeline"])
async def test_long_reads_of_redis_take_turns(
    store: FallbackStore, live: RedisLive, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    await store.update("j", push(update("j", current=1)))
    read, inside, most = getattr(live, operation), 0, 0

    async def noted(*asked: object) -> object:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            return await read(*asked)
        finally:
            inside -= 1

    monkeypatch.setattr(live, operation, noted)
    asked = {"page": (query(active=True),), "since": ("default", 0, 100), "timeline": ("j", 0, 100)}[operation]
    answers = await asyncio.gather(*(getattr(store, operation)(*asked) for _ in range(40)))
    assert all(answers)
    assert most == LONG_READS
