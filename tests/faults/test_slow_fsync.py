"""What a slow disk costs when everything but Valkey's own file is lost at once: nothing, with `always`."""

import time
from pathlib import Path

from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.plan import chosen_seed, seeded
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers

ROUNDS = 3
PUSHES = 150
DELAY_MS = 40
STUCK_MS = 3000
"""So long that with `everysec` there is an fsync under way nearly always, for which writes are held back."""


async def lost(  # noqa: PLR0913 - what differs from one case to the other
    home: Path, library: Path, session: ClientSession, *, appendfsync: str, delay_ms: int, rounds: int
) -> list[str]:
    """Kill the sidecar and Valkey together, throw the history away, and return what is not there any more."""
    seed = chosen_seed()
    slow = {"LD_PRELOAD": str(library), "FSYNC_DELAY_MS": str(delay_ms)}
    valkey = Valkey(home / "valkey", appendfsync, slow)
    sidecar = Sidecar(home / "sidecar", redis_url=valkey.url, store_timeout_seconds=10)
    ledger = Ledger()
    writers = Writers(ledger, session, [sidecar.url], seeded(seed))
    try:
        for _ in range(rounds):
            valkey.start()
            await valkey.ready()
            sidecar.start()
            await sidecar.whole(session)
            writers.start()
            await writers.until_acknowledged(PUSHES)
            assert await writers.until_in_flight()
            sidecar.kill()
            valkey.kill()
            sidecar.empty()
            ledger.lines_lost(0.0).end()
        valkey.start()
        await valkey.ready()
        sidecar.start()
        await sidecar.whole(session)
        await writers.stop()
        found = [*writers.violations, *await Auditor(ledger, session, [sidecar.url]).audit(ledger.job_ids)]
        return [f"FAULTS_SEED={seed}: {line}" for line in found]
    finally:
        await writers.stop()
        sidecar.kill()
        valkey.kill()


async def test_killed_while_an_fsync_is_slow_valkey_has_all_that_was_acknowledged(
    tmp_path: Path, slow_fsync: Path, session: ClientSession
) -> None:
    assert not await lost(tmp_path, slow_fsync, session, appendfsync="always", delay_ms=DELAY_MS, rounds=ROUNDS)


async def test_with_everysec_the_same_is_found_to_lose_acknowledged_pushes(
    tmp_path: Path, slow_fsync: Path, session: ClientSession
) -> None:
    assert await lost(tmp_path, slow_fsync, session, appendfsync="everysec", delay_ms=STUCK_MS, rounds=1)


async def test_each_push_waits_for_its_fsync(tmp_path: Path, slow_fsync: Path, session: ClientSession) -> None:
    delay = {"LD_PRELOAD": str(slow_fsync), "FSYNC_DELAY_MS": str(DELAY_MS)}
    valkey = Valkey(tmp_path / "valkey", environment=delay)
    sidecar = Sidecar(tmp_path / "sidecar", redis_url=valkey.url)
    try:
        valkey.start()
        await valkey.ready()
        sidecar.start()
        await sidecar.ready()
        began = time.monotonic()
        async with session.post(f"{sidecar.url}/v1/jobs/job-1", json={"current": 1}) as response:
            assert response.status == 200
        assert time.monotonic() - began >= DELAY_MS / 1000
    finally:
        sidecar.kill()
        valkey.kill()
