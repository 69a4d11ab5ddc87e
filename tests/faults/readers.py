"""Readers who ask for jobs all the time, and note what an answer lacks of what had been acknowledged before."""

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.ledger import Ledger
from tests.faults.oracle import violations

READERS = 2
PAUSE_SECONDS = 0.05
READ_SECONDS = 5.0


class Readers:
    """Some of them, at work while inside; `lacking` counts answers that lacked something, as they might."""

    def __init__(self, ledger: Ledger, session: ClientSession, urls: Sequence[str], random: Random) -> None:
        self.reads = 0
        self.lacking = 0
        self.violations: list[str] = []
        self._ledger = ledger
        self._session = session
        self._urls = urls
        self._random = random
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
        least = self._ledger.least(job_id)
        began = time.monotonic()
        job: dict[str, Any] | None = None
        url = f"{self._random.choice(self._urls)}/v1/jobs/{job_id}"
        async with self._session.get(url, timeout=ClientTimeout(READ_SECONDS)) as response:
            if response.status == 200:
                job = dict(await response.json())
            elif response.status != 404:
                return
        self.reads += 1
        if found := list(violations(least, self._ledger.most(job_id), job, None)):
            may_lack = self._ledger.may_lack(began)
            self.lacking += may_lack
            self.violations += [] if may_lack else [f"{url} was read and {what}" for what in found]
