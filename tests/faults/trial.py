"""A trial: writers and watchers at work on a deployment while faults befall it, and the verdict after each."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession

from tests.faults.deployment import Deployment, Kind, Victim
from tests.faults.watch import Watcher
from tests.faults.work import PROJECT, Known, Work, write

WRITERS = 4
JOBS = 50
SETTLE_SECONDS = 15.0
"""How long it may take until what was acknowledged is found again, after the stores are back."""

LAG_SECONDS = 1.0
"""Jobs may be recorded later than the lines of their timelines."""


@dataclass
class Trial:
    """What is going on, and what has happened so far."""

    deployment: Deployment
    work: Work
    watchers: list[Watcher]
    rng: random.Random
    happened: Counter[tuple[Victim, Kind]] = field(default_factory=Counter)
    in_flight: list[int] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.time)

    async def suffer(self, victim: Victim, kind: Kind) -> None:
        """Let a fault befall the deployment while requests are in flight, and look for what was acknowledged."""
        if (victim, kind) == (Victim.REDIS, Kind.EMPTY):
            await self._until_recorded()
        self.in_flight.append(await self.work.under_way())
        self.story.append(f"{victim}-{kind}")
        await self.deployment.suffer(victim, kind, self.rng.uniform(1.0, 2.5))
        if kind is Kind.EMPTY and victim is not Victim.SIDECAR:
            self.work.forget_events()
        await self.deployment.recovered()
        if victim is Victim.SIDECAR:
            self.started_at = time.time()
        self.happened[victim, kind] += 1
        sample = self.rng.sample(sorted(self.work.known), 20)
        await self.check(sample)

    async def _until_recorded(self) -> None:
        """Wait until all is recorded of before the sidecar was started: a Redis that loses its disk costs the rest.

        But for what the sidecar itself remembers, and that is all that it was told since then.
        """
        async with asyncio.timeout(SETTLE_SECONDS), ClientSession(self.deployment.sidecar.url) as client:
            while await _oldest_waiting(client) < self.started_at + LAG_SECONDS:
                await asyncio.sleep(0.1)

    async def check(self, job_ids: Iterable[str]) -> None:
        """Fail unless all that was acknowledged of these jobs is found."""
        async with ClientSession(self.deployment.sidecar.url) as client:
            lacking = [told for job_id in job_ids if (told := await _lacked(client, self.work.known[job_id]))]
        assert not lacking, f"{lacking} after {self.story}"
        wrong = [told for watcher in self.watchers for told in watcher.wrong]
        assert not wrong, f"{wrong} after {self.story}"


@asynccontextmanager
async def trial(deployment: Deployment, seed: int) -> AsyncIterator[Trial]:
    """Let writers and watchers work while inside; on leaving, everything is looked for once more."""
    rng, stop = random.Random(seed), asyncio.Event()
    work = Work(rng, JOBS)
    paths = [f"/v1/events?project={PROJECT}", *(f"/v1/jobs/job-{number:04}/events" for number in (1, 2, 3))]
    watchers = [Watcher(deployment.url, path) for path in paths]
    following = [asyncio.create_task(watcher.follow()) for watcher in watchers]
    writing = [asyncio.create_task(write(f"w{number}", deployment.url, work, stop)) for number in range(WRITERS)]
    under_trial = Trial(deployment, work, watchers, rng)
    try:
        yield under_trial
        stop.set()
        await asyncio.gather(*writing)
        await under_trial.check(work.known)
        async with asyncio.timeout(SETTLE_SECONDS):
            while not _have_seen_every_end(work, watchers[0]):
                await asyncio.sleep(0.1)
    finally:
        for task in (*writing, *following):
            task.cancel()
        await asyncio.gather(*writing, *following, return_exceptions=True)


def _have_seen_every_end(work: Work, watcher: Watcher) -> bool:
    ended = {job_id for job_id, known in work.known.items() if known.is_completed}
    return ended <= {job_id for job_id, seen in watcher.jobs.items() if seen.is_over}


async def _lacked(client: ClientSession, known: Known) -> str:
    """Wait until a job has all that was acknowledged of it when asked; return what it still lacks then."""
    if not known.items:
        return ""
    wanted = Counter(known.items), known.current, known.is_completed, set(known.events)
    lacking: list[object] = []
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while lacking := await _lacking(client, known.job_id, *wanted):
                await asyncio.sleep(0.1)
    except TimeoutError:
        return f"{known.job_id} lacks {lacking}"
    return ""


async def _lacking(
    client: ClientSession, job_id: str, items: Counter[str], current: int, is_completed: bool, events: set[str]
) -> list[object]:
    """Return what is not there of what was acknowledged."""
    job = await _read(client, f"/v1/jobs/{job_id}")
    told = await _read(client, f"/v1/jobs/{job_id}/timeline?limit=1000")
    if job is None or told is None:
        return ["an answer"]
    ids = Counter(event["details"]["id"] for event in told["events"] if event["type"] == "checkpoint")
    assert [name for name, count in ids.items() if count > 1] == [], f"{job_id} has events twice"
    lacking: list[object] = [
        (kind, count, job["items"].get(kind)) for kind, count in items.items() if job["items"].get(kind, 0) < count
    ]
    lacking += [] if _reached(job) >= current else [("current", current, _reached(job))]
    lacking += ["completed"] if is_completed and job["status"] != "completed" else []
    return lacking + sorted(events - ids.keys())


async def _oldest_waiting(client: ClientSession) -> float:
    """Return when the oldest timeline line was written that is not recorded, as the sidecar knows it."""
    async with client.get("/metrics") as response:
        text = await response.text()
    line = next(line for line in text.splitlines() if line.startswith("progress_outbox_oldest_timestamp_seconds "))
    return float(line.split()[1])


def _reached(job: dict[str, Any]) -> int:
    return max((stage["current"] or 0 for stage in job["stages"]), default=0)


async def _read(client: ClientSession, path: str) -> dict[str, Any] | None:
    async with client.get(path) as response:
        return dict(await response.json()) if response.status == 200 else None
