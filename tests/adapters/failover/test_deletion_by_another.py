"""What another sidecar deleted in Redis stays deleted, whatever this one remembers."""

from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.job import Job
from sidecar.ports import Written
from sidecar.storage import Storage
from tests.adapters.contract_live_store import viewed
from tests.adapters.failover.lives import assert_is_new_alone, give_back, pushed_new, pushed_old
from tests.adapters.failover.mishaps import come_back_empty, parted
from tests.adapters.updates import NOON, push, update
from tests.clock import Clock


@pytest.fixture(params=[True, False], ids=["recorded", "not recorded"])
async def deleted(request: pytest.FixtureRequest, storage: Storage, other: Storage, clock: Clock) -> Job:
    """Return a job that one sidecar was acknowledged, and that the other one has deleted in Redis."""
    store = storage.surface("rest")
    await pushed_old(store)
    await storage.recorder.record_all()
    written = await store.update("job-1", push(update(writer="w", seq=2, attempt=2, add_current=1), NOON + 6))
    clock.now = NOON + 10
    assert await other.surface("rest").delete("job-1", lambda _: None)
    if request.param:
        await other.recorder.record_all()
    return written.outcome.job


@pytest.mark.usefixtures("deleted")
async def test_memory_does_not_bring_back_what_another_sidecar_deleted_in_redis_that_returns_empty(
    storage: Storage, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    await come_back_empty(valkey, tmp_path)
    await storage.restoration.prepare()
    assert await storage.stores.live.get("job-1") is None
    assert await storage.surface("stream").get("job-1") is None


@pytest.mark.usefixtures("deleted")
@pytest.mark.parametrize("how", ["update", "update_many", "get", "spill"])
async def test_what_a_sidecar_remembers_does_not_bring_back_what_another_one_deleted_in_redis(
    storage: Storage, store: FallbackStore, other: Storage, how: str
) -> None:
    change = push(update(writer="w", seq=2, add_current=1, metadata={"new": 1}), NOON + 20)
    with parted(storage), parted(other):
        match how:
            case "get":
                assert await store.get("job-1") is None
            case "spill":
                await storage.stores.spill.pour()
                assert await storage.stores.sql.get("job-1") is None
            case "update_many":
                assert isinstance((await store.update_many([("job-1", change)]))[0], Written)
            case _:
                await store.update("job-1", change)
        if how not in {"update", "update_many"}:
            await store.update("job-1", change)
    for each in (storage, other):
        await each.restoration.prepare()
        await assert_is_new_alone(each)


async def test_job_that_was_deleted_in_redis_is_there_when_it_is_given_back(
    storage: Storage, store: FallbackStore, other: Storage, deleted: Job
) -> None:
    await storage.recorder.record_all()
    await give_back(storage, deleted)
    for each in (storage, other):
        assert (await viewed(each.surface("rest"))).current == 6
        with parted(each):
            assert (await viewed(each.surface("rest"))).current == 6
        await each.restoration.prepare()
        await each.recorder.record_all()
    assert (await viewed(store)).current == 6
    assert not await storage.stores.sql.is_buried(deleted)


async def test_lines_of_a_job_that_begins_anew_are_its_own_whatever_the_clock_of_who_deleted_the_old_one(
    storage: Storage, store: FallbackStore, other: Storage, clock: Clock
) -> None:
    await pushed_old(store)
    await storage.recorder.record_all()
    clock.now = NOON + 40
    assert await other.surface("rest").delete("job-1", lambda _: None)
    await pushed_new(store)
    await storage.recorder.record_all()
    await assert_is_new_alone(storage)
