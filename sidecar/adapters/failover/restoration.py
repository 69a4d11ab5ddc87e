"""What is done before Redis serves again: it is told all that SQL took, and all that it may have lost.

It works on connections of its own, as nobody else talks to a server that is away or was started anew.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from sidecar.adapters.failover.breaker import Breaker
from sidecar.adapters.failover.stores import Stores
from sidecar.adapters.failover.telling import JOBS_A_TURN, tell_jobs, tell_remembered
from sidecar.adapters.redis.epochs import Place, RedisEpochs
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.ahead import tell_ahead, tell_some_ahead
from sidecar.core.errors import HistoryUnavailable, StoreUnavailable
from sidecar.core.job import Job
from sidecar.history import Archive
from sidecar.ports import Stored

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two looks at whether Redis still knows of every project."""

ROUNDS = 1_000
"""How often, at most, Redis is told a hundred jobs that SQL took, before it takes no more while the last are told."""


class Restoration:
    """Brings Redis up to date. Any number of sidecars may do so at once: joining the same twice changes nothing."""

    def __init__(self, stores: Stores, link: RedisLink, own: RedisLink, archive: Archive, sql_breaker: Breaker) -> None:
        """Keep the parts: `link` is what the sidecar works with, `own` what only this works with."""
        self._stores = stores
        self._link = link
        self._own = own
        self._rescue = RedisLive(own, stores.clock, due_at=stores.live.due_at)
        self._epochs = RedisEpochs(own)
        self._archive = archive
        self._sql_breaker = sql_breaker
        self._is_due = asyncio.Event()

    async def probe(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers."""
        await self._own.ping()

    async def prepare(self) -> None:
        """Bring Redis up to date and let it serve; raises `StoreUnavailable`.

        While SQL is away nobody knows all that it took, but each sidecar what it took from it: Redis is told of that.
        If it is more than this one remembers, Redis stays away. What others gave SQL is made good later, by `run`.
        """
        self._rescue.memory.forget_all()
        await self._own.ping()
        with suppress(HistoryUnavailable):
            await self._forget_deleted()
        if self._own.run_id != self._link.run_id:
            await self._join([held.job for held in self._stores.live.memory.remembered()])
        tell_the_rest = self._tell_the_last
        try:
            await self._restore()
        except HistoryUnavailable as error:
            self._is_due.set()
            await self._check_memory(error)
            await self._tell_remembered()
            tell_the_rest = self._tell_remembered
        async with self._stores.crossing.closed():
            await tell_the_rest()
            if self._own.run_id != self._link.run_id:
                self._stores.live.memory.forget_all()
            await self._link.trust(self._own.run_id)
            self._stores.breaker.close()

    def want(self) -> None:
        """Let `run` bring Redis up to date: it was seen not to be."""
        self._is_due.set()

    async def run(self) -> None:
        """Make good what could not be done while SQL was away, for ever; raises `StoreUnavailable`.

        A running server that was emptied (`FLUSHALL`) is filled as soon as it is seen to be, now and then; and so often
        Redis is told what SQL took in a stutter, if nobody has asked for it.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._is_due.wait()
            await self._sql_breaker.until_back()
            await self._stores.telling.tell_all()
            if self._is_due.is_set() or await self._lacks_a_project():
                await self._restore()
                self._is_due.clear()

    async def spill(self) -> None:
        """Whenever Redis goes away, give SQL what this process was acknowledged and has not been recorded; for ever.

        Raises `StoreUnavailable` if SQL does not take all of it: then it is to be done again.
        """
        while True:
            await self._stores.breaker.until_away()
            await self._forget_what_was_told()
            jobs = await self._stores.spill.pour()
            logger.info("SQL serves", extra={"fields": {"jobs_taken_along": jobs}})
            await self._stores.breaker.until_back()

    async def _restore(self) -> None:
        """Tell Redis what SQL took, and what Redis may have lost of what was recorded."""
        places = await self._epochs.places(set(await self._stores.sql.projects()))
        for project, place in places.items():
            if place.restored != self._own.run_id and await self._has_lost(project, place):
                logger.warning(
                    "Redis has lost data, which is filled in from SQL", extra={"fields": {"project": project}}
                )
                unrecorded = [each.job for each in await self._stores.spill.unrecorded() if each.job.project == project]
                await self._fill(project)
                await self._join(unrecorded)
        told: set[str] = set()
        for _ in range(ROUNDS):
            projects, is_more = await tell_some_ahead(self._archive, self._rescue, self._stores.clock)
            told |= projects
            if not is_more:
                break
        for project, place in places.items():
            await self._epochs.renew(project, place.cursor.rev, is_forced=project in told)

    async def _tell_the_last(self) -> None:
        """Tell Redis what SQL took in the last moment, for no longer than a push waits for that.

        Another sidecar that still takes Redis to be away may give SQL ever more; the recorder tells of the rest.
        """
        clock = asyncio.get_running_loop().time
        until, mark = clock() + self._own.timeout_seconds, self._stores.untold.mark
        while await tell_ahead(self._archive, self._rescue, self._stores.clock):
            if clock() > until:
                return
        self._stores.untold.told_all(mark)

    async def _check_memory(self, error: HistoryUnavailable) -> None:
        """Wait for SQL, and raise `StoreUnavailable`, if it alone knows all that it took from this process."""
        if not self._stores.untold.is_whole:
            logger.warning("Redis is there, but SQL took what only SQL can tell it, and is away")
            await self._sql_breaker.until_back()
            raise StoreUnavailable("Redis is to be told what SQL took") from error

    async def _tell_remembered(self) -> None:
        """Tell Redis what SQL, which is away, took from this process, and what watchers here were told of the rest."""
        untold = self._stores.untold
        jobs, deleted = [*untold.jobs, *untold.seen], untold.deleted
        mine = {job.project for job in jobs} | {gone.project for gone in deleted}
        places = await self._epochs.places(mine) if mine else {}
        await tell_remembered(self._rescue, jobs, deleted, self._stores.clock)
        for project in mine:
            await self._epochs.renew(project, places[project].cursor.rev, is_forced=True, is_whole=False)
        untold.told(jobs, deleted)

    async def _forget_what_was_told(self) -> None:
        """Forget what SQL took in an earlier outage, or when Redis stuttered: the recorder has told Redis since."""
        mark = self._stores.untold.mark
        if await self._archive.ahead(1) == ([], []):
            self._stores.untold.told_all(mark)

    async def _lacks_a_project(self) -> bool:
        """Whether Redis knows nothing at all of a project that was recorded from it."""
        places = await self._epochs.places(set(await self._stores.sql.projects()))
        for project, place in places.items():
            is_unknown = not place.cursor.epoch and not place.restored
            if is_unknown and await self._has_lost(project, place):
                return True
        return False

    async def _has_lost(self, project: str, place: Place) -> bool:
        """Whether Redis lacks something that was recorded from it."""
        recorded = (await self._archive.recorded(project)).cursor
        return recorded.epoch not in ("", place.cursor.epoch) or recorded.rev > place.cursor.rev

    async def _fill(self, project: str) -> None:
        """Join all of a project that is unfinished, or finished lately, into Redis."""
        rev, is_more = 0, True
        while is_more:
            missed = await self._stores.sql.since(project, rev, JOBS_A_TURN)
            await self._join([change.view.job for change in missed.changes if isinstance(change, Stored)])
            rev, is_more = missed.changes[-1].cursor.rev if missed.changes else 0, missed.is_more

    async def _join(self, jobs: Sequence[Job]) -> None:
        await tell_jobs(self._rescue, jobs, self._stores.clock)

    async def _forget_deleted(self) -> None:
        await self._stores.forget_deleted([held.job.job_id for held in self._stores.live.memory.remembered()])
