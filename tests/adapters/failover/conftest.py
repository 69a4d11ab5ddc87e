"""Both stores with little patience, and how their jobs come to be where they are."""

import pytest

from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.view import View
from sidecar.settings import Settings
from sidecar.storage import Storage
from tests.adapters.storages import counted
from tests.adapters.updates import NOON, push, update
from tests.clock import Clock

HOUR = 3_600.0
SOON = 10.0


@pytest.fixture
def settings() -> Settings:
    return Settings(store_timeout_seconds=1.5, finished_ttl_seconds=HOUR)


@pytest.fixture
def store(storage: Storage) -> FallbackStore:
    return storage.surface("rest")


async def swept(storage: Storage) -> None:
    """Record everything, and let what has finished long enough leave Redis."""
    await storage.recorder.record_all()
    for project, standing in (await storage.outbox.standings()).items():
        await storage.retention.sweep(project, standing)


async def left_redis(storage: Storage, clock: Clock, *, at: float = NOON + 1) -> View:
    """Return a job that counted to 5, was completed, and is kept in SQL alone."""
    store = storage.surface("ingest")
    await store.update("job-1", push(update(writer="w", seq=1, add_current=5)))
    written = await store.update("job-1", push(update(writer="w", seq=2, words={"status": "completed"}), at))
    clock.now = at + 2 * HOUR
    await swept(storage)
    assert await storage.stores.live.get("job-1") is None
    return written.outcome.view


async def timeline(storage: Storage, job_id: str = "job-1") -> list[str]:
    await storage.recorder.record_all()
    return [event.type for event in await storage.history.timeline(job_id, 0, 1_000)]


def fell_back(storage: Storage, operation: str, surface: str, reason: str = "unavailable") -> int:
    return counted(storage).counts["fell_back", operation, surface, reason]
