"""Reads jobs over HTTP and holds them against the ledger."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.jobs import PROJECT
from tests.faults.ledger import Bounds, Ledger
from tests.faults.oracle import attempt_of, violations

READ_SECONDS = 15.0
AGAIN_SECONDS = 0.25
LATER_SECONDS = 5.0
AT_ONCE = 4
PAGE = 1000


class UnreadableError(Exception):
    """A job could not be read in time though everything is up; says why."""


class Auditor:
    """Compares; `late` is how many jobs lacked something when first read, as they might, and had it soon after.

    `told` counts the lines of each job's timeline by type, as they were read last.
    """

    def __init__(
        self, ledger: Ledger, session: ClientSession, urls: Sequence[str], later_seconds: float = LATER_SECONDS
    ) -> None:
        """Keep what it needs; of what is wrong it tells whether it still was so much later."""
        self._later_seconds = later_seconds
        self.late = 0
        self.told: dict[str, Counter[str]] = {}
        self._ledger = ledger
        self._session = session
        self._urls = itertools.cycle(urls)

    async def audit(self, job_ids: Iterable[str]) -> list[str]:
        """Return what is wrong with these jobs, a line for each thing."""
        limit, until = asyncio.Semaphore(AT_ONCE), time.monotonic() + self._later_seconds

        async def one(job_id: str) -> list[str]:
            async with limit:
                return [f"{job_id}: {what}" for what in await self._audit(job_id, until)]

        return [line for lines in await asyncio.gather(*map(one, job_ids)) for line in lines]

    async def listed(self) -> list[str]:
        """Return what the list of active jobs lacks."""
        shown: set[str] = set()
        page: str | None = ""
        while page is not None:
            path = f"/v1/jobs?project={PROJECT}&active=true&view=brief&limit={PAGE}"
            found = await self._read(path + (f"&page={page}" if page else "")) or {"jobs": [], "next": None}
            shown |= {job["job_id"] for job in found["jobs"]}
            page = found["next"]
        return [
            f"{job_id} is not in the list of active jobs" for job_id in self._ledger.active() if job_id not in shown
        ]

    async def _audit(self, job_id: str, until: float) -> list[str]:
        """Return what is wrong, and whether it still was until then: a loss is another thing than a delay."""
        least = self._ledger.least(job_id)
        began = time.monotonic()
        found = first = await self._compare(job_id, least)
        while found and self._ledger.may_lack(began):
            began = time.monotonic()
            found = await self._compare_again(job_id, least)
        self.late += bool(first) and not found
        is_still_so, noticed_at = bool(found), time.monotonic()
        while is_still_so and time.monotonic() < until:
            is_still_so = bool(await self._compare_again(job_id, least))
        after = f"{'still' if is_still_so else 'no longer'} so {time.monotonic() - noticed_at:.1f} s later"
        return [f"{what}, {after}" for what in found]

    async def _compare_again(self, job_id: str, least: Bounds) -> list[str]:
        await asyncio.sleep(AGAIN_SECONDS)
        return await self._compare(job_id, least)

    async def _compare(self, job_id: str, least: Bounds) -> list[str]:
        try:
            job = await self._read(f"/v1/jobs/{job_id}")
            timeline = [] if job is None else await self._timeline(job_id)
        except UnreadableError as error:
            return [str(error)]
        self.told[job_id] = Counter(event["type"] for event in timeline)
        found = list(violations(least, self._ledger.most(job_id, attempt_of(job)), job, timeline))
        return [f"{what} (version {job['version'] if job else None})" for what in found]

    async def _timeline(self, job_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while True:
            after = events[-1]["number"] if events else 0
            page = await self._read(f"/v1/jobs/{job_id}/timeline?after={after}&limit={PAGE}") or {"events": []}
            events += page["events"]
            if len(page["events"]) < PAGE:
                return events

    async def _read(self, path: str) -> dict[str, Any] | None:
        """Return what is there, None for 404; come back while a store is away."""
        last = "nothing came"
        try:
            async with asyncio.timeout(READ_SECONDS):
                while True:
                    try:
                        async with self._session.get(f"{next(self._urls)}{path}", timeout=ClientTimeout(5)) as response:
                            if response.status in {200, 404}:
                                return dict(await response.json()) if response.status == 200 else None
                            last = f"{response.status} {await response.text()}"
                    except (ClientError, OSError, TimeoutError) as error:
                        last = repr(error)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise UnreadableError(f"{path} cannot be read: {last}") from None
