"""The moment in which Redis takes over again."""

import asyncio
from collections.abc import Collection

from typing_extensions import override

from sidecar.adapters.failover.crossing import Crossing
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.failover.restoration import Restoration
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.live import SqlLive
from sidecar.background.ahead import tell_ahead
from sidecar.core.job import WorkerEvent
from sidecar.history import Ahead, Buried
from sidecar.storage import Storage
from tests.adapters.contract_live_store import viewed
from tests.adapters.failover.conftest import SOON, fell_back
from tests.adapters.failover.mishaps import parted
from tests.adapters.updates import give, push, update
from tests.clock import Clock


async def test_redis_takes_over_when_sql_has_finished_with_what_it_was_taking() -> None:
    crossing, taking, told = Crossing(SOON), asyncio.Event(), list[str]()

    async def take(name: str) -> None:
        async with crossing.taken():
            told.append(f"{name} begins")
            await taking.wait()
            told.append(f"{name} ends")

    async def close() -> None:
        async with crossing.closed():
            told.append("closed")

    first = asyncio.create_task(take("first"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(close())
    await asyncio.sleep(0)
    second = asyncio.create_task(take("second"))
    await asyncio.sleep(0)
    assert told == ["first begins"]
    taking.set()
    await asyncio.wait_for(asyncio.gather(first, closing, second), SOON)
    assert told == ["first begins", "first ends", "closed", "second begins", "second ends"]


async def test_change_that_waited_for_redis_to_take_over_goes_to_redis(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    with parted(storage):
        async with storage.stores.crossing.closed():
            pushing = asyncio.create_task(store.update("job-1", push(update(writer="w", seq=2, add_current=1))))
            await asyncio.sleep(0)
            assert not pushing.done()
            storage.redis_breaker.close()
        await asyncio.wait_for(pushing, SOON)
    assert (await viewed(live)).current == 6
    assert fell_back(storage, "update", "ingest") == 0


async def test_change_waits_no_longer_for_redis_to_take_over_than_for_a_store(
    storage: Storage, store: FallbackStore, live: RedisLive, clock: Clock
) -> None:
    with parted(storage):
        async with storage.stores.crossing.closed():
            await asyncio.wait_for(store.update("job-1", push(update(current=5))), SOON)
            changes = [("job-2", push(update("job-2", current=6)))]
            await asyncio.wait_for(give(store, changes), SOON)
        storage.redis_breaker.close()
    await tell_ahead(storage.archive, live, clock)
    assert [(await viewed(live, name)).current for name in ("job-1", "job-2")] == [5, 6]


class Busy(SqlArchive):
    """An archive to which another sidecar has just given something, whenever it is asked."""

    sql: SqlLive

    @override
    async def ahead(self, limit: int, job_ids: Collection[str] | None = None) -> tuple[list[Ahead], list[Buried]]:
        await self.sql.update("theirs", push(update("theirs", event=WorkerEvent("line"))))
        return await super().ahead(limit, job_ids)


async def test_redis_takes_over_although_another_sidecar_gives_sql_ever_more(
    storage: Storage, store: FallbackStore, other: Storage, live: RedisLive, clock: Clock
) -> None:
    archive = Busy(storage.database, clock)
    archive.sql = other.stores.sql
    parts = (storage.stores, storage.link, storage.own_link, archive, storage.sql_breaker)
    names = [f"job-{number:03}" for number in range(250)]
    with parted(storage):
        await give(store, [(name, push(update(name, current=5))) for name in names])
        await asyncio.wait_for(Restoration(*parts).prepare(), SOON)
    assert not storage.redis_breaker.is_away
    assert [(await viewed(live, name)).current for name in names] == [5] * 250
