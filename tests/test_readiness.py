"""What /readyz says of how Redis keeps what it was given, and of an SQL that takes nothing."""

import resource
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
LINE = {"event": {"type": "line", "details": {"text": "x" * 10_000}}}
MESSAGES = (
    *("SQL takes no writes", "SQL takes writes again"),
    *("what Redis has cannot be recorded in SQL", "what Redis has is recorded in SQL again"),
)


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


async def test_sql_that_takes_no_writes_is_named_and_work_is_taken_as_long_as_redis_does(
    sidecar: Sidecar, valkey: Valkey
) -> None:
    """Its disk is full. It can be read all the time, and nobody may write to it but the sidecar itself."""
    answers: list[tuple[int, str, str]] = []

    async with ClientSession() as session:

        async def is_told(code: int, sql: str) -> bool:
            async with session.get(f"{sidecar.url}/readyz") as response:
                parts = await response.json()
                answers.append((response.status, parts["redis"], parts["sql"]))
                return (response.status, parts["sql"]) == (code, sql)

        async def pushed() -> int:
            async with session.post(f"{sidecar.url}/v1/jobs/job-1", json=LINE) as response:
                return response.status

        async def is_named() -> bool:
            assert await pushed() == 200
            return await is_told(200, "unavailable")

        async def is_refused() -> bool:
            return await pushed() == 503

        limit_files(sidecar, max(path.stat().st_size for path in sidecar.history.parent.glob("history.db*")))
        await until_found(is_named, SECONDS, lambda: f"SQL takes no writes, {answers[-1]}\n{sidecar.complaints()}")
        limit_files(sidecar, resource.RLIM_INFINITY)
        await until_found(lambda: is_told(200, "ok"), SECONDS, lambda: f"SQL takes writes again, {answers[-1]}")
        await sidecar.recorded(session)
        limit_files(sidecar, max(path.stat().st_size for path in sidecar.history.parent.glob("history.db*")))
        valkey.kill()
        await until_found(is_refused, SECONDS, lambda: f"no store takes it\n{sidecar.complaints()}")
        await until_found(lambda: is_told(503, "unavailable"), SECONDS, lambda: f"it is told, {answers[-1]}")
        limit_files(sidecar, resource.RLIM_INFINITY)
        await until_found(lambda: is_told(200, "ok"), SECONDS, lambda: f"it takes work again, {answers[-1]}")
        assert await pushed() == 200
    told = sidecar.complaints()
    assert [told.count(f'"{message}"') >= 1 for message in MESSAGES] == [True] * len(MESSAGES)


def limit_files(sidecar: Sidecar, most_bytes: int) -> None:
    """Bound the files that a sidecar writes, while it runs."""
    resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
