"""What SQL serves while Redis is away, and that it is counted."""

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.errors import StoreRefused
from sidecar.ports import ChangeJob
from sidecar.storage import Storage
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.failover.conftest import fell_back
from tests.adapters.failover.mishaps import paused
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, push, update
from tests.clock import Clock


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


def told(storage: Storage, store: str) -> dict[tuple[object, ...], int]:
    """Return what was counted of a store that was given many changes at once."""
    found = {key: number for key, number in counted(storage).counts.items() if key[1:3] == (store, "update_many")}
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
