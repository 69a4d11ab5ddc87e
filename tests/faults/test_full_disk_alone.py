"""SQL serves alone, as Redis is away, and its disk is full: nothing is acknowledged that it cannot keep."""

import resource
from pathlib import Path

from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.patience import until, until_found
from tests.faults.plan import chosen_seed, seeded
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers

ROOM_BYTES = 256 * 1024
REFUSALS = 30
PUSHES = 100
SECONDS = 60.0


def largest(folder: Path) -> int:
    """Return the size of the largest file of the database."""
    return max(path.stat().st_size for path in folder.glob("history.db*"))


async def test_sql_that_is_alone_and_full_acknowledges_nothing_and_goes_on_when_there_is_room(
    tmp_path: Path, session: ClientSession
) -> None:
    seed, history = chosen_seed(), tmp_path / "history.db"
    valkey = Valkey(tmp_path / "valkey")
    sidecar = Sidecar(
        tmp_path / "sidecar", redis_url=valkey.url, database_url=f"sqlite:///{history}", log_level="warning"
    )
    ledger = Ledger()
    writers = Writers(ledger, session, [sidecar.url], seeded(seed))
    auditor = Auditor(ledger, session, [sidecar.url])

    async def is_alone() -> bool:
        return (await sidecar.parts(session)).get("redis") not in {None, "ok"}

    try:
        valkey.start()
        await valkey.ready()
        sidecar.start()
        await sidecar.ready()
        writers.start()
        await writers.until_acknowledged(PUSHES)
        await writers.pause()
        await sidecar.recorded(session)
        valkey.kill()
        await until_found(is_alone, SECONDS, lambda: f"SQL serves alone\n{sidecar.complaints()}")
        most = largest(tmp_path) + ROOM_BYTES
        resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        writers.answers.clear()
        writers.start()
        await until(lambda: writers.answers["503"] >= REFUSALS, SECONDS, f"the disk is full, FAULTS_SEED={seed}")
        resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await writers.until_acknowledged(PUSHES, SECONDS)
        await writers.pause()
        assert writers.violations == [], f"FAULTS_SEED={seed}\n{sidecar.complaints()}"
        sidecar.check()
        valkey.start()
        await sidecar.whole(session)
        await sidecar.recorded(session)
        wrong = await auditor.audit(ledger.job_ids)
        assert not wrong, f"FAULTS_SEED={seed}\n" + "\n".join(wrong)
    finally:
        await writers.stop()
        sidecar.kill()
        valkey.kill()
