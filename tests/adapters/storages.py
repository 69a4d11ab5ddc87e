"""Both stores as a process opens them, with a clock of the test's own; a module says under which `settings`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.live import RedisLive
from sidecar.settings import Settings
from sidecar.storage import Storage
from tests.adapters.updates import NOON
from tests.clock import Clock
from tests.http.conftest import Counted


async def opened(settings: Settings, valkey: EmbeddedValkey, database_path: Path, clock: Clock) -> Storage:
    """Return both stores as a process has them that has just begun."""
    storage = Storage(settings, valkey.url, f"sqlite:///{database_path}", Counted(), clock)
    await storage.start()
    return storage


def counted(storage: Storage) -> Counted:
    """Return what was counted of these stores."""
    metrics = storage.stores.metrics
    assert isinstance(metrics, Counted)
    return metrics


@pytest.fixture
def settings() -> Settings:
    return Settings(store_timeout_seconds=5)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
async def storage(
    settings: Settings, valkey: EmbeddedValkey, database_path: Path, clock: Clock
) -> AsyncIterator[Storage]:
    storage = await opened(settings, valkey, database_path, clock)
    yield storage
    await storage.close()


@pytest.fixture
async def other(
    storage: Storage, settings: Settings, valkey: EmbeddedValkey, database_path: Path, clock: Clock
) -> AsyncIterator[Storage]:
    """Return the same stores as another process has them."""
    del storage  # opened first
    other = await opened(settings, valkey, database_path, clock)
    yield other
    await other.close()


@pytest.fixture
def live(storage: Storage) -> RedisLive:
    return storage.stores.live
