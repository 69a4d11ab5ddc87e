"""The store that serves while Redis is away passes the suite of every live store, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.live import SqlLive
from tests.adapters.contract_live_store import LiveStoreContract
from tests.adapters.updates import NOON


@pytest.fixture
def store(database: Database) -> SqlLive:
    """Return a live store."""
    return SqlLive(database, lambda: NOON)


@pytest.fixture
async def replica(database_url: str, database: Database) -> AsyncIterator[SqlLive]:
    """Return a second live store over the same data, as of another process."""
    del database  # opened first
    other = Database(database_url, timeout_seconds=5.0)
    yield SqlLive(other, lambda: NOON)
    await other.close()


class TestSqlLive(LiveStoreContract):
    """SQL does what every live store must do."""
