"""Redis gives no answer for a moment, too short a one to be away: what SQL took in it is there as soon as Redis is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.ahead import joining, tell_ahead
from sidecar.core.errors import StoreRefused
from sidecar.core.view import View, view
from sidecar.ports import Stored, Written
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import query, viewed
from tests.adapters.failover.conftest import SOON
from tests.adapters.failover.mishaps import paused
from tests.adapters.updates import NOON, finish, push, update
from tests.clock import Clock
from tests.faults.patience import until


@asynccontextmanager
async def stuttering(store: FallbackStore, valkey: EmbeddedValkey) -> AsyncIterator[None]:
    """Stop Redis while inside, with a call under way: what waits behind that one never reaches Redis."""
    await store.update("another", push(update("another")))
    with paused(valkey):
        under_way = asyncio.create_task(store.update("another", push(update("another"))))
        queue = store._live._combiner._queue
        await until(lambda: queue._flushing is not None and not queue._queue, SOON, "the call is under way")
        yield
        await under_way


@pytest.fixture
async def stuttered(storage: Storage, store: FallbackStore, live: RedisLive, valkey: EmbeddedValkey) -> Storage:
    """Return the storage of which SQL alone has that job-1 counted on from 5 to 6, while Redis is there."""
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    async with stuttering(store, valkey):
        await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    assert not storage.redis_breaker.is_away
    assert (await viewed(live)).current == 5
    return storage


def untold(storage: Storage) -> list[str]:
    return storage.stores.untold.ids_among(["job-1"])


async def through_get(store: FallbackStore) -> View:
    return await viewed(store)


async def through_page(store: FallbackStore) -> View:
    return next(each.view for each in (await store.page(query(active=True))).jobs if each.view.job.job_id == "job-1")


async def through_since(store: FallbackStore) -> View:
    changed = [each.view for each in (await store.since("default", 0, 10)).changes if isinstance(each, Stored)]
    return next(view for view in changed if view.job.job_id == "job-1")


async def through_update(store: FallbackStore) -> View:
    return (await store.update("job-1", push(update(writer="w", seq=3), NOON + 2))).outcome.view


async def through_update_many(store: FallbackStore) -> View:
    (answer,) = await store.update_many([("job-1", push(update(writer="w", seq=3), NOON + 2))])
    assert isinstance(answer, Written)
    return answer.outcome.view


@pytest.mark.parametrize("through", [through_get, through_page, through_since, through_update, through_update_many])
@pytest.mark.parametrize("is_sql_away", [False, True])
async def test_what_sql_took_is_there(
    stuttered: Storage, store: FallbackStore, through: Callable[[FallbackStore], Awaitable[View]], *, is_sql_away: bool
) -> None:
    if is_sql_away:
        stuttered.sql_breaker.open("it is gone")
    assert (await through(store)).current == 6
    assert (await viewed(stuttered.stores.live)).current == 6
    assert untold(stuttered) == []


async def test_what_sql_took_is_read_though_redis_takes_no_more(stuttered: Storage, store: FallbackStore) -> None:
    await stuttered.link.commands.config_set("maxmemory", "1")
    assert (await viewed(store)).current == 6
    with pytest.raises(StoreRefused):
        await store.update("job-1", push(update(writer="w", seq=3), NOON + 2))


async def test_deletion_is_judged_by_what_sql_took(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update()))
    await storage.recorder.record_all()
    async with stuttering(store, valkey):
        await store.update("job-1", finish(now=NOON + 1))
    judged: list[bool] = []
    assert await store.delete("job-1", lambda job: judged.append(view(job).is_finished))
    assert judged == [True]
    assert await store.get("job-1") is None


async def test_what_was_told_and_then_deleted_by_another_sidecar_does_not_rise(
    stuttered: Storage, store: FallbackStore, other: Storage, clock: Clock
) -> None:
    await tell_ahead(other.archive, other.stores.live, clock)
    assert await other.surface("rest").delete("job-1", lambda _: None)
    assert untold(stuttered) == ["job-1"]
    assert await store.get("job-1") is None
    assert untold(stuttered) == []


async def test_job_that_was_given_back_after_its_deletion_was_told_stays(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey, clock: Clock
) -> None:
    old = (await store.update("job-1", push(update(current=5)))).outcome.job
    await storage.recorder.record_all()
    async with stuttering(store, valkey):
        assert await store.delete("job-1", lambda _: None)
    assert (await storage.archive.ahead(10))[1] != []
    await tell_ahead(storage.archive, storage.stores.live, clock)
    await storage.stores.live.update("job-1", joining(old, clock))
    by_another_request = asyncio.create_task(viewed(store), context=Context())
    assert (await by_another_request).current == 5


async def test_all_is_told_though_nobody_asks(stuttered: Storage, live: RedisLive) -> None:
    running = asyncio.create_task(stuttered.restoration.run())
    await until(lambda: stuttered.stores.untold.is_empty, SOON, "Redis is told")
    await ended(running)
    assert (await viewed(live)).current == 6
