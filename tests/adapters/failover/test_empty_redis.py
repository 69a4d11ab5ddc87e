"""Redis is back and empty: it is filled from SQL."""

import asyncio
from pathlib import Path

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis.agenda import RedisAgenda
from sidecar.adapters.redis.live import RedisLive
from sidecar.core.job import Status
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.failover.conftest import SOON, left_redis
from tests.adapters.failover.mishaps import come_back_empty
from tests.adapters.updates import NOON, finish, push, update
from tests.clock import Clock
from tests.faults.patience import until_found


async def test_server_that_comes_back_empty_is_filled_from_sql(
    storage: Storage, store: FallbackStore, live: RedisLive, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    await store.update("running", push(update("running", writer="w", seq=1, add_current=5)))
    await store.update("done", finish("done", now=NOON + 1))
    before = await store.update("gone", push(update("gone")))
    await store.delete("gone", lambda _: None)
    await storage.recorder.record_all()
    await store.update("running", push(update("running", writer="w", seq=2, add_current=1), NOON + 3))
    await come_back_empty(valkey, tmp_path)
    assert (await viewed(store, "running")).current == 6
    storage.redis_breaker.open("it is empty")
    await storage.restoration.prepare()
    assert (await viewed(live, "running")).current == 6
    assert (await viewed(live, "done")).status is Status.COMPLETED
    assert await live.get("gone") is None
    assert (await live.counts()).jobs == {("default", "running"): 1, ("default", "completed"): 1}
    after = await store.update("running", push(update("running", writer="w", seq=3, add_current=1), NOON + 4))
    assert after.outcome.view.current == 7
    assert after.cursor.epoch != before.cursor.epoch


async def test_job_that_is_put_back_into_redis_is_looked_at_when_that_is_due(storage: Storage) -> None:
    await storage.surface("ingest").update("job-1", push(update(current=1), NOON))
    await storage.recorder.record_all()
    await storage.link.commands.flushall()
    storage.stores.live.memory.forget_all()
    await storage.restoration.prepare()
    assert [shown.job.job_id for shown in await storage.stores.live.outstanding(9)] == ["job-1"]
    agenda = RedisAgenda(storage.link)
    assert await agenda.due(NOON + 299, 9) == []
    assert [due.view.job.job_id for due in await agenda.due(NOON + 300, 9)] == ["job-1"]


async def test_empty_redis_is_filled_before_anything_new_is_recorded_of_it(
    storage: Storage, other: Storage, live: RedisLive, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """SQL is away when it returns; once it is back, another sidecar is faster to record than this one to fill."""
    sidecars, projects = (storage, other), ("a", "b")
    for name in projects:
        await live.update(name, push(update(name, project=name, current=5)))
    await storage.recorder.record_all()
    before = [await storage.archive.recorded(name) for name in projects]
    await come_back_empty(valkey, tmp_path)
    for each in sidecars:
        each.stores.live.memory.forget_all()
        each.sql_breaker.open("it is away")
        each.redis_breaker.open("it is empty")
        await each.restoration.prepare()
    await other.surface("ingest").update("new", push(update("new", project="b", current=1)))
    for each in sidecars:
        each.sql_breaker.close()
    await other.recorder.record_all()
    assert [await storage.archive.recorded(name) for name in projects] == before
    running = asyncio.create_task(storage.restoration.run())

    async def is_filled() -> bool:
        return all([await live.get(name) is not None for name in projects])

    await until_found(is_filled, SOON, lambda: "Redis is filled")

    async def is_recorded() -> bool:
        await other.recorder.record_all()
        return "new" in await other.stores.sql.find(["new"])

    await until_found(is_recorded, SOON, lambda: "what is new is recorded")
    assert (await other.stores.sql.find(["a", "b"])).keys() == {"a", "b"}
    await ended(running)


async def test_recorder_has_an_empty_redis_filled_by_itself(
    storage: Storage, live: RedisLive, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """Whoever was to fill it has died meanwhile; what is left to do is known from the stores."""
    await live.update("job-1", push(update(current=5)))
    await storage.recorder.record_all()
    await come_back_empty(valkey, tmp_path)
    live.memory.forget_all()
    await storage.link.trust("")
    await live.update("new", push(update("new", current=1)))
    running = asyncio.create_task(storage.restoration.run())
    await storage.recorder.record_all()

    async def is_filled() -> bool:
        return await live.get("job-1") is not None

    await until_found(is_filled, SOON, lambda: "Redis is filled")
    await ended(running)


async def test_running_server_that_is_emptied_is_filled_though_nobody_asks_for_a_job(
    storage: Storage, store: FallbackStore, live: RedisLive
) -> None:
    for name in ("a", "b"):
        await store.update(name, push(update(name, project=name, writer="w", seq=1, add_current=5)))
    await store.update("done", finish("done", now=NOON + 1))
    await storage.recorder.record_all()
    await store.update("a", push(update("a", project="a", writer="w", seq=2, add_current=1), NOON + 3))
    await store.update("late", push(update("late", project="b", current=1), NOON + 3))
    await storage.link.commands.flushall()
    running = asyncio.create_task(storage.restoration.run())

    async def is_filled() -> bool:
        return set(ids((await live.page(query())).jobs)) == {"a", "b", "done", "late"}

    await until_found(is_filled, SOON, lambda: "Redis is filled")
    assert (await viewed(live, "a")).current == 6
    assert (await live.counts()).jobs == {("default", "running"): 3, ("default", "completed"): 1}

    async def is_recorded() -> bool:
        await storage.recorder.record_all()
        return "late" in await storage.stores.sql.find(["late"])

    await until_found(is_recorded, SOON, lambda: "what is filled in is recorded")
    await ended(running)


async def test_emptied_server_is_not_filled_again_and_again_with_a_project_of_which_all_has_left_it(
    storage: Storage, clock: Clock
) -> None:
    await left_redis(storage, clock)
    await storage.link.commands.flushall()
    assert await storage.restoration._lacks_a_project()
    await storage.restoration.prepare()
    assert await storage.stores.live.projects() == []
    assert not await storage.restoration._lacks_a_project()
