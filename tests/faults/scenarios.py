"""Short courses of events in which a fault strikes at the worst moment; each returns what was found wrong."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.patience import until_found
from tests.faults.plan import seeded
from tests.faults.program import CHECKOUT, Sidecar
from tests.faults.proxy import HOST, Proxy
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers
from tests.servers.postgres import Postgres

PUSHES = 200
SECONDS = 30.0

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO timeline%'"


async def killed_while_it_records(
    home: Path, postgres: Postgres, session: ClientSession, seed: int, checkout: Path = CHECKOUT
) -> list[str]:
    """Kill a sidecar in the middle of a record, start it again, and compare when all is recorded."""
    async with AsyncExitStack() as stack:
        valkey = Valkey(home / "valkey")
        url = await postgres.database("record")
        sidecar = Sidecar(home / "sidecar", checkout, redis_url=valkey.url, database_url=url)
        for server in (valkey, sidecar):
            stack.callback(server.kill)
            server.start()
            await server.ready()
        await sidecar.whole(session)
        ledger = Ledger()
        writers = Writers(ledger, session, [sidecar.url], seeded(seed))
        stack.push_async_callback(writers.stop)
        writers.start()
        await writers.until_acknowledged(PUSHES)
        async with held(url):
            await until_found(lambda: is_recording(url), SECONDS, lambda: "the recorder is held up")
            assert await writers.until_in_flight()
            sidecar.kill()
        sidecar.start()
        await sidecar.whole(session)
        await writers.until_acknowledged(PUSHES)
        await writers.pause()
        await sidecar.recorded(session)
        return [*writers.violations, *await Auditor(ledger, session, [sidecar.url], 0).audit(ledger.job_ids)]


async def one_of_two_cut_off(
    home: Path, postgres: Postgres, session: ClientSession, seed: int, checkout: Path = CHECKOUT
) -> list[str]:
    """Cut one of two sidecars off from Redis, push to both, heal the cut, and compare when both agree."""
    async with AsyncExitStack() as stack:
        valkey = Valkey(home / "valkey")
        line = Proxy(valkey.port)
        stack.push_async_callback(line.close)
        await line.heal()
        settings = {"database_url": await postgres.database("split"), "store_timeout_seconds": 1}
        near = Sidecar(home / "near", checkout, redis_url=valkey.url, **settings)
        far = Sidecar(home / "far", checkout, redis_url=f"redis://{HOST}:{line.port}/0", **settings)
        for server in (valkey, near, far):
            stack.callback(server.kill)
            server.start()
            await server.ready()
        for sidecar in (near, far):
            await sidecar.whole(session)
        ledger = Ledger()
        writers = Writers(ledger, session, [near.url, far.url], seeded(seed))
        stack.push_async_callback(writers.stop)
        writers.start()
        await writers.until_acknowledged(PUSHES)
        disagreement = ledger.disagreement()
        line.cut()
        await until_found(lambda: is_cut_off(far, session), SECONDS, lambda: "the far one knows that Redis is away")
        await writers.until_acknowledged(PUSHES)
        await line.heal()
        for sidecar in (near, far):
            await sidecar.whole(session)
        disagreement.end()
        await writers.pause()
        await near.recorded(session)
        return [*writers.violations, *await Auditor(ledger, session, [near.url], 0).audit(ledger.job_ids)]


@asynccontextmanager
async def held(url: str) -> AsyncIterator[None]:
    """Let nobody write to the timelines inside."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE timeline IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def is_recording(url: str) -> bool:
    """Whether somebody waits to write a timeline."""
    connection = await asyncpg.connect(url)  # a new one for each look: within a transaction the view stands still
    try:
        return bool(await connection.fetchval(WAITING))
    finally:
        await connection.close()


async def is_cut_off(sidecar: Sidecar, session: ClientSession) -> bool:
    """Whether a sidecar knows that Redis is away."""
    return (await sidecar.parts(session)).get("redis") == "unavailable"
