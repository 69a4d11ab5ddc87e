"""What a read replica of SQL is asked for, and the primary where it does not answer.

A replica is behind. So it is asked only for what is shown and then forgotten: pages of finished jobs, statistics, and
the bulk of a timeline. Whatever a decision rests on, and whatever Redis or SQL is told of, is the primary's.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from typing_extensions import override

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.listing import read_page
from sidecar.adapters.sql.live import SqlLive
from sidecar.core.errors import HistoryBusy, HistoryUnavailable
from sidecar.core.job import Event, Json
from sidecar.history import StatsQuery, TypeStats
from sidecar.ports import Page, Query

T = TypeVar("T")


class ReplicaHistory:
    """`History` over a primary and its replica."""

    def __init__(self, primary: SqlHistory, replica: Database) -> None:
        """Keep both."""
        self._primary = primary
        self._replica = SqlHistory(replica)

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's recorded events numbered above `after`, oldest first.

        The primary says whether the replica's last one is its own, and what followed: else a line that the replica does
        not have yet would be missed for good by whoever goes on after a later one.
        """
        events = await _either(lambda: self._replica.timeline(job_id, after, limit), _nothing)
        if not events:
            return await self._primary.timeline(job_id, after, limit)
        last = events[-1]
        following = await self._primary.timeline(job_id, last.number - 1, limit - len(events) + 1)
        if not following or following[0] != last:  # an earlier job had the id
            return await self._primary.timeline(job_id, after, limit)
        return [*events, *following[1:]]

    async def recorded(self, job_id: str, event_ids: Sequence[str]) -> tuple[int, set[str]]:
        """Return what the primary has: what is not recorded yet is told from Redis."""
        return await self._primary.recorded(job_id, event_ids)

    async def attempts(self, job_id: str) -> list[Mapping[str, Json]]:
        """Return what the primary has: an attempt that has just begun tells what the one before had reached."""
        return await self._primary.attempts(job_id)

    async def stats(self, may_see: Callable[[str], bool], asked: StatsQuery) -> list[TypeStats]:
        """Return statistics of the finished jobs of every type, by name."""
        return await _either(lambda: self._replica.stats(may_see, asked), lambda: self._primary.stats(may_see, asked))


class ReplicaPages(SqlLive):
    """`SqlLive` that lists what has finished from a replica, unless SQL serves in the place of Redis."""

    def __init__(
        self,
        primary: Database,
        clock: Callable[[], float],
        finished_seconds: float,
        replica: Database,
        is_serving: Callable[[], bool],
    ) -> None:
        """Keep both; `is_serving` tells that SQL is all there is."""
        super().__init__(primary, clock, finished_seconds)
        self._replica = replica
        self._is_serving = is_serving

    @override
    async def page(self, query: Query) -> Page:
        """Return a page of jobs; see `LiveStore`."""
        if self._is_serving():
            return await super().page(query)
        return await _either(lambda: self._page_of_replica(query), lambda: SqlLive.page(self, query))

    async def _page_of_replica(self, query: Query) -> Page:
        async with self._replica.reading() as connection:
            return await read_page(connection, query)


async def _either(replica: Callable[[], Awaitable[T]], primary: Callable[[], Awaitable[T]]) -> T:
    try:
        return await replica()
    except HistoryBusy:  # a crowd is not passed on to the primary
        raise
    except HistoryUnavailable:
        return await primary()


async def _nothing() -> list[Event]:
    return []
