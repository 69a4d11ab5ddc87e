"""The demo in a process of its own, beside a sidecar that is impatient enough to see every trouble within seconds."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession

PROGRAM = """
import sys
from sidecar.demo import run
url, token, seed, speed = sys.argv[1:]
sys.exit(run(url, token or None, seed=int(seed), speed=float(speed)))
"""
END_SECONDS = 20.0
TOKEN = "secret-of-the-demo"
SETTINGS: dict[str, Any] = {
    "tokens": f"admin:demo:{TOKEN};reader:demo:secret-of-a-reader;worker:other:secret-of-another",
    "drain_seconds": 0,
    "silent_seconds": 1,
    "silent_floor_seconds": 1,
    "no_progress_seconds": 1.5,
    "not_started_seconds": 1,
    "cancel_stuck_seconds": 1,
    "watchdog_interval_seconds": 0.2,
    "lost_seconds": 4,
}


@dataclass
class Demo:
    """A demo that runs, and what it has said so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    def count(self, what: str) -> int:
        """Return in how many lines it has said so."""
        return sum(what in line for line in self.lines)

    async def stopped(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), END_SECONDS)

    async def listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())


@asynccontextmanager
async def demo(url: str, token: str = "", speed: float = 20) -> AsyncIterator[Demo]:
    """Run the demo until the end of the block, by force if it is still there."""
    arguments = (sys.executable, "-W", "error", "-c", PROGRAM, url, token, "7", str(speed))
    process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.PIPE)
    found = Demo(process)
    listening = asyncio.create_task(found.listen())
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


@dataclass
class Audience:
    """What the API says of the demo's jobs, whenever somebody looks."""

    client: ClientSession
    url: str
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Each fate with everything that jobs of it were seen to be."""

    since: str = "1970-01-01T00:00:00Z"
    """Up to when it has looked."""

    async def look(self) -> None:
        """Note what is told of every job that has changed since the last look."""
        query = {"project": "demo", "limit": "1000", "updated_since": self.since}
        async with self.client.get(f"{self.url}/v1/jobs", params=query) as response:
            for job in (await response.json())["jobs"]:
                self.seen.update((job["labels"].get("fate", ""), what) for what in _told(job))
                self.since = max(self.since, job["updated_at"])

    async def running(self) -> list[str]:
        """Return the jobs that are not finished."""
        async with self.client.get(f"{self.url}/v1/jobs?project=demo&active=true&limit=1000") as response:
            return [job["job_id"] for job in (await response.json())["jobs"]]

    async def counted(self) -> set[str]:
        """Return the series that are not 0."""
        async with self.client.get(f"{self.url}/metrics") as response:
            lines = [line.rpartition(" ") for line in (await response.text()).splitlines() if not line.startswith("#")]
        return {series for series, _, value in lines if float(value) != 0}


def _told(job: dict[str, Any]) -> set[str]:
    attempt = "" if job["attempt"] == 1 else f" at attempt {job['attempt']}"
    told = {job["status"], job["status"] + attempt}
    if job["stall"] is not None:
        told.add(f"stalled: {job['stall']['reason']}")
    if job["cancel_requested"]:
        told.add(f"{job['status']} as asked")
    if job["blocked_on"]:
        told.add(f"{job['status']} on something")
    return told
