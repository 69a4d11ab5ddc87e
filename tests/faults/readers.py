"""Readers who ask for jobs all the time, and note what an answer lacks of what had been acknowledged before."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.jobs import FINISHED
from tests.faults.ledger import Bounds, Ledger
from tests.faults.oracle import violations
from tests.faults.telling import clock_time

READERS = 2
PAUSE_SECONDS = 0.05
READ_SECONDS = 5.0


@dataclass(slots=True)
class Shown:
    """What a sidecar has shown: it may not unsay that, whatever another one thinks."""

    jobs: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)

    def least(self, job_id: str, bounds: Bounds) -> Bounds:
        """Return these bounds of a job, narrowed to what must be shown again."""
        pushes, is_finished = (
            max(bounds.pushes, int(job_id in self.jobs)),
            bounds.is_finished or job_id in self.finished,
        )
        return replace(bounds, pushes=pushes, is_finished=is_finished)

    def take(self, job: Mapping[str, Any]) -> None:
        """Note what it shows."""
        self.jobs.add(job["job_id"])
        if job["status"] in FINISHED:
            self.finished.add(job["job_id"])


class Readers:
    """Some of them, at work while inside; `lacking` counts answers that lacked something, as they might.

    An answer may lack what another sidecar was told while the two may disagree. It may at no time have too much, nor
    take back what the same sidecar has shown.
    """

    def __init__(self, ledger: Ledger, session: ClientSession, urls: Sequence[str], random: Random) -> None:
        self.reads = 0
        self.lacking = 0
        self.violations: list[str] = []
        self._ledger = ledger
        self._session = session
        self._urls = urls
        self._random = random
        self._shown = {url: Shown() for url in urls}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._read_on()) for _ in range(READERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self.violations += [f"a reader broke down: {end!r}" for end in ended if isinstance(end, Exception)]

    async def _read_on(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if jobs := self._ledger.job_ids:
                try:
                    await self._look(self._random.choice(jobs[-60:]))
                except (ClientError, OSError, TimeoutError):
                    continue

    async def _look(self, job_id: str) -> None:
        url = self._random.choice(self._urls)
        acknowledged = self._ledger.least(job_id)
        least, excused = (
            self._shown[url].least(job_id, bounds) for bounds in (acknowledged, Bounds(is_quiet=acknowledged.is_quiet))
        )
        began = time.monotonic()
        job: dict[str, Any] | None = None
        async with self._session.get(f"{url}/v1/jobs/{job_id}", timeout=ClientTimeout(READ_SECONDS)) as response:
            if response.status == 200:
                job = dict(await response.json())
            elif response.status != 404:
                return
        self.reads += 1
        most = self._ledger.most(job_id)
        found = list(violations(least, most, job, None))
        if found and self._ledger.may_lack(began):
            found = list(violations(excused, most, job, None))
            self.lacking += not found
        self.violations += [f"{clock_time()}: {url} was read and {job_id}: {what}" for what in found]
        if job is not None:
            self._shown[url].take(job)
