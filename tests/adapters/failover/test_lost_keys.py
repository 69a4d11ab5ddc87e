"""Keys that Redis has lost while their jobs ran: read from SQL, put back, and counted on."""

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.live import RedisLive
from sidecar.core.job import Status, WorkerEvent
from sidecar.core.view import view
from sidecar.ports import Gone, Stored, Written
from sidecar.storage import Storage
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.failover.conftest import HOUR, fell_back, swept, timeline
from tests.adapters.failover.mishaps import lose_key
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, finish, give, push, update
from tests.clock import Clock


async def test_running_job_that_redis_lost_is_read_from_sql_put_back_and_counted(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await lose_key(storage)
    assert (await viewed(store)).current == 5
    assert (await viewed(live)).current == 5
    assert (await viewed(store)).current == 5
    found = {key: count for key, count in counted(storage).counts.items() if key[0] == "fell_back"}
    assert found == {("fell_back", "get", "rest", "miss"): 1}


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
    await give(store, [(name, push(update(name, writer="w", seq=1, add_current=5))) for name in names])
    await storage.recorder.record_all()
    for name in names[:2]:
        await lose_key(storage, name)
    for number, sidecar in enumerate((storage, other)):
        changes = [(name, push(update(name, writer=f"v{number}", seq=1, add_current=1))) for name in names]
        await give(sidecar.surface("ingest"), changes)
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
    await give(store, [(name, push(update(name))) for name in names])
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
