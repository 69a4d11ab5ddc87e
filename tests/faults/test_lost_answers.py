"""A store does what it was told and its answer is lost: nobody knows, and nothing is lost or counted twice."""

from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.plan import Target, chosen_seed, seeded
from tests.faults.world import world
from tests.faults.writers import Writers

TIMES = {Target.POSTGRES: 10, Target.REDIS: 3}
PUSHES = 40
LATER_SECONDS = (0.0, 0.0, 0.003, 0.01)


@pytest.mark.parametrize(
    ("target", "words"), [(Target.POSTGRES, (b"INTO recorded", b"COMMIT")), (Target.REDIS, (b"EVALSHA",))]
)
async def test_what_a_store_did_without_answering_is_done_once(
    tmp_path: Path, session: ClientSession, target: Target, words: tuple[bytes, ...]
) -> None:
    seed, ledger = chosen_seed(), Ledger()
    source = seeded(seed)
    async with world(tmp_path) as place:
        writers = Writers(ledger, session, place.urls, source)
        disagreement = ledger.disagreement()
        writers.start()
        try:
            for _ in range(TIMES[target]):
                await place.lines[target].trip(words, source.choice(LATER_SECONDS))
                await writers.until_acknowledged(PUSHES)
        finally:
            await writers.stop()
        sidecar = place.sidecars[0]
        await sidecar.whole(session)
        disagreement.end()
        await sidecar.recorded(session)
        wrong = [*writers.violations, *await Auditor(ledger, session, [sidecar.url]).audit(ledger.job_ids)]
        assert not wrong, f"FAULTS_SEED={seed}\n" + "\n".join([*wrong, sidecar.complaints()])
