"""A deletion is one of both stores, whichever of them took it."""

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.fallback import FallbackStore
from sidecar.adapters.redis.live import RedisLive
from sidecar.core.errors import Conflict
from sidecar.core.job import Job
from sidecar.ports import Gone
from sidecar.storage import Storage
from tests.adapters.contract_live_store import query
from tests.adapters.fallback.conftest import fell_back, left_redis
from tests.adapters.fallback.mishaps import paused
from tests.adapters.updates import push, update
from tests.clock import Clock


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
