"""Writers that push to many jobs through every fault, and what they know to be acknowledged."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

PROJECT = "faults"
TOTAL = 40
"""Steps of a job; the writer that makes the last one says that it is completed."""

ANSWER_SECONDS = 6.0
AGAIN_SECONDS = 0.05
PAUSE_SECONDS = 0.004


@dataclass
class Known:
    """What is acknowledged of one job."""

    job_id: str
    steps: int = 0
    current: int = 0
    items: Counter[str] = field(default_factory=Counter)
    events: set[str] = field(default_factory=set)
    is_completed: bool = False


class Work:
    """The jobs under way and all that was acknowledged of them."""

    def __init__(self, rng: random.Random, jobs: int) -> None:
        self._rng = rng
        self._made = 0
        self.known: dict[str, Known] = {}
        self.in_flight = 0
        self.acknowledged = 0
        self.refused: Counter[object] = Counter()
        self._running = [self._new() for _ in range(jobs)]
        self._started = asyncio.Event()

    def next(self, writer: str, seq: int) -> tuple[Known, dict[str, Any]]:
        """Return a job and what is pushed to it next."""
        place = self._rng.randrange(len(self._running))
        job = self._running[place]
        job.steps += 1
        body: dict[str, Any] = {"project": PROJECT, "writer": writer, "seq": seq, "total": TOTAL, "current": job.steps}
        body["stage"] = "first" if job.steps <= TOTAL // 2 else "second"
        body["stages"] = [{"name": "first"}, {"name": "second"}]
        body["add"] = {"items": {"rows": self._rng.randint(1, 9), writer: 1}}
        if job.steps % 7 == 0:
            body["event"] = {"type": "checkpoint", "details": {"id": f"{writer}-{seq}"}}
        if job.steps == TOTAL:
            body["status"] = "completed"
            self._running[place] = self._new()
        return job, body

    def note(self, job: Known, body: dict[str, Any], answer: dict[str, Any]) -> None:
        """Note that an update was acknowledged; one that came after the end counts for nothing."""
        self.acknowledged += 1
        if answer["reason"] in ("late", "stale_attempt"):
            return
        assert answer["applied"] or answer["reason"] in ("duplicate", "out_of_order"), answer
        job.current = max(job.current, body["current"])
        job.items.update(body["add"]["items"])
        job.is_completed |= body.get("status") == "completed"
        if "event" in body:
            job.events.add(body["event"]["details"]["id"])

    def forget_events(self) -> None:
        """Excuse what timelines lack: the only store that had them lost its disk."""
        for job in self.known.values():
            job.events.clear()

    async def under_way(self) -> int:
        """Wait until requests are in flight, and return how many."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not self.in_flight:
                self._started.clear()
                await self._started.wait()
        return self.in_flight

    def began(self) -> None:
        """Note that a request is in flight."""
        self.in_flight += 1
        self._started.set()

    def ended(self) -> None:
        """Note that a request is over."""
        self.in_flight -= 1

    def _new(self) -> Known:
        self._made += 1
        job = Known(f"job-{self._made:04}")
        self.known[job.job_id] = job
        return job


async def write(name: str, url: str, work: Work, stop: asyncio.Event) -> None:
    """Push one update after another, each until it is answered, until told to stop."""
    async with ClientSession(url, timeout=ClientTimeout(total=ANSWER_SECONDS)) as client:
        for seq in _numbers():
            if stop.is_set():
                return
            job, body = work.next(name, seq)
            while (answer := await _pushed(client, job, body, work)) is None:
                await asyncio.sleep(AGAIN_SECONDS)
            work.note(job, body, answer)
            await asyncio.sleep(PAUSE_SECONDS)


async def _pushed(client: ClientSession, job: Known, body: dict[str, Any], work: Work) -> dict[str, Any] | None:
    work.began()
    try:
        async with client.post(f"/v1/jobs/{job.job_id}", json=body) as response:
            if response.status == 200:
                return dict(await response.json())
            work.refused[response.status] += 1
            assert response.status == 503, await response.text()
            assert response.headers["Retry-After"]
    except (ClientError, OSError, TimeoutError) as error:
        work.refused[type(error).__name__] += 1
    finally:
        work.ended()
    return None


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number
