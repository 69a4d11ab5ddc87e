"""Killed in the middle of a record: what had been written of it is not there, and nothing is passed over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.patience import until_found
from tests.faults.plan import chosen_seed, seeded
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers
from tests.servers.postgres import Postgres

PUSHES = 200
SECONDS = 30.0

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO timeline%'"


async def test_killed_while_it_records_a_sidecar_passes_nothing_over(tmp_path: Path, session: ClientSession) -> None:
    seed = chosen_seed()
    valkey, postgres = Valkey(tmp_path / "valkey"), Postgres()
    try:
        valkey.start()
        postgres.start()
        await valkey.ready()
        await postgres.ready()
        sidecar = Sidecar(tmp_path / "sidecar", redis_url=valkey.url, database_url=postgres.url())
        ledger = Ledger()
        writers = Writers(ledger, session, [sidecar.url], seeded(seed))
        try:
            sidecar.start()
            await sidecar.whole(session)
            writers.start()
            await writers.until_acknowledged(PUSHES)
            async with held(postgres.url()):
                await until_found(lambda: is_recording(postgres.url()), SECONDS, lambda: "the recorder is held up")
                assert await writers.until_in_flight()
                sidecar.kill()
            sidecar.start()
            await sidecar.whole(session)
            await writers.until_acknowledged(PUSHES)
            await writers.pause()
            await until_found(lambda: is_drained(sidecar, session), SECONDS, lambda: "everything is recorded")
            wrong = await Auditor(ledger, session, [sidecar.url]).audit(ledger.job_ids)
            assert not wrong, f"FAULTS_SEED={seed}\n" + "\n".join(wrong)
        finally:
            await writers.stop()
            sidecar.kill()
    finally:
        postgres.remove()
        valkey.kill()


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


async def is_drained(sidecar: Sidecar, session: ClientSession) -> bool:
    """Whether nothing waits to be recorded any more."""
    return await sidecar.metric(session, "progress_outbox_length") == 0


async def is_recording(url: str) -> bool:
    """Whether somebody waits to write a timeline."""
    connection = await asyncpg.connect(url)  # a new one for each look: within a transaction the view stands still
    try:
        return bool(await connection.fetchval(WAITING))
    finally:
        await connection.close()
