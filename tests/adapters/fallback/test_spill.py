"""What was acknowledged and not recorded is given to SQL while Redis is away."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.fallback import FallbackStore
from sidecar.core.errors import StoreUnavailable
from sidecar.storage import Storage
from sidecar.tasks import ended
from tests.adapters.contract_live_store import ids, query, viewed
from tests.adapters.fallback.conftest import SOON
from tests.adapters.fallback.mishaps import parted, paused
from tests.adapters.updates import push, update
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
