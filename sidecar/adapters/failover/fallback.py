"""Redis while it is there, SQL while it is away: one live store to everybody else.

A call that Redis does not answer goes to SQL at once. What SQL takes is marked there as ahead of Redis, and joined in
when Redis is back. What this process was acknowledged by Redis and may not be recorded yet goes along.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from sidecar.adapters.failover.serving import AWAY, INGEST, Serving
from sidecar.adapters.failover.stores import Stores
from sidecar.adapters.matching import is_of_unfinished
from sidecar.adapters.paging import merged
from sidecar.adapters.queues.turns import Turns
from sidecar.core.errors import HistoryUnavailable, StoreUnavailable, Unavailable
from sidecar.core.job import Event, Job
from sidecar.core.view import View
from sidecar.ports import ChangeJob, Counts, Missed, Page, Query, Stored, Written

LONG_READS = 4
"""At a time: a hundred documents are milliseconds of this process, in which nobody else is served."""


class FallbackStore:
    """`LiveStore`, `Feed` and `Census` over both, for one surface that reads (rest, stream or metrics)."""

    def __init__(self, stores: Stores, surface: str) -> None:
        """Keep the stores; what SQL has to serve is counted under the surface."""
        self._stores = stores
        self._live = stores.live
        self._sql = stores.sql
        self._surface = surface
        self._metrics = stores.metrics
        self._serving = Serving(stores.breaker, stores.metrics, surface)
        self._lists = Turns(LONG_READS, stores.live.timeout_seconds)
        self._catching_up = Turns(LONG_READS, stores.live.timeout_seconds)

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply a change; see `LiveStore`."""
        was_away, error = self._is_away, AWAY
        if not was_away:
            try:
                return await self._serving.timed("redis", "update", self._update_in_redis(job_id, change))
            except HistoryUnavailable:
                raise
            except StoreUnavailable as unavailable:
                error = unavailable
        async with self._taken(was_away=was_away) as is_for_sql:
            if is_for_sql:
                written = await self._serving.by_sql("update", self._update_in_sql(job_id, change), error)
                self._took(written)
                return written
        return await self._live.update(job_id, change)

    async def update_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Apply changes of many jobs; those that Redis does not answer in SQL."""
        was_away = self._is_away
        answers: list[Written | Exception] = [AWAY] * len(changes)
        if not was_away:
            answers = await self._serving.timed_many("redis", self._update_many_in_redis(changes))
        missed = [index for index, answer in enumerate(answers) if _is_of_redis(answer)]
        if not missed:
            return answers
        async with self._taken(was_away=was_away) as is_for_sql:
            if is_for_sql:
                kept = await self._serving.timed_many("sql", self._update_many_in_sql([changes[i] for i in missed]))
                for index, answer in zip(missed, kept, strict=True):
                    answers[index] = answer
                    if isinstance(answer, Written):
                        self._took(answer)
                return answers
        return await self._live.update_many(changes)

    async def get(self, job_id: str) -> Stored | None:
        """Return the job, from the history if it has left Redis."""
        return await self._serving.by_either("get", lambda: self._get(job_id), lambda: self._stores.recalled(job_id))

    async def page(self, query: Query) -> Page:
        """Return a page of jobs, those that are live and those of the past in one order."""

        async def in_sql() -> Page:
            await self._catch_up_with_memory()
            return await self._sql.page(query)

        return await self._serving.by_either("page", lambda: self._page(query), in_sql)

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget a job everywhere."""
        was_away = self._is_away
        deleted: list[Job] = []

        def checked(job: Job) -> None:
            check(job)
            deleted.append(job)

        async def in_both() -> bool:
            await self._stores.telling.tell([job_id])
            if not await self._live.delete(job_id, checked):
                return await self._sql.delete(job_id, check)
            with suppress(HistoryUnavailable):  # the recorder will do it
                await self._sql.remove(deleted[-1])
            return True

        async def in_sql() -> bool:
            async with self._taken(was_away=was_away) as is_for_sql:
                if not is_for_sql:
                    return await in_both()
                is_deleted = await self._sql.delete(job_id, checked)
                if is_deleted:
                    self._stores.untold.took_deletion(deleted[-1])
            self._live.memory.forget([job_id])
            return is_deleted

        return await self._serving.by_either("delete", in_both, in_sql)

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Return what changed; see `Feed`."""

        async def in_redis() -> Missed:
            await self._stores.telling.tell_all()
            async with self._catching_up.taken():
                return await self._live.since(project, rev, limit)

        async def in_sql() -> Missed:
            await self._catch_up_with_memory()
            missed = await self._sql.since(project, rev, limit)
            self._stores.untold.saw(missed)
            return missed

        return await self._serving.by_either("since", in_redis, in_sql)

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return timeline lines that may not be recorded yet; see `Feed`.

        While Redis gives no answer they are SQL's, unless the last ones are in Redis alone: raises `StoreUnavailable`.
        """

        async def in_redis() -> list[Event]:
            async with self._lists.taken():
                return await self._live.timeline(job_id, after, limit)

        async def in_sql() -> list[Event]:
            events = await self._sql.timeline(job_id, after, limit)
            stored = await self._stores.recalled(job_id)
            if stored is not None and len(events) < limit and _lacks_lines(stored.view.job, after, events):
                raise StoreUnavailable("the last lines of the timeline are in Redis, which gives no answer")
            return events

        return await self._serving.by_either("timeline", in_redis, in_sql)

    async def projects(self) -> list[str]:
        """Return every project; see `Feed`."""
        return await self._serving.by_either("projects", self._live.projects, self._sql.projects)

    async def counts(self) -> Counts:
        """Return how many jobs there are; see `Census`."""
        return await self._serving.by_either("counts", self._live.counts, self._sql.counts)

    async def outstanding(self, limit: int) -> list[View]:
        """Return unfinished jobs, the most pressing first; see `Census`."""
        return await self._serving.by_either(
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

    async def _update_in_redis(self, job_id: str, change: ChangeJob) -> Written:
        await self._stores.telling.tell([job_id])
        return await self._live.update(job_id, change)

    async def _update_many_in_redis(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        try:
            await self._stores.telling.tell([job_id for job_id, _ in changes])
        except Unavailable as error:
            return [error] * len(changes)
        return await self._live.update_many(changes)

    async def _update_in_sql(self, job_id: str, change: ChangeJob) -> Written:
        await self._stores.forget_deleted([job_id])
        return await self._sql.update(job_id, self._stores.with_memory(job_id, change))

    async def _update_many_in_sql(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        try:
            await self._stores.forget_deleted(job_id for job_id, _ in changes)
        except HistoryUnavailable as error:
            return [error] * len(changes)
        return await self._sql.update_many(
            [(job_id, self._stores.with_memory(job_id, each)) for job_id, each in changes]
        )

    async def _catch_up_with_memory(self) -> None:
        """Give SQL first what Redis acknowledged last; if that takes too long, SQL tells what it has."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(self._live.timeout_seconds):
                await self._stores.spill.pour()

    def _took(self, written: Written) -> None:
        """Note that SQL has a job as it is now: what Redis acknowledged of it is no longer needed."""
        job = written.outcome.job
        self._live.memory.forget([job.job_id])
        self._stores.untold.took(job)
        self._metrics.fell_back("update", INGEST, "unavailable")

    async def _tell_before_reading(self, job_id: str) -> None:
        """Let Redis have what SQL took of a job; raises `StoreUnavailable` if it does not take that: SQL tells then."""
        try:
            await self._stores.telling.tell([job_id])
        except Unavailable as error:
            raise StoreUnavailable(str(error)) from error

    async def _get(self, job_id: str) -> Stored | None:
        await self._tell_before_reading(job_id)
        stored = await self._live.get(job_id)
        if stored is not None:
            return stored
        if self._surface == "stream":
            self._metrics.stream_missed()
        kept = await self._sql.recall(job_id)
        job = self._live.memory.newest(job_id, None if kept is None else kept.view.job)
        if job is None or await self._live.is_buried(job):
            return None
        if kept is None:  # it is remembered only: lost before it was recorded, or deleted where it was
            return None if await self._sql.is_buried(job) else await self._put_back(job)
        return kept if kept.view.is_finished else await self._put_back(job)

    async def _put_back(self, job: Job) -> Stored:
        """Give Redis back a job that it has lost while it still runs."""
        written = await self._live.entrance.put_back(job)
        self._metrics.fell_back("get", self._surface, "miss")
        return Stored(written.outcome.view, written.cursor)

    async def _page(self, query: Query) -> Page:
        await self._stores.telling.tell_all()
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
