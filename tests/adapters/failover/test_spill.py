"""What was acknowledged and not recorded is given to SQL while Redis is away."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.errors import StoreUnavailable
from sidecar.ports import Stored
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.failover.conftest import SOON
from tests.adapters.failover.mishaps import parted, paused
from tests.adapters.updates import NOON, push, update
from tests.faults.patience import until_found


async def until_in_sql(storage: Storage) -> None:
    async def is_in_sql() -> bool:
        return "job-1" in await storage.stores.sql.find(["job-1"])

    await until_found(is_in_sql, SOON, lambda: "SQL has taken it along")


async def test_what_was_acknowledged_and_not_recorded_is_there_while_redis_is_stopped(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    spilling = asyncio.create_task(storage.restoration.spill())
    with paused(valkey):
        assert (await viewed(store)).current == 5
        storage.redis_breaker.open("it is stopped")
        await until_in_sql(storage)
        assert ids((await store.page(query())).jobs) == ["job-1"]
    await ended(spilling)


async def test_what_sql_could_not_take_along_is_given_to_it_again(
    storage: Storage, store: FallbackStore, database_path: Path
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    with parted(storage), closing(sqlite3.connect(database_path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(storage.restoration.spill(), SOON)
        somebody.execute("ROLLBACK")
        spilling = asyncio.create_task(storage.restoration.spill())
        await until_in_sql(storage)
        await ended(spilling)


async def test_lists_and_streams_have_it_from_the_first_call_that_redis_does_not_answer(
    storage: Storage, store: FallbackStore, valkey: EmbeddedValkey
) -> None:
    for job_id in ("job-1", "job-2"):
        await store.update(job_id, push(update(job_id, writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    await store.update("job-2", push(update("job-2", writer="w", seq=2, words={"status": "completed"}), NOON + 1))
    with paused(valkey):
        page = await store.page(query(active=True))
        missed = await storage.surface("stream").since("default", 0, 10)
        assert not storage.redis_breaker.is_away
    assert [(each.view.job.job_id, each.view.current) for each in page.jobs] == [("job-1", 6)]
    assert {each.view.job.job_id: each.view.is_finished for each in missed.changes if isinstance(each, Stored)} == {
        "job-1": False,
        "job-2": True,
    }


async def test_job_of_another_sidecar_that_was_shown_is_shown_again_although_it_is_not_recorded(
    storage: Storage, store: FallbackStore, other: Storage
) -> None:
    theirs = other.surface("ingest")
    await theirs.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    assert (await viewed(store)).current == 5
    await theirs.update("job-1", push(update(writer="w", seq=2, add_current=1)))
    assert (await viewed(store)).current == 6
    with parted(storage):
        assert (await viewed(store)).current == 6
        assert [each.view.current for each in (await store.page(query())).jobs] == [6]


async def test_sql_tells_what_it_has_if_it_cannot_take_it(
    storage: Storage, store: FallbackStore, database_path: Path
) -> None:
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    await storage.recorder.record_all()
    await store.update("job-1", push(update(writer="w", seq=2, add_current=1), NOON + 1))
    with parted(storage), closing(sqlite3.connect(database_path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        assert [each.view.current for each in (await store.page(query())).jobs] == [5]
        somebody.execute("ROLLBACK")

        async def is_taken() -> bool:
            return [each.view.current for each in (await store.page(query())).jobs] == [6]

        await until_found(is_taken, SOON, lambda: "SQL has taken it")
