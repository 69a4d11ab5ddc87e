"""Reads that take this process long do not all go to Redis at once."""

import asyncio

import pytest

from sidecar.adapters.failover.fallback import LONG_READS, FallbackStore
from sidecar.adapters.redis.link import RedisLink
from sidecar.storage import Storage
from tests.adapters.contract_live_store import query
from tests.adapters.updates import push, update


async def connections(link: RedisLink) -> set[str]:
    """Return which connections the server has."""
    return {each["id"] for each in await link.commands.client_list()}


@pytest.mark.parametrize("operation", ["page", "since", "timeline"])
async def test_long_reads_of_redis_take_turns(
    storage: Storage, store: FallbackStore, link: RedisLink, operation: str
) -> None:
    """Each read that is under way has a connection to itself; a new one is opened if none is free."""
    await store.update("j", push(update("j", current=1)))
    before = await connections(link)
    await storage.link.trust(storage.link.run_id)  # from now on it has only such as it needs anew
    asked = {"page": (query(active=True),), "since": ("default", 0, 100), "timeline": ("j", 0, 100)}[operation]
    answers = await asyncio.gather(*(getattr(store, operation)(*asked) for _ in range(40)))
    assert all(answers)
    assert len(await connections(link) - before) == LONG_READS
