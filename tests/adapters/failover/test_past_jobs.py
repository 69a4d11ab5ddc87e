"""Finished jobs that have left Redis: whoever pushes to them meets their past."""

import pytest

from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.ahead import tell_ahead
from sidecar.core.errors import Conflict
from sidecar.core.job import Reason, Status
from sidecar.storage import Storage
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.failover.conftest import left_redis, timeline
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, push, update
from tests.clock import Clock


async def test_read_of_a_stream_that_redis_cannot_answer_is_counted(storage: Storage, clock: Clock) -> None:
    await left_redis(storage, clock)
    await viewed(storage.surface("stream"))
    assert counted(storage).counts["stream_missed",] == 1


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
