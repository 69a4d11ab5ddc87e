"""A trial: writers and watchers at work on a deployment while faults befall it, and the verdict after each."""

import asyncio
import random
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
SETTLE_SECONDS = 10.0
"""How long it may take until what was acknowledged is found again, after the stores are back."""

LAG_SECONDS = 3.0
"""What a Redis that loses its disk may cost: the timeline lines that were not recorded yet."""


@dataclass
class Trial:
    """What is going on, and what has happened so far."""

    deployment: Deployment
    work: Work
    watchers: list[Watcher]
    rng: random.Random
    happened: Counter[tuple[Victim, Kind]] = field(default_factory=Counter)
    in_flight: list[int] = field(default_factory=list)

    async def suffer(self, victim: Victim, kind: Kind) -> None:
        """Let a fault befall the deployment while requests are in flight, and look for what was acknowledged."""
        self.in_flight.append(await self.work.under_way())
        await self.deployment.suffer(victim, kind, self.rng.uniform(1.0, 2.5))
        if kind is Kind.EMPTY and victim is not Victim.SIDECAR:
            self.work.forget_events()
        await self.deployment.recovered()
        self.happened[victim, kind] += 1
        sample = self.rng.sample(sorted(self.work.known), 20)
        await self.check(sample)

    async def check(self, job_ids: Iterable[str]) -> None:
        """Fail unless all that was acknowledged of these jobs is found."""
        async with ClientSession(self.deployment.sidecar.url) as client:
            for job_id in job_ids:
                await _found(client, self.work.known[job_id])
        wrong = [told for watcher in self.watchers for told in watcher.wrong]
        assert not wrong, wrong


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


async def _found(client: ClientSession, known: Known) -> None:
    """Wait until a job has all that was acknowledged of it when asked."""
    if not known.items:
        return
    wanted = Counter(known.items), known.current, known.is_completed, set(known.events)
    lacking: list[object] = []
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while lacking := await _lacking(client, known.job_id, *wanted):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{known.job_id} lacks {lacking}") from None


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


def _reached(job: dict[str, Any]) -> int:
    return max((stage["current"] or 0 for stage in job["stages"]), default=0)


async def _read(client: ClientSession, path: str) -> dict[str, Any] | None:
    async with client.get(path) as response:
        return dict(await response.json()) if response.status == 200 else None
