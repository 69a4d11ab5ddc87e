"""Redis while it is there, SQL while it is away: one live store to everybody else.

A call that Redis does not answer goes to SQL at once. What SQL takes is marked there as ahead of Redis, and joined in
when Redis is back. What this process was acknowledged by Redis and may not be recorded yet goes along.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from math import inf
from typing import TypeVar

from sidecar.adapters.breaker import SILENT_SECONDS, Breaker
from sidecar.adapters.crossing import Crossing
from sidecar.adapters.lineage import fresh_lineage
from sidecar.adapters.matching import is_of_unfinished
from sidecar.adapters.paging import merged
from sidecar.adapters.redis.live import Elsewhere, RedisLive
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.turns import Turns
from sidecar.core.errors import (
    HistoryBusy,
    HistoryUnavailable,
    Overloaded,
    StoreRefused,
    StoreUnavailable,
    Unavailable,
)
from sidecar.core.job import Event, Job
from sidecar.core.merge import Outcome, fork, united
from sidecar.core.view import View
from sidecar.ports import ChangeJob, Counts, Metrics, Missed, Page, Query, Stored, Written

T = TypeVar("T")

INGEST = "ingest"
WRITES = ("update", "delete")
"""Counted under the surface of those who push, whoever reads from the same store."""

LONG_READS = 4
"""At a time: a hundred documents are milliseconds of this process, in which nobody else is served."""

AWAY = StoreUnavailable("Redis is away")

WAITED_AT: ContextVar[float] = ContextVar("redis_waited_at", default=-inf)
"""When whoever asks has last waited in vain for Redis (of the event loop's clock)."""


class Stores:
    """The two stores, and which of them serves."""

    def __init__(
        self, live: RedisLive, sql: SqlLive, breaker: Breaker, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        """Keep the parts; `clock` gives Unix seconds."""
        self.live = live
        self.sql = sql
        self.breaker = breaker
        self.metrics = metrics
        self.clock = clock
        self.crossing = Crossing(live.timeout_seconds)

    def with_memory(self, job_id: str, change: ChangeJob) -> ChangeJob:
        """Return the change on what SQL has and on what this process was last acknowledged by Redis.

        SQL counts on in its own lineage: Redis may be counting in its own meanwhile.
        """
        remembered = self.live.last_written(job_id)
        if remembered is None:
            return change

        def on_memory(before: View | None) -> Outcome:
            shown = united(before, remembered.job, self.clock()).view
            owner = fresh_lineage() if before is None else before.job.lineage
            return change(shown._replace(job=fork(shown.job, owner)))

        return on_memory

    def remembering(self, stored: Stored | None, job_id: str) -> Stored | None:
        """Return a job as SQL has it, and at least as new as this process was last acknowledged."""
        remembered = self.live.last_written(job_id)
        if remembered is None:
            return stored
        if stored is None:
            return Stored(remembered.view, remembered.cursor)
        return Stored(united(stored.view, remembered.job, self.clock()).view, stored.cursor)


def finding(sql: SqlLive) -> Elsewhere:
    """Return what finds jobs in SQL; none while it is away: what is created is then joined in later."""

    async def find(job_ids: Sequence[str]) -> Mapping[str, Job]:
        try:
            return await sql.find(job_ids)
        except HistoryUnavailable:
            return {}

    return find


class FallbackStore:
    """`LiveStore`, `Feed` and `Census` over both, for one surface that reads (rest, stream or metrics)."""

    def __init__(self, stores: Stores, surface: str) -> None:
        """Keep the stores; what SQL has to serve is counted under the surface."""
        self._stores = stores
        self._live = stores.live
        self._sql = stores.sql
        self._surface = surface
        self._lists = Turns(LONG_READS, stores.live.timeout_seconds)
        self._catching_up = Turns(LONG_READS, stores.live.timeout_seconds)

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply a change; see `LiveStore`."""
        was_away, error = self._is_away, AWAY
        if not was_away:
            try:
                return await self._timed("redis", "update", self._live.update(job_id, change))
            except HistoryUnavailable:
                raise
            except StoreUnavailable as unavailable:
                error = unavailable
        async with self._taken(was_away=was_away) as is_for_sql:
            if is_for_sql:
                remembering = self._stores.with_memory(job_id, change)
                written = await _or_both_away(
                    lambda: self._timed("sql", "update", self._sql.update(job_id, remembering)), error
                )
                self._took(job_id)
                return written
        return await self._live.update(job_id, change)

    async def update_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Apply changes of many jobs; those that Redis does not answer in SQL."""
        was_away = self._is_away
        answers: list[Written | Exception] = [AWAY] * len(changes)
        if not was_away:
            answers = await self._timed_many("redis", self._live.update_many(changes))
        missed = [index for index, answer in enumerate(answers) if _is_of_redis(answer)]
        if not missed:
            return answers
        async with self._taken(was_away=was_away) as is_for_sql:
            if is_for_sql:
                remembering = [(changes[i][0], self._stores.with_memory(*changes[i])) for i in missed]
                kept = await self._timed_many("sql", self._sql.update_many(remembering))
                for index, answer in zip(missed, kept, strict=True):
                    answers[index] = answer
                    if isinstance(answer, Written):
                        self._took(changes[index][0])
                return answers
        return await self._live.update_many(changes)

    async def get(self, job_id: str) -> Stored | None:
        """Return the job, from the history if it has left Redis."""

        async def in_sql() -> Stored | None:
            return self._stores.remembering(await self._sql.get(job_id), job_id)

        return await self._served("get", lambda: self._get(job_id), in_sql)

    async def page(self, query: Query) -> Page:
        """Return a page of jobs, those that are live and those of the past in one order."""
        return await self._served("page", lambda: self._page(query), lambda: self._sql.page(query))

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget a job everywhere."""
        was_away = self._is_away

        async def in_both() -> bool:
            deleted: list[Job] = []

            def checked(job: Job) -> None:
                check(job)
                deleted.append(job)

            if not await self._live.delete(job_id, checked):
                return await self._sql.delete(job_id, check)
            with suppress(HistoryUnavailable):  # the recorder will do it
                await self._sql.remove(deleted[-1])
            return True

        async def in_sql() -> bool:
            async with self._taken(was_away=was_away) as is_for_sql:
                if not is_for_sql:
                    return await in_both()
                is_deleted = await self._sql.delete(job_id, check)
            self._live.forget([job_id])
            return is_deleted

        return await self._served("delete", in_both, in_sql)

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Return what changed; see `Feed`."""

        async def in_redis() -> Missed:
            async with self._catching_up.taken():
                return await self._live.since(project, rev, limit)

        return await self._served("since", in_redis, lambda: self._sql.since(project, rev, limit))

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return timeline lines that may not be recorded yet; see `Feed`.

        While Redis gives no answer they are SQL's, unless the last ones are in Redis alone: raises `StoreUnavailable`.
        """

        async def in_redis() -> list[Event]:
            async with self._lists.taken():
                return await self._live.timeline(job_id, after, limit)

        async def in_sql() -> list[Event]:
            events = await self._sql.timeline(job_id, after, limit)
            stored = self._stores.remembering(await self._sql.get(job_id), job_id)
            if stored is not None and len(events) < limit and _lacks_lines(stored.view.job, after, events):
                raise StoreUnavailable("the last lines of the timeline are in Redis, which gives no answer")
            return events

        return await self._served("timeline", in_redis, in_sql)

    async def projects(self) -> list[str]:
        """Return every project; see `Feed`."""
        return await self._served("projects", self._live.projects, self._sql.projects)

    async def counts(self) -> Counts:
        """Return how many jobs there are; see `Census`."""
        return await self._served("counts", self._live.counts, self._sql.counts)

    async def outstanding(self, limit: int) -> list[View]:
        """Return unfinished jobs, the most pressing first; see `Census`."""
        return await self._served(
            "outstanding", lambda: self._live.outstanding(limit), lambda: self._sql.outstanding(limit)
        )

    @property
    def _is_away(self) -> bool:
        return self._stores.breaker.is_away

    @asynccontextmanager
    async def _taken(self, *, was_away: bool) -> AsyncIterator[bool]:
        """Let SQL take changes inside; false if Redis, which was away, has come back in the last moment."""
        async with self._stores.crossing.taken():
            yield self._is_away or not was_away

    def _took(self, job_id: str) -> None:
        """Note that SQL has a job as it is now: what is remembered of it is no longer needed."""
        self._live.forget([job_id])
        self._stores.metrics.fell_back("update", INGEST, "unavailable")

    async def _served(self, operation: str, live: Callable[[], Awaitable[T]], sql: Callable[[], Awaitable[T]]) -> T:
        """Return Redis' answer, SQL's if Redis is away or gives none.

        Who reads several things waits in vain for Redis once: the other answers are SQL's, for as long as a single
        failure may not yet mean that Redis is away.
        """
        now = asyncio.get_running_loop().time
        if not self._is_away and (operation in WRITES or now() - WAITED_AT.get() > SILENT_SECONDS):
            try:
                return await self._timed("redis", operation, live())
            except HistoryUnavailable:
                raise
            except StoreUnavailable as error:
                WAITED_AT.set(now())
                away = error
        else:
            away = AWAY
        answer = await _or_both_away(lambda: self._timed("sql", operation, sql()), away)
        surface = INGEST if operation in WRITES else self._surface
        self._stores.metrics.fell_back(operation, surface, "unavailable")
        return answer

    async def _timed(self, store: str, operation: str, work: Awaitable[T]) -> T:
        """Do some work of a store, and record how long it took or that it failed."""
        began = time.perf_counter()
        try:
            answer = await work
        except Unavailable as error:
            self._stores.metrics.store_failed(store, operation, _kind(error))
            raise
        self._stores.metrics.store_answered(store, operation, time.perf_counter() - began)
        return answer

    async def _timed_many(self, store: str, work: Awaitable[list[Written | Exception]]) -> list[Written | Exception]:
        """Do the same for many changes: they were not answered if any of them was not; each kind of failure once."""
        began = time.perf_counter()
        answers = await work
        failures = sorted({_kind(answer) for answer in answers if isinstance(answer, Unavailable)})
        for kind in failures:
            self._stores.metrics.store_failed(store, "update_many", kind)
        if not failures:
            self._stores.metrics.store_answered(store, "update_many", time.perf_counter() - began)
        return answers

    async def _get(self, job_id: str) -> Stored | None:
        stored = await self._live.get(job_id)
        if stored is not None:
            return stored
        if self._surface == "stream":
            self._stores.metrics.stream_missed()
        kept = await self._sql.recall(job_id)
        job = self._live.with_memory(job_id, None if kept is None else kept.view.job)
        if job is None or await self._live.is_buried(job):
            return None
        if kept is None:  # it is remembered only: lost before it was recorded, or deleted where it was
            return None if await self._sql.is_buried(job) else await self._put_back(job)
        return kept if kept.view.is_finished else await self._put_back(job)

    async def _put_back(self, job: Job) -> Stored:
        """Give Redis back a job that it has lost while it still runs."""
        written = await self._live.put_back(job)
        self._stores.metrics.fell_back("get", self._surface, "miss")
        return Stored(written.outcome.view, written.cursor)

    async def _page(self, query: Query) -> Page:
        if is_of_unfinished(query):
            return await self._live_page(query)
        kept, live = await self._sql.page(query), await self._live_page(query)
        known = await self._live.knows([each.view.job for each in kept.jobs])
        past = [each for each in kept.jobs if each.view.job.job_id not in known]
        return merged(query, live, Page(tuple(past), kept.next, kept.cursor))

    async def _live_page(self, query: Query) -> Page:
        async with self._lists.taken():
            return await self._live.page(query)


def _lacks_lines(job: Job, after: int, events: Sequence[Event]) -> bool:
    """Whether a job has written more lines than those that are numbered above `after`, and those up to it."""
    mine = sum(event.at >= job.created_at for event in events)  # an earlier job may have had the id
    return mine < job.event_count - after


def _is_of_redis(answer: Written | Exception) -> bool:
    return isinstance(answer, StoreUnavailable) and not isinstance(answer, HistoryUnavailable)


def _kind(error: Unavailable) -> str:
    """Return what a failure is counted as."""
    if isinstance(error, StoreRefused):
        return "refused"
    return "busy" if isinstance(error, Overloaded | HistoryBusy) else "unavailable"


async def _or_both_away(sql: Callable[[], Awaitable[T]], error: StoreUnavailable) -> T:
    try:
        return await sql()
    except HistoryUnavailable as other:
        raise StoreUnavailable(f"{error}; {other}") from other
