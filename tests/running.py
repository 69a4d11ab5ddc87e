"""The whole program in a process of its own, and its clients."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

DEADLINE_SECONDS = 30.0
ADDRESS = re.compile(rb"serving on (http://\S+)")


@dataclass
class Running:
    """A sidecar in a process of its own."""

    process: asyncio.subprocess.Process
    url: str
    data_dir: Path

    async def stopped(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal and return the exit code and what was logged."""
        self.process.send_signal(number)
        _, errors = await asyncio.wait_for(self.process.communicate(), DEADLINE_SECONDS)
        return self.process.returncode or 0, errors.decode()

    async def valkey(self) -> int:
        """Return the process of the Valkey server, once there is one."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                if found := self.valkeys():
                    return found[0]
                await asyncio.sleep(0)

    def valkeys(self) -> list[int]:
        """Return the processes of Valkey servers that work in this data directory."""
        return [pid for pid in _pids() if _command(pid).find(f"{self.data_dir}/valkey.sock") >= 0]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def environment(**settings: object) -> dict[str, str]:
    """Return an environment with these settings and no others."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
    return plain | {f"SIDECAR_{name.upper()}": str(value) for name, value in settings.items()}


async def start(**settings: object) -> asyncio.subprocess.Process:
    """Start `sidecar serve`."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "sidecar", "serve"),
        env=environment(**settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def refused(**settings: object) -> tuple[int | None, str]:
    """Start a sidecar that cannot run; return its exit code and what it said."""
    process = await start(**settings)
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return process.returncode, errors.decode()


@asynccontextmanager
async def running(data_dir: Path, **settings: object) -> AsyncIterator[Running]:
    """Run a sidecar until the end of the block, by force if it is still there."""
    process = await start(data_dir=data_dir, **{"listen_port": 0, **settings})
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_SECONDS)
        found = ADDRESS.search(line)
        assert found is not None, line
        yield Running(process, found[1].decode(), data_dir)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def push(client: ClientSession, url: str, job_id: str = "job-1", **fields: object) -> dict[str, Any]:
    """Push until the sidecar takes it, as a client does that is told to come back."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with client.post(f"{url}/v1/jobs/{job_id}", json=fields) as response:
                if response.status == 200:
                    return dict(await response.json())
                assert response.status == 503, await response.text()
                assert response.headers["Retry-After"]


async def read(client: ClientSession, url: str, job_id: str = "job-1") -> dict[str, Any]:
    """Read a job, come back if told to."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with client.get(f"{url}/v1/jobs/{job_id}") as response:
                if response.status == 200:
                    return dict(await response.json())
                assert response.status == 503, await response.text()
