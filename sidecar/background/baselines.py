"""What jobs of a type usually take, and so when one of them ends or is overdue; and when one last got through."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import ceil
from typing import Protocol

from sidecar.core.job import NOTHING, Usual
from sidecar.core.stalls import Limits
from sidecar.core.usual import LEAST_RUNS, Run, learnt

SUCCESSES = 50
"""How many of the last successes of a type are looked at."""

MOST_TYPES = 200
"""Of so many types, those in which something completed last."""

REFRESH_SECONDS = 60.0


class Past(Protocol):
    """How jobs went that have completed. Raises `StoreUnavailable`."""

    async def recent(self, job_type: str, successes: int) -> list[Run]:
        """Return how so many of the last successes of a type went."""
        ...

    async def last_successes(self) -> Mapping[str, float]:
        """Return when a job of each type last completed (Unix seconds)."""
        ...

    async def oldest_queued(self) -> Mapping[str, float]:
        """Return since when, at longest, a job of each type waits that nobody has begun (Unix seconds)."""
        ...


class Baselines:
    """The limits of each job type, with what its past adds to what is declared; and what is usual of it."""

    def __init__(
        self,
        past: Past,
        declared: Callable[[str], Limits],
        expected: Mapping[str, float] = NOTHING,
    ) -> None:
        """Keep the parts; a job is overdue after a multiple of the 95th percentile, which its type's limits tell.

        `expected` is how many seconds it may be between two successes of a type.
        """
        self.expected = expected
        self.succeeded: Mapping[str, float] = NOTHING
        self.queued: Mapping[str, float] = NOTHING
        self._past = past
        self._declared = declared
        self._overdue: Mapping[str, float] = NOTHING
        self._usual: Mapping[str, tuple[Usual, ...]] = NOTHING

    def limits(self, job_type: str) -> Limits:
        """Return how long the clocks of a type may run."""
        limits, overdue = self._declared(job_type), self._overdue.get(job_type)
        return limits if overdue is None else limits._replace(overdue_seconds=overdue)

    def usual(self, job_type: str) -> tuple[Usual, ...]:
        """Return what jobs of a type usually take, nothing while too little is known."""
        return self._usual.get(job_type, ())

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look at the past now and then, for ever; raises `StoreUnavailable`."""
        while True:
            await self.refresh()
            await sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Look at the past."""
        succeeded, queued = await self._past.last_successes(), await self._past.oldest_queued()
        overdue: dict[str, float] = {}
        usual: dict[str, tuple[Usual, ...]] = {}
        for job_type in _latest(succeeded):
            runs = await self._past.recent(job_type, SUCCESSES)
            if len(runs) >= LEAST_RUNS:
                overdue[job_type] = self._declared(job_type).overdue_factor * _p95(run.seconds for run in runs)
                usual[job_type] = learnt(runs)
        self.succeeded, self.queued, self._overdue, self._usual = succeeded, queued, overdue, usual


def _latest(succeeded: Mapping[str, float]) -> list[str]:
    return sorted(succeeded, key=lambda job_type: -succeeded[job_type])[:MOST_TYPES]


def _p95(seconds: Iterable[float]) -> float:
    """Return the smallest value that 95 percent do not exceed."""
    ordered = sorted(seconds)
    return ordered[ceil(0.95 * len(ordered)) - 1]
