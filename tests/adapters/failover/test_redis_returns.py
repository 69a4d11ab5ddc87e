"""Redis is back: it has all that SQL took, every increment once."""

import asyncio

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.failover.untold import Untold
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.ahead import tell_ahead
from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import Status
from sidecar.core.view import view
from sidecar.ports import Stored, Written
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import query, viewed
from tests.adapters.failover.conftest import SOON, fell_back, timeline
from tests.adapters.failover.mishaps import parted, paused
from tests.adapters.updates import NOON, finish, push, update
from tests.clock import Clock
from tests.faults.patience import until, until_found


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


async def test_what_sql_took_of_another_sidecar_is_made_good_later_if_it_is_away_when_redis_returns(
    storage: Storage, store: FallbackStore, live: RedisLive, other: Storage
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with parted(other):
        await other.surface("ingest").update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    storage.redis_breaker.open("its line is cut")
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


async def test_redis_is_told_what_sql_took_of_this_sidecar_although_sql_is_away_when_it_returns(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    for job_id in ("job-1", "job-2"):
        await store.update(job_id, push(update(job_id, writer="w", seq=1, add_current=5)))
    before = (await live.since("default", 0, 10)).cursor
    with parted(storage):
        await store.update("job-1", push(update(writer="w", seq=2, words={"status": "completed"}), NOON + 1))
        await store.update("job-2", push(update("job-2", writer="w", seq=2, add_current=1), NOON + 1))
        await store.update("job-3", push(update("job-3", current=3), NOON + 1))
    storage.sql_breaker.open("it is gone")
    await storage.restoration.prepare()
    assert not storage.redis_breaker.is_away
    assert (await viewed(live, "job-1")).status is Status.COMPLETED
    assert [(await viewed(live, job_id)).current for job_id in ("job-2", "job-3")] == [6, 3]
    assert (await live.since("default", 0, 10)).cursor.epoch != before.epoch
    storage.sql_breaker.close()
    await storage.restoration.prepare()
    assert [(await viewed(live, job_id)).current for job_id in ("job-1", "job-2", "job-3")] == [5, 6, 3]


async def test_redis_is_told_a_deletion_and_what_came_after_it_although_sql_is_away_when_it_returns(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    for job_id in ("job-1", "job-2"):
        await store.update(job_id, push(update(job_id, writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with parted(storage):
        for job_id in ("job-1", "job-2"):
            assert await store.delete(job_id, lambda _: None)
        await store.update("job-2", push(update("job-2", writer="w", seq=2, add_current=1), NOON + 1))
    storage.sql_breaker.open("it is gone")
    await storage.restoration.prepare()
    assert await live.get("job-1") is None
    assert (await viewed(live, "job-2")).current == 1


async def test_what_watchers_were_told_of_another_sidecars_pushes_is_in_redis_although_sql_is_away_when_it_returns(
    storage: Storage, store: FallbackStore, other: Storage, live: RedisLive
) -> None:
    theirs, stream = other.surface("ingest"), storage.surface("stream")
    for job_id in ("job-1", "job-2", "job-3"):
        await store.update(job_id, push(update(job_id, writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with parted(storage), parted(other):
        for job_id in ("job-1", "job-2"):
            await theirs.update(job_id, push(update(job_id, writer="w", seq=2, add_current=1), NOON + 1))
        assert len((await stream.since("default", 0, 10)).changes) == 3
        assert await other.surface("rest").delete("job-2", lambda _: None)
        assert await store.delete("job-3", lambda _: None)
        await stream.since("default", 0, 10)
    storage.sql_breaker.open("it is gone")
    await storage.restoration.prepare()
    assert (await viewed(live, "job-1")).current == 6
    assert (await viewed(live, "job-2")).current == 5  # its deletion is told when SQL is back
    assert await live.get("job-3") is None
    assert storage.stores.untold.seen == []


async def test_redis_stays_away_while_only_sql_which_is_away_knows_what_it_took(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    storage.stores.untold = Untold(most=1)
    for job_id in ("job-1", "job-2"):
        await store.update(job_id, push(update(job_id, writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    with parted(storage):
        for job_id in ("job-1", "job-2"):
            await store.update(job_id, push(update(job_id, writer="w", seq=2, add_current=1), NOON + 1))
    storage.sql_breaker.open("it is gone")
    returning = asyncio.create_task(storage.restoration.prepare())
    await asyncio.wait([returning], timeout=0.5)
    was_away = storage.redis_breaker.is_away and not returning.done()
    assert was_away
    storage.sql_breaker.close()
    with pytest.raises(StoreUnavailable):
        await returning
    await storage.restoration.prepare()
    assert not storage.redis_breaker.is_away
    assert storage.stores.untold.is_whole
    assert (await viewed(live, "job-1")).current == 6


async def test_what_redis_was_told_long_ago_does_not_keep_it_away(storage: Storage, store: FallbackStore) -> None:
    storage.stores.untold = Untold(most=0)
    with parted(storage):
        await store.update("job-1", push(update(current=5)))
    storage.redis_breaker.close()  # it had stuttered
    await storage.recorder.record_all()
    await tell_ahead(storage.archive, storage.stores.live, storage.stores.clock)
    assert not storage.stores.untold.is_whole
    spilling = asyncio.create_task(storage.restoration.spill())
    storage.redis_breaker.open("it is gone")
    await until(lambda: storage.stores.untold.is_whole, SOON, "it is forgotten")
    await ended(spilling)


async def test_sidecar_that_starts_beside_a_full_redis_lets_sql_serve_what_only_sql_has(
    storage: Storage, store: FallbackStore, other: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.storage.PATIENCE_SECONDS", 0.1)
    with parted(storage):
        await store.update("job-1", push(update(current=5)))
    await storage.link.commands.config_set("maxmemory", "1")
    await other.start()
    assert other.redis_breaker.is_away
    assert (await viewed(other.surface("rest"))).current == 5
    await storage.link.commands.config_set("maxmemory", "0")
    await other.restoration.prepare()
    assert (await viewed(other.stores.live)).current == 5
