"""Which store serves a call: Redis, or SQL if Redis is away or gives no answer; and what is counted of both."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from math import inf
from typing import TypeVar

from sidecar.adapters.failover.breaker import SILENT_SECONDS, Breaker
from sidecar.core.errors import (
    HistoryBusy,
    HistoryUnavailable,
    Overloaded,
    StoreRefused,
    StoreUnavailable,
    Unavailable,
)
from sidecar.ports import Metrics, Written

T = TypeVar("T")

INGEST = "ingest"
WRITES = ("update", "delete")
"""Counted under the surface of those who push, whoever reads from the same store."""

AWAY = StoreUnavailable("Redis is away")

WAITED_AT: ContextVar[float] = ContextVar("redis_waited_at", default=-inf)
"""When whoever asks has last waited in vain for Redis (of the event loop's clock)."""


class Serving:
    """Lets the stores answer the calls of one surface (rest, stream, ingest or metrics), and counts what they do."""

    def __init__(self, breaker: Breaker, metrics: Metrics, surface: str) -> None:
        """Keep what tells whether Redis is away; what SQL has to serve is counted under the surface."""
        self._breaker = breaker
        self._metrics = metrics
        self._surface = surface

    async def by_either(self, operation: str, live: Callable[[], Awaitable[T]], sql: Callable[[], Awaitable[T]]) -> T:
        """Return Redis' answer, SQL's if Redis is away or gives none.

        Who reads several things waits in vain for Redis once: the other answers are SQL's, for as long as a single
        failure may not yet mean that Redis is away.
        """
        now = asyncio.get_running_loop().time
        if not self._breaker.is_away and (operation in WRITES or now() - WAITED_AT.get() > SILENT_SECONDS):
            try:
                return await self.timed("redis", operation, live())
            except HistoryUnavailable:
                raise
            except StoreUnavailable as error:
                WAITED_AT.set(now())
                away = error
        else:
            away = AWAY
        answer = await self.by_sql(operation, sql(), away)
        surface = INGEST if operation in WRITES else self._surface
        self._metrics.fell_back(operation, surface, "unavailable")
        return answer

    async def by_sql(self, operation: str, work: Awaitable[T], error: StoreUnavailable) -> T:
        """Return SQL's answer where Redis gave none for that reason; raises what tells of both if SQL is away too."""
        try:
            return await self.timed("sql", operation, work)
        except HistoryUnavailable as other:
            raise StoreUnavailable(f"{error}; {other}") from other

    async def timed(self, store: str, operation: str, work: Awaitable[T]) -> T:
        """Do some work of a store, and record how long it took or that it failed."""
        began = time.perf_counter()
        try:
            answer = await work
        except Unavailable as error:
            self._metrics.store_failed(store, operation, _kind(error))
            raise
        self._metrics.store_answered(store, operation, time.perf_counter() - began)
        return answer

    async def timed_many(self, store: str, work: Awaitable[list[Written | Exception]]) -> list[Written | Exception]:
        """Do the same for many changes: they were not answered if any of them was not; each kind of failure once."""
        began = time.perf_counter()
        answers = await work
        failures = sorted({_kind(answer) for answer in answers if isinstance(answer, Unavailable)})
        for kind in failures:
            self._metrics.store_failed(store, "update_many", kind)
        if not failures:
            self._metrics.store_answered(store, "update_many", time.perf_counter() - began)
        return answers


def _kind(error: Unavailable) -> str:
    """Return what a failure is counted as."""
    if isinstance(error, StoreRefused):
        return "refused"
    return "busy" if isinstance(error, Overloaded | HistoryBusy) else "unavailable"
