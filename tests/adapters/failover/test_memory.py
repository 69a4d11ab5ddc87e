"""What this process was acknowledged and is not recorded: it remembers that, whatever Redis has lost."""

import pytest

from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis.live import RedisLive
from sidecar.storage import Storage
from tests.adapters.contract_live_store import viewed
from tests.adapters.failover.mishaps import lose_key
from tests.adapters.updates import NOON, push, update


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
