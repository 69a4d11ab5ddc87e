"""What jobs of a type usually take, and so when one of them is overdue; and when one last got through."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from sidecar.core.job import NOTHING
from sidecar.core.stalls import Limits
from sidecar.history import Durations

SUCCESSES = 50
"""How many of the last successes of a type are looked at."""

LEAST_SUCCESSES = 10
"""With fewer nobody can say what is usual."""

REFRESH_SECONDS = 60.0


class Past(Protocol):
    """How long jobs took that have completed. Raises `StoreUnavailable`."""

    async def recent(self, successes: int) -> Mapping[str, Durations]:
        """Return how long the last successes of each type took, so many of each."""
        ...

    async def last_successes(self) -> Mapping[str, float]:
        """Return when a job of each type last completed (Unix seconds)."""
        ...

    async def oldest_queued(self) -> Mapping[str, float]:
        """Return when the oldest job of each type was made that nobody has begun (Unix seconds)."""
        ...


class Baselines:
    """The limits of each job type, with what its past adds to what is declared."""

    def __init__(
        self,
        past: Past,
        declared: Callable[[str], Limits],
        factor: float,
        expected: Mapping[str, float] = NOTHING,
    ) -> None:
        """Keep the parts; a job is overdue after `factor` times the 95th percentile.

        `expected` is how many seconds it may be between two successes of a type.
        """
        self.expected = expected
        self.succeeded: Mapping[str, float] = NOTHING
        self.queued: Mapping[str, float] = NOTHING
        self._past = past
        self._declared = declared
        self._factor = factor
        self._overdue: dict[str, float] = {}

    def limits(self, job_type: str) -> Limits:
        """Return how long the clocks of a type may run."""
        limits, overdue = self._declared(job_type), self._overdue.get(job_type)
        return limits if overdue is None else limits._replace(overdue_seconds=overdue)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look at the past now and then, for ever; raises `StoreUnavailable`."""
        while True:
            await self.refresh()
            await sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Look at the past."""
        self.succeeded = await self._past.last_successes()
        self.queued = await self._past.oldest_queued()
        found = await self._past.recent(SUCCESSES)
        self._overdue = {
            job_type: self._factor * took.p95 for job_type, took in found.items() if took.count >= LEAST_SUCCESSES
        }
