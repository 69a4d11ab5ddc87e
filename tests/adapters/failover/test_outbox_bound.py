"""What is let in while SQL is away and the outbox fills: Redis' memory is bounded, over real servers."""

import time

import pytest

from sidecar.adapters.failover.outbox_bound import NEARLY_FULL
from sidecar.adapters.redis.live import RedisLive
from sidecar.core.errors import StoreRefused
from sidecar.core.job import Status, WorkerEvent
from sidecar.settings import Settings
from sidecar.storage import GRACE_SECONDS, Storage
from sidecar.tracker import Tracker
from tests.adapters.contract_live_store import viewed
from tests.adapters.failover.mishaps import parted
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, finish, give, push, update
from tests.clock import Clock

HOUR = 3_600.0
LINE = WorkerEvent("line", {"text": "x" * 200})


@pytest.fixture
def settings() -> Settings:
    return Settings(store_timeout_seconds=5, finished_ttl_seconds=HOUR, outbox_bytes=65_536)


async def fill(storage: Storage, share: float) -> None:
    """Let the outbox grow until it is so full."""
    seq = 0
    while storage.outbox_bound.share < share:
        await storage.stores.live.update("filler", push(update("filler", event=LINE), NOON + seq))
        await storage.outbox_bound.look()
        seq += 1


async def types(live: RedisLive) -> list[str]:
    return [event.type for event in await live.timeline("job-1", 0, 100)]


def dropped(storage: Storage) -> int:
    return counted(storage).counts["sample_dropped",]


async def test_nearly_full_outbox_takes_no_samples_and_counts_them_but_takes_all_else(
    storage: Storage, live: RedisLive
) -> None:
    await live.update("job-1", push(update(percent=1)))
    await live.update("job-1", push(update(percent=30), NOON + 60))
    assert (await types(live)).count("progress") == 1
    await fill(storage, NEARLY_FULL)
    assert storage.outbox_bound.share < 1
    await live.update("job-1", push(update(percent=60), NOON + 120))
    await live.update("job-1", push(update(percent=70, event=LINE), NOON + 180))
    await live.update("job-1", finish(now=NOON + 240))
    told = await types(live)
    assert (told.count("progress"), told.count("line"), told.count("completed")) == (1, 1, 1)
    assert dropped(storage) == 3  # the end comes with one as well
    assert (await viewed(live)).status is Status.COMPLETED


async def test_timeline_without_the_samples_that_were_dropped_is_whole_and_its_numbers_have_no_gap(
    storage: Storage, live: RedisLive
) -> None:
    """So it is told from SQL while Redis is away."""
    store = storage.surface("rest")
    tracker = Tracker(store, store, storage.history, counted(storage), lambda: NOON)
    await live.update("job-1", push(update(percent=1)))
    await fill(storage, NEARLY_FULL)
    await live.update("job-1", push(update(percent=30), NOON + 60))
    await live.update("job-1", push(update(percent=60, event=LINE), NOON + 120))
    await live.update("job-1", push(update(percent=70), NOON + 180))
    assert dropped(storage) == 3
    assert (await viewed(live)).job.event_count == 3
    await storage.recorder.record_all()
    live.memory.forget_all()
    with parted(storage):
        lines = await tracker.timeline("job-1", 0, 100, lambda _: True)
        assert [(each.number, each.type) for each in lines] == [(1, "created"), (2, "started"), (3, "line")]
        assert len(await tracker.attempts("job-1", lambda _: True)) == 1
    storage.redis_breaker.close()
    await storage.outbox_bound.look()
    await live.update("job-1", push(update(percent=80), NOON + 240))
    assert [(each.number, each.type) for each in await live.timeline("job-1", 0, 100)] == [(4, "progress")]


async def test_full_outbox_refuses_what_would_make_it_grow_until_there_is_room(
    storage: Storage, live: RedisLive
) -> None:
    await live.update("job-1", push(update(percent=1)))
    await fill(storage, 1.0)
    for change in (push(update(event=LINE), NOON + 60), finish(now=NOON + 60), push(update(stage="next"), NOON + 60)):
        with pytest.raises(StoreRefused, match="outbox is full"):
            await live.update("job-1", change)
    with pytest.raises(StoreRefused, match="outbox is full"):
        await live.update("new", push(update("new")))
    await live.update("job-1", push(update(percent=50), NOON + 60))
    assert (await viewed(live)).percent == 50
    assert await live.get("new") is None
    await storage.recorder.record_all()
    await storage.outbox_bound.look()
    await live.update("job-1", finish(now=NOON + 120))
    assert (await viewed(live)).status is Status.COMPLETED


async def test_finished_jobs_that_cannot_leave_take_of_the_room_while_sql_is_away(
    storage: Storage, live: RedisLive, clock: Clock
) -> None:
    names = [f"job-{number:03}" for number in range(100)]
    given = [(name, push(update(name, metadata={"k": "x" * 900}, words={"status": "completed"}))) for name in names]
    await give(live, given)
    await storage.recorder.record_all()
    storage.sql_breaker.open("it is away")
    clock.now = NOON + HOUR
    await storage.outbox_bound.look()
    assert storage.outbox_bound.share < NEARLY_FULL
    clock.now = NOON + HOUR + GRACE_SECONDS + 1
    await storage.outbox_bound.look()
    assert storage.outbox_bound.share > 1
    with pytest.raises(StoreRefused, match="outbox is full"):
        await live.update("new", finish("new", now=clock.now))
    storage.sql_breaker.close()
    await storage.outbox_bound.look()
    await live.update("new", finish("new", now=clock.now))


@pytest.mark.parametrize("is_nearly_due", [True, False])
async def test_finished_jobs_that_are_not_recorded_take_of_the_room_though_sql_can_be_read(
    storage: Storage, live: RedisLive, clock: Clock, *, is_nearly_due: bool
) -> None:
    names = [f"job-{number:02}" for number in range(20)]
    words, now = {"status": "completed"}, time.time()  # Redis says when a line was written
    given = [(name, push(update(name, metadata={"k": "x" * 8_000}, words=words), now)) for name in names]
    await give(live, given)
    clock.now = now + HOUR + GRACE_SECONDS + (-1 if is_nearly_due else 1)
    await storage.outbox_bound.look()
    assert not storage.sql_breaker.is_away
    assert storage.outbox_bound.share < NEARLY_FULL if is_nearly_due else storage.outbox_bound.share > 1
    await storage.recorder.record_all()
    await storage.outbox_bound.look()
    assert storage.outbox_bound.share == 0
