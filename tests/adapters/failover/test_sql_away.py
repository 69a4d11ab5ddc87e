"""What goes on without SQL, and that nothing does without both."""

from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.errors import HistoryUnavailable, StoreUnavailable
from sidecar.storage import Storage
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.failover.conftest import left_redis, timeline
from tests.adapters.failover.mishaps import no_database, paused
from tests.adapters.updates import push, update
from tests.clock import Clock


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
