"""A real Valkey, and what the tests of the Redis adapters build on it."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from tests.adapters.databases import database, database_url, postgres
from tests.adapters.storages import clock, database_path, live, other, settings, storage
from tests.servers.embedded import embedded

__all__ = [
    "clock",
    "database",
    "database_path",
    "database_url",
    "live",
    "other",
    "postgres",
    "settings",
    "storage",
]


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """Return a running Valkey of this test's own."""
    async with embedded(tmp_path) as valkey:
        yield valkey


@pytest.fixture
async def link(valkey: EmbeddedValkey) -> AsyncIterator[RedisLink]:
    """Return a link to a Valkey of this test's own."""
    link = RedisLink(valkey.url, timeout_seconds=2.0)
    yield link
    await link.close()


@pytest.fixture
def store(link: RedisLink) -> RedisLive:
    """Return a live store."""
    return RedisLive(link, time.time)


@pytest.fixture
async def replica(valkey: EmbeddedValkey) -> AsyncIterator[RedisLive]:
    """Return a second live store over the same data, as of another process."""
    link = RedisLink(valkey.url, timeout_seconds=2.0)
    yield RedisLive(link, time.time)
    await link.close()
