"""A history that cannot grow: what is acknowledged goes on and is kept, and all of it is there once there is room."""

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from tests.faults.auditor import Auditor
from tests.faults.ledger import Ledger
from tests.faults.patience import until, until_found
from tests.faults.plan import chosen_seed, seeded
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.faults.writers import Writers

ROOM_BYTES = 96 * 1024
STUCK_LINES = 150
"""More than ever waits for a recorder that gets on."""

PUSHES = 300
ROOM_ALONE_BYTES = 256 * 1024
REFUSALS = 30
PUSHES_ALONE = 100
SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """A sidecar with its Redis and its history, and writers that note what they were acknowledged."""

    session: ClientSession
    seed: int
    history: Path
    valkey: Valkey
    sidecar: Sidecar
    ledger: Ledger
    writers: Writers

    def told(self, what: str) -> str:
        """Return what went wrong, with how to see it again and what the sidecar said."""
        return f"{what}, FAULTS_SEED={self.seed}\n{self.sidecar.complaints()}"

    async def assert_nothing_is_lost(self) -> None:
        """Wait until all is recorded, and compare it with what was acknowledged."""
        await self.sidecar.whole(self.session)
        await self.sidecar.recorded(self.session)
        wrong = await Auditor(self.ledger, self.session, [self.sidecar.url]).audit(self.ledger.job_ids)
        assert not wrong, f"FAULTS_SEED={self.seed}\n" + "\n".join(wrong)


@asynccontextmanager
async def started(home: Path, session: ClientSession) -> AsyncIterator[Place]:
    """Run the servers while inside; the writers have yet to begin."""
    seed, history, valkey, ledger = chosen_seed(), home / "history.db", Valkey(home / "valkey"), Ledger()
    sidecar = Sidecar(home / "sidecar", redis_url=valkey.url, database_url=f"sqlite:///{history}", log_level="warning")
    writers = Writers(ledger, session, [sidecar.url], seeded(seed))
    try:
        valkey.start()
        await valkey.ready()
        sidecar.start()
        await sidecar.ready()
        yield Place(session, seed, history, valkey, sidecar, ledger, writers)
    finally:
        await writers.stop()
        sidecar.kill()
        valkey.kill()


async def test_a_full_disk_of_the_history_costs_no_push_and_no_line(tmp_path: Path, session: ClientSession) -> None:
    async with started(tmp_path, session) as place:
        sidecar, writers = place.sidecar, place.writers

        async def is_stuck() -> bool:
            return await sidecar.metric(session, "progress_outbox_length") > STUCK_LINES

        assert sidecar.terminate() == 0
        sidecar.allow_file_bytes(place.history.stat().st_size + ROOM_BYTES)
        sidecar.start()
        await sidecar.ready()
        writers.start()
        await until_found(is_stuck, SECONDS, lambda: place.told("the disk is full"))
        await writers.until_acknowledged(PUSHES)
        await writers.pause()
        assert (writers.answers["503"], writers.violations) == (0, []), place.told("refused, or contradicted")
        assert sidecar.terminate() == 0
        sidecar.allow_file_bytes(None)
        sidecar.start()
        await place.assert_nothing_is_lost()


async def test_sql_that_is_alone_and_full_acknowledges_nothing_and_goes_on_when_there_is_room(
    tmp_path: Path, session: ClientSession
) -> None:
    async with started(tmp_path, session) as place:
        sidecar, writers = place.sidecar, place.writers

        async def is_alone() -> bool:
            return (await sidecar.parts(session)).get("redis") not in {None, "ok"}

        writers.start()
        await writers.until_acknowledged(PUSHES_ALONE)
        await writers.pause()
        await sidecar.recorded(session)
        place.valkey.kill()
        await until_found(is_alone, SECONDS, lambda: place.told("SQL serves alone"))
        limit_files(sidecar, largest(tmp_path) + ROOM_ALONE_BYTES)
        writers.answers.clear()
        writers.start()
        await until(lambda: writers.answers["503"] >= REFUSALS, SECONDS, f"the disk is full, FAULTS_SEED={place.seed}")
        limit_files(sidecar, resource.RLIM_INFINITY)
        await writers.until_acknowledged(PUSHES_ALONE, SECONDS)
        await writers.pause()
        assert writers.violations == [], place.told("contradicted")
        sidecar.check()
        place.valkey.start()
        await place.assert_nothing_is_lost()


def largest(folder: Path) -> int:
    """Return the size of the largest file of the database."""
    return max(path.stat().st_size for path in folder.glob("history.db*"))


def limit_files(sidecar: Sidecar, most_bytes: int) -> None:
    """Bound the files that a sidecar writes, while it runs."""
    resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
