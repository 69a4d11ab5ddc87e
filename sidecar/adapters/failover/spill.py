"""What Redis has acknowledged to this process and nobody has recorded goes to SQL before SQL serves."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sidecar.adapters.redis.documents import Held
from sidecar.adapters.redis.memory import Memory
from sidecar.adapters.sql.live import SqlLive
from sidecar.background.ahead import joining
from sidecar.core.errors import StoreUnavailable, Unavailable
from sidecar.history import Archive
from sidecar.ports import Cursor, Written

logger = logging.getLogger(__name__)

JOBS_A_TURN = 100


class Spill:
    """Makes SQL as new as what this process remembers."""

    def __init__(self, memory: Memory, sql: SqlLive, archive: Archive, clock: Callable[[], float]) -> None:
        """Keep the parts; `clock` gives Unix seconds."""
        self._memory = memory
        self._sql = sql
        self._archive = archive
        self._clock = clock
        self._lock = asyncio.Lock()
        self._given: dict[str, Cursor] = {}
        self._mark = -1

    async def pour(self) -> int:
        """Return, once SQL has all of it, how many jobs it was given. Raises `StoreUnavailable` if it has not.

        Whoever asks meanwhile waits for the same.
        """
        async with self._lock:
            mark = self._memory.mark
            if mark == self._mark:
                return 0
            unrecorded = await self.unrecorded()
            wanted = [held for held in unrecorded if self._given.get(held.job.job_id) != held.cursor]
            for start in range(0, len(wanted), JOBS_A_TURN):
                some = wanted[start : start + JOBS_A_TURN]
                changes = [(held.job.job_id, joining(held.job, self._clock)) for held in some]
                _check(some, await self._sql.update_many(changes))
                self._given.update((held.job.job_id, held.cursor) for held in some)
            self._given = {held.job.job_id: held.cursor for held in unrecorded}
            self._mark = mark
            return len(wanted)

    async def unrecorded(self) -> list[Held]:
        """Return what is remembered and not recorded; what was deleted in SQL, by whatever sidecar, is forgotten."""
        places: dict[str, Cursor] = {}
        found: list[Held] = []
        for held in self._memory.remembered():
            project = held.job.project
            if project not in places:
                places[project] = (await self._archive.recorded(project)).cursor
            if places[project].epoch != held.cursor.epoch or held.cursor.rev > places[project].rev:
                found.append(held)
        buried = await self._sql.buried([held.job for held in found])
        self._memory.forget(buried)
        return [held for held in found if held.job.job_id not in buried]


def _check(given: Sequence[Held], answers: Sequence[Written | Exception]) -> None:
    """Raise `StoreUnavailable` if a store has yet to take some of the jobs; tell of those that it will never take."""
    for held, answer in zip(given, answers, strict=True):
        if isinstance(answer, Unavailable):
            raise StoreUnavailable(f"SQL did not take what Redis had acknowledged: {answer}") from answer
        if isinstance(answer, Exception):
            told = {"job_id": held.job.job_id, "error": str(answer)}
            logger.error("a job that Redis had acknowledged cannot be given to SQL", extra={"fields": told})
