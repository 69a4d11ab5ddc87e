"""A history that cannot grow: pushes go on, and all of it is written once there is room again."""

from pathlib import Path

from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.patience import until_found
from tests.faults.plan import chosen_seed, seeded
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers

ROOM_BYTES = 96 * 1024
STUCK_LINES = 150
"""More than ever waits for a recorder that gets on."""

PUSHES = 300
SECONDS = 60.0


async def test_a_full_disk_of_the_history_costs_no_push_and_no_line(tmp_path: Path, session: ClientSession) -> None:
    seed, history = chosen_seed(), tmp_path / "history.db"
    valkey = Valkey(tmp_path / "valkey")
    sidecar = Sidecar(
        tmp_path / "sidecar", redis_url=valkey.url, database_url=f"sqlite:///{history}", log_level="warning"
    )
    ledger = Ledger()
    writers = Writers(ledger, session, [sidecar.url], seeded(seed))
    auditor = Auditor(ledger, session, [sidecar.url])

    async def is_stuck() -> bool:
        return await sidecar.metric(session, "progress_outbox_length") > STUCK_LINES

    try:
        valkey.start()
        await valkey.ready()
        sidecar.start()
        await sidecar.ready()
        assert sidecar.terminate() == 0
        sidecar.allow_file_bytes(history.stat().st_size + ROOM_BYTES)
        sidecar.start()
        await sidecar.ready()
        writers.start()
        await until_found(is_stuck, SECONDS, lambda: f"the disk is full, FAULTS_SEED={seed}\n{sidecar.complaints()}")
        await writers.until_acknowledged(PUSHES)
        await writers.pause()
        assert (writers.answers["503"], writers.violations) == (0, []), f"FAULTS_SEED={seed}\n{sidecar.complaints()}"
        assert sidecar.terminate() == 0
        sidecar.allow_file_bytes(None)
        sidecar.start()
        await sidecar.whole(session)
        await sidecar.recorded(session)
        wrong = await auditor.audit(ledger.job_ids)
        assert not wrong, f"FAULTS_SEED={seed}\n" + "\n".join(wrong)
    finally:
        await writers.stop()
        sidecar.kill()
        valkey.kill()
