"""Reads that take this process long do not all go to Redis at once."""

import asyncio

import pytest

from sidecar.adapters.fallback import LONG_READS, FallbackStore
from sidecar.adapters.redis.live import RedisLive
from tests.adapters.contract_live_store import query
from tests.adapters.updates import push, update


@pytest.mark.parametrize("operation", ["page", "since", "timeline"])
async def test_long_reads_of_redis_take_turns(
    store: FallbackStore, live: RedisLive, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    await store.update("j", push(update("j", current=1)))
    read, inside, most = getattr(live, operation), 0, 0

    async def noted(*asked: object) -> object:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            return await read(*asked)
        finally:
            inside -= 1

    monkeypatch.setattr(live, operation, noted)
    asked = {"page": (query(active=True),), "since": ("default", 0, 100), "timeline": ("j", 0, 100)}[operation]
    answers = await asyncio.gather(*(getattr(store, operation)(*asked) for _ in range(40)))
    assert all(answers)
    assert most == LONG_READS
