"""A deletion is one of both stores, whichever of them took it."""

import asyncio
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.ahead import tell_ahead
from sidecar.core.errors import Conflict
from sidecar.core.job import Job
from sidecar.ports import Gone, Written
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import query, viewed
from tests.adapters.failover.conftest import fell_back, left_redis
from tests.adapters.failover.lives import assert_is_new_alone, give_back, pushed_new, pushed_old
from tests.adapters.failover.mishaps import come_back_empty, parted, paused
from tests.adapters.updates import NOON, push, update
from tests.clock import Clock
from tests.faults.patience import until


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


async def test_first_call_that_redis_does_not_answer_may_be_a_deletion(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    with paused(valkey):
        assert await store.delete("job-1", lambda _: None)
    assert fell_back(storage, "delete", "ingest") == 1


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


OLD_ENDS = [pytest.param({}, id="runs"), pytest.param({"words": {"status": "completed"}}, id="completed")]


@pytest.mark.parametrize("is_recorded", [True, False])
@pytest.mark.parametrize("fields", OLD_ENDS)
async def test_job_that_began_anew_after_its_deletion_while_redis_was_away_has_nothing_of_the_old_one(
    storage: Storage, store: FallbackStore, clock: Clock, fields: dict[str, Any], *, is_recorded: bool
) -> None:
    await pushed_old(store)
    await storage.recorder.record_all()
    if fields or not is_recorded:
        await store.update("job-1", push(update(writer="w", seq=2, attempt=2, add_current=1, **fields), NOON + 6))
    if is_recorded:
        await storage.recorder.record_all()
    with parted(storage):
        clock.now = NOON + 10
        assert await store.delete("job-1", lambda _: None)
        await pushed_new(store)
    clock.now = NOON + 30
    await storage.restoration.prepare()
    await assert_is_new_alone(storage)


async def test_recorder_tells_of_a_deletion_before_it_tells_of_the_job_that_began_anew(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    await pushed_old(store)
    await storage.recorder.record_all()
    with parted(storage):
        clock.now = NOON + 10
        assert await store.delete("job-1", lambda _: None)
        await pushed_new(store)
    storage.redis_breaker.close()
    for _ in range(2):
        await tell_ahead(storage.archive, storage.stores.live, clock)
    await assert_is_new_alone(storage)


async def test_job_that_sql_deleted_is_not_recorded_again_by_a_sidecar_that_still_has_redis(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    theirs = other.surface("ingest")
    await theirs.update("job-1", push(update(current=5)))
    await other.recorder.record_all()
    with parted(storage):
        assert await store.delete("job-1", lambda _: None)
    await theirs.update("job-1", push(update(current=6), NOON + 1))
    await other.recorder.record_all()
    assert await other.stores.sql.get("job-1") is None
    await storage.restoration.prepare()
    assert await theirs.get("job-1") is None
    await other.recorder.record_all()
    assert await theirs.get("job-1") is None
    assert await storage.history.timeline("job-1", 0, 10) == []


@pytest.mark.parametrize("how", ["update", "update_many", "get", "spill"])
async def test_what_a_sidecar_remembers_does_not_bring_back_what_another_one_deleted_in_sql(
    storage: Storage, store: FallbackStore, other: Storage, clock: Clock, how: str
) -> None:
    await pushed_old(store)
    await storage.recorder.record_all()
    await store.update("job-1", push(update(writer="w", seq=2, attempt=2, add_current=1), NOON + 6))
    with parted(storage), parted(other):
        clock.now = NOON + 10
        assert await other.surface("rest").delete("job-1", lambda _: None)
        change = push(update(writer="w", seq=2, add_current=1, metadata={"new": 1}), NOON + 20)
        match how:
            case "get":
                assert await store.get("job-1") is None
            case "spill":
                spilling = asyncio.create_task(storage.restoration.spill())
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(spilling), 0.3)
                await ended(spilling)
                assert await storage.stores.sql.get("job-1") is None
            case "update_many":
                assert isinstance((await store.update_many([("job-1", change)]))[0], Written)
            case _:
                await store.update("job-1", change)
        if how not in {"update", "update_many"}:
            await store.update("job-1", change)
    await storage.restoration.prepare()
    await assert_is_new_alone(storage)
    await other.restoration.prepare()
    await assert_is_new_alone(storage)


async def test_memory_does_not_bring_back_what_was_deleted_in_sql_to_a_redis_that_returns_empty(
    storage: Storage, store: FallbackStore, other: Storage, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    await pushed_old(store)
    await storage.recorder.record_all()
    with parted(storage), parted(other):
        assert await other.surface("rest").delete("job-1", lambda _: None)
        await come_back_empty(valkey, tmp_path)
        await other.restoration.prepare()
        await storage.restoration.prepare()
    assert await storage.stores.live.get("job-1") is None
    assert await store.get("job-1") is None


@pytest.mark.parametrize("is_batch", [True, False])
async def test_job_that_was_deleted_while_redis_stuttered_is_not_what_comes_next(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey, *, is_batch: bool
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with paused(valkey):
        assert await store.delete("job-1", lambda _: None)
    assert not storage.redis_breaker.is_away
    change = push(update(writer="w", seq=1, add_current=2), NOON + 2)
    if is_batch:
        assert not any(isinstance(each, Exception) for each in await store.update_many([("job-1", change)]))
    else:
        await store.update("job-1", change)
    assert (await viewed(store)).current == 2
    await storage.recorder.record_all()
    await tell_ahead(storage.archive, storage.stores.live, storage.stores.clock)
    assert (await viewed(store)).current == 2


async def test_job_that_was_deleted_while_redis_stuttered_is_not_shown_again(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with paused(valkey):
        assert await store.delete("job-1", lambda _: None)
    assert not storage.redis_breaker.is_away
    by_another_request = asyncio.create_task(store.get("job-1"), context=Context())
    assert await by_another_request is None
    assert await storage.stores.live.get("job-1") is None


async def deleted_while_redis_stuttered(storage: Storage, store: FallbackStore, valkey: EmbeddedValkey) -> Job:
    """Let SQL take a deletion and Redis be told of it, as the recorder does it soon, and return the deleted job."""
    written = await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with paused(valkey):
        assert await store.delete("job-1", lambda _: None)
    await tell_ahead(storage.archive, storage.stores.live, storage.stores.clock)
    return written.outcome.job


@pytest.mark.parametrize("how", ["update", "update_many", "get"])
async def test_job_that_is_given_back_after_its_deletion_while_redis_stuttered_stays(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey, how: str
) -> None:
    await give_back(storage, await deleted_while_redis_stuttered(storage, store, valkey))
    change = push(update(writer="w", seq=2, add_current=1), NOON + 9)

    async def asked_again() -> None:
        match how:
            case "update":
                await store.update("job-1", change)
            case "update_many":
                await store.update_many([("job-1", change)])
        assert (await viewed(store)).current == (5 if how == "get" else 6)

    await asyncio.create_task(asked_again(), context=Context())  # another request


async def test_deletion_of_which_redis_has_been_told_is_soon_forgotten(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    """Whatever is given back later stays, also if SQL, which could tell that, is away by then."""
    await deleted_while_redis_stuttered(storage, store, valkey)
    storage.restoration.want()
    running = asyncio.create_task(storage.restoration.run())
    await until(lambda: not storage.stores.untold.deleted, 5.0, "the deletion is forgotten")
    await ended(running)
