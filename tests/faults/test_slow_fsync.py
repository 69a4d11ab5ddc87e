"""What a slow disk costs when everything but Valkey's own file is lost at once: nothing, with `always`."""

import asyncio
import time
from pathlib import Path

from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.patience import until
from tests.faults.plan import chosen_seed, seeded
from tests.faults.program import Sidecar
from tests.faults.telling import Account
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers

ROUNDS = 2
PUSHES = 50
DELAY_MS = 1000
"""Of an fsync: far below the 3 s of silence after which SQL would take the pushes."""

SHORT_DELAY_MS = 40

INTO_IT = 0.7
"""Which part of the delay is over when Valkey is killed: it is held up in an fsync, whatever the policy."""

MARK_SECONDS = 10.0
TAKEN_BY_SQL = r'progress_fallbacks_total\{operation="update",reason="unavailable",surface="ingest"\}'


class Disk:
    """What Valkey writes to: quick, until an fsync is to be held up."""

    def __init__(self, home: Path) -> None:
        self._slow = home / "be slow"
        self._mark = home / "an fsync is held up"

    def environment(self, library: Path) -> dict[str, str]:
        """Return what a server needs whose disk this is."""
        marks = {"FSYNC_SLOW": str(self._slow), "FSYNC_MARK": str(self._mark)}
        return {"LD_PRELOAD": str(library), "FSYNC_DELAY_MS": str(DELAY_MS), **marks}

    @property
    def holds_up(self) -> bool:
        """Whether an fsync is under way."""
        return self._mark.exists()

    async def hold_up_an_fsync(self) -> None:
        """Be slow from now on, and return when an fsync has been held up for a while."""
        self._slow.touch()
        await until(lambda: self.holds_up, MARK_SECONDS, "an fsync is under way")
        await asyncio.sleep(INTO_IT * DELAY_MS / 1000)

    def be_quick(self) -> None:
        """Be quick again, after Valkey was killed."""
        for each in (self._slow, self._mark):
            each.unlink()


async def lost(home: Path, library: Path, session: ClientSession, account: Account, *, appendfsync: str) -> list[str]:
    """Kill the sidecar and, in an fsync, Valkey, throw the history away, and return what is not there any more.

    No memory and no SQL is left then: only Valkey's file has what was acknowledged. SQL has taken none of it before.
    """
    seed, disk = chosen_seed(), Disk(home)
    valkey = Valkey(home / "valkey", appendfsync, disk.environment(library))
    sidecar = Sidecar(home / "sidecar", redis_url=valkey.url, store_timeout_seconds=10)
    ledger = Ledger()
    writers = Writers(ledger, session, [sidecar.url], seeded(seed))
    try:
        for _ in range(ROUNDS):
            await _start(valkey, sidecar, session)
            before = await sidecar.metric(session, TAKEN_BY_SQL)
            writers.start()
            await writers.until_acknowledged(PUSHES)
            assert await sidecar.metric(session, TAKEN_BY_SQL) == before, "SQL has taken some of it"
            await disk.hold_up_an_fsync()
            in_flight = await writers.until_in_flight()
            sidecar.kill()  # first: let it give SQL nothing of what Valkey no longer answers
            assert disk.holds_up
            valkey.kill()
            disk.be_quick()
            account.parts.append(f"empty sidecar, and kill redis in an fsync: {in_flight} requests in flight")
            sidecar.empty()
            ledger.lines_lost(0.0).end()
        await _start(valkey, sidecar, session)
        await writers.stop()
        found = [*writers.violations, *await Auditor(ledger, session, [sidecar.url], 0).audit(ledger.job_ids)]
        return [f"FAULTS_SEED={seed}: {line}" for line in found]
    finally:
        await writers.stop()
        sidecar.kill()
        valkey.kill()


async def _start(valkey: Valkey, sidecar: Sidecar, session: ClientSession) -> None:
    valkey.start()
    await valkey.ready()
    sidecar.start()
    await sidecar.whole(session)


async def test_killed_while_an_fsync_is_slow_valkey_has_all_that_was_acknowledged(
    tmp_path: Path, slow_fsync: Path, session: ClientSession, account: Account
) -> None:
    assert not await lost(tmp_path, slow_fsync, session, account, appendfsync="always")


async def test_with_everysec_the_same_is_found_to_lose_acknowledged_pushes(
    tmp_path: Path, slow_fsync: Path, session: ClientSession, account: Account
) -> None:
    found = await lost(tmp_path, slow_fsync, session, account, appendfsync="everysec")
    assert any("acknowledged" in line for line in found), found


async def test_each_push_waits_for_its_fsync(tmp_path: Path, slow_fsync: Path, session: ClientSession) -> None:
    delay = {"LD_PRELOAD": str(slow_fsync), "FSYNC_DELAY_MS": str(SHORT_DELAY_MS)}
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
        assert time.monotonic() - began >= SHORT_DELAY_MS / 1000
    finally:
        sidecar.kill()
        valkey.kill()
