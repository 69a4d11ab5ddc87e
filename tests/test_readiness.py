"""What /readyz says of how Redis keeps what it was given."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from tests.faults.patience import until_found
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey

SECONDS = 20.0
POLICIES = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
SAFE = {**POLICIES, "is_safe": True}


@pytest.fixture
def valkey(tmp_path: Path) -> Valkey:
    return Valkey(tmp_path / "valkey")


@pytest.fixture
async def sidecar(tmp_path: Path, valkey: Valkey) -> AsyncIterator[Sidecar]:
    sidecar = Sidecar(tmp_path / "sidecar", redis_url=valkey.url)
    try:
        for server in (valkey, sidecar):
            server.start()
            await server.ready()
        async with ClientSession() as session:
            await sidecar.whole(session)
        yield sidecar
    finally:
        sidecar.kill()
        valkey.kill()


async def durability(sidecar: Sidecar) -> tuple[int, Any]:
    async with ClientSession() as session, session.get(f"{sidecar.url}/readyz") as response:
        lines = (await response.text()).splitlines()
        assert sum(line.startswith('"redis_durability": {') for line in lines) == 1, lines
        return response.status, (await response.json())["redis_durability"]


async def test_policies_are_named_as_they_are_now(sidecar: Sidecar, valkey: Valkey) -> None:
    assert await durability(sidecar) == (200, SAFE)
    for name, value in (("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru"), ("appendonly", "no")):
        async with Redis.from_url(valkey.url) as client:
            await client.config_set(name, value)
            assert await durability(sidecar) == (200, SAFE | {name: value, "is_safe": False})
            await client.config_set(name, POLICIES[name])
    assert await durability(sidecar) == (200, SAFE)


async def test_redis_that_does_not_tell_is_neither_safe_nor_unsafe(sidecar: Sidecar, valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as client:
        await client.acl_setuser("default", enabled=True, nopass=True, commands=["-config"])
    assert await durability(sidecar) == (200, {"is_safe": None})


async def test_redis_that_is_away_tells_nothing(sidecar: Sidecar, valkey: Valkey) -> None:
    valkey.kill()

    async def is_away() -> bool:
        async with ClientSession() as session:
            return (await sidecar.parts(session)).get("redis") == "unavailable"

    await until_found(is_away, SECONDS, lambda: "Redis is away")
    assert (await durability(sidecar))[1] == {"is_safe": None}
