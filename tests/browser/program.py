"""A sidecar with stores of its own, as the browser tests use it: it is told what happens, and it dies on demand."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from tests.faults.patience import until_found
from tests.faults.program import Sidecar

QUIET = {"drain_seconds": 0, "log_level": "warning"}
SECONDS = 15.0


class Deployment(Sidecar):
    """`sidecar serve` with its embedded stores; `home` holds their data and the log, and the port stays the same."""

    def __init__(self, home: Path, **settings: object) -> None:
        super().__init__(home, **{**QUIET, **settings})

    async def up(self) -> "Deployment":
        """Start it and wait until it listens."""
        self.start()
        await self.ready()
        return self

    async def restart(self) -> None:
        """Kill it and start it again at once on the same port, with the same data."""
        self.kill()
        await self.up()

    async def push(self, job_id: str, **fields: Any) -> dict[str, Any]:
        """Report progress as a worker does, and return the answer."""
        return dict(json.loads(await self._asked("POST", f"/v1/jobs/{job_id}", json=fields)))

    async def push_many(self, updates: list[dict[str, Any]]) -> None:
        """Report the progress of many jobs in one request; all of it must be taken."""
        results = json.loads(await self._asked("POST", "/v1/updates", json=updates))["results"]
        assert all(result.get("applied") for result in results), results[:3]

    async def delete(self, job_id: str) -> None:
        """Forget a job."""
        await self._asked("DELETE", f"/v1/jobs/{job_id}?force=true")

    async def job(self, job_id: str) -> dict[str, Any]:
        """Return the job as anyone reads it."""
        return dict(json.loads(await self._asked("GET", f"/v1/jobs/{job_id}")))

    async def value(self, series: str) -> float:
        """Return a sample of /metrics by its name and labels, 0 if there is none: `name{label="value"}`."""
        lines = [line.rpartition(" ") for line in (await self._asked("GET", "/metrics")).splitlines()]
        return next((float(value) for name, _, value in lines if name == series), 0.0)

    async def until_value(self, series: str, wanted: float, seconds: float = SECONDS) -> None:
        """Wait until a sample has this value."""

        async def is_so() -> bool:
            return await self.value(series) == wanted

        await until_found(is_so, seconds, lambda: f"{series} is {wanted:g}\n{self.complaints()}")

    async def _asked(self, method: str, path: str, **options: Any) -> str:
        async with (
            ClientSession(self.url, timeout=ClientTimeout(SECONDS)) as client,
            client.request(method, path, **options) as answer,
        ):
            text = await answer.text()
            assert answer.status in {200, 201, 204}, text
            return text

    def kill_valkey(self) -> None:
        """Kill the embedded Valkey; the sidecar starts it again by itself."""
        [pid] = [pid for pid in _children(self.pid) if "valkey" in _name(pid)]
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """Return the processes that any thread of this process has started."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()
