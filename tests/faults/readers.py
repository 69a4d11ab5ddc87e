"""Readers who ask for jobs all the time, and note what an answer lacks of what had been acknowledged before."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.jobs import FINISHED
from tests.faults.ledger import Bounds, Ledger
from tests.faults.oracle import attempt_of, violations
from tests.faults.telling import clock_time

READERS = 2
PAUSE_SECONDS = 0.05
READ_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a sidecar had shown before it was asked: it may not unsay that, whatever another one thinks."""

    jobs: frozenset[str] = frozenset()
    finished: frozenset[tuple[str, int]] = frozenset()
    """By attempt."""

    def taken_back(self, job_id: str, job: Mapping[str, Any] | None) -> Iterator[str]:
        """Yield what it takes back."""
        if job is None:
            if job_id in self.jobs:
                yield "it is unknown after it was shown"
        elif (job_id, job["attempt"]) in self.finished and job["status"] not in FINISHED:
            yield f"it is {job['status']} after it was finished"

    def with_job(self, job: Mapping[str, Any]) -> Self:
        """Return this and what is shown now."""
        ended = {(job["job_id"], job["attempt"])} if job["status"] in FINISHED else set()
        return replace(self, jobs=self.jobs | {job["job_id"]}, finished=self.finished | ended)


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
        least, shown = self._ledger.least(job_id), self._shown[url]
        began = time.monotonic()
        job: dict[str, Any] | None = None
        async with self._session.get(f"{url}/v1/jobs/{job_id}", timeout=ClientTimeout(READ_SECONDS)) as response:
            if response.status == 200:
                job = dict(await response.json())
            elif response.status != 404:
                return
        self.reads += 1
        most = self._ledger.most(job_id, attempt_of(job))
        found = list(violations(least, most, job, None))
        if found and self._ledger.may_lack(began):
            found = list(violations(Bounds(is_quiet=least.is_quiet), most, job, None))
            self.lacking += not found
        for what in (*found, *shown.taken_back(job_id, job)):
            self.violations.append(f"{clock_time()}: {url} was read and {job_id}: {what}")
        if job is not None:
            self._shown[url] = self._shown[url].with_job(job)
