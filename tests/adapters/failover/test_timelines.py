"""Timelines while Redis is away: read from SQL at once, and not told as whole if they are not."""

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import WorkerEvent
from sidecar.storage import Storage
from sidecar.tracker import Tracker
from tests.adapters.failover.conftest import timeline
from tests.adapters.failover.mishaps import paused
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, push, update
from tests.http.conftest import Counted


def everybody(_: str) -> bool:
    return True


@pytest.mark.parametrize("read", ["timeline", "attempts"])
async def test_who_reads_a_timeline_waits_for_a_stopped_redis_once(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey, read: str
) -> None:
    metrics = counted(storage)
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
