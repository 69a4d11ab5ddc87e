"""Watchers of event streams, who come back whenever they are cut off and note what must never be seen."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

AGAIN_SECONDS = 0.2
SILENT_SECONDS = 40.0


@dataclass
class Seen:
    """How far a watcher has seen a job."""

    percent: float = 0.0
    version: int = 0
    is_over: bool = False


@dataclass
class Watcher:
    """Follows one path, over as many connections as it takes."""

    url: str
    path: str
    jobs: dict[str, Seen] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    events: int = 0
    stores: list[str] = field(default_factory=list)
    _last_id: str = ""

    async def follow(self) -> None:
        """Follow until cancelled, or until the stream is over for good."""
        async with ClientSession(self.url, timeout=ClientTimeout(total=None, sock_read=SILENT_SECONDS)) as client:
            while True:
                try:
                    async with client.get(self.path, headers={"Last-Event-ID": self._last_id}) as response:
                        if response.status == 204:
                            return
                        await self._read(response.content)
                except (ClientError, OSError, TimeoutError):
                    pass
                await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self, content: asyncio.StreamReader | Any) -> None:
        for seen in self.jobs.values():
            seen.version = 0  # another connection may begin with an older state, but not go back within itself
        block: dict[str, str] = {}
        while line := (await content.readline()).decode():
            if line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                block[name] = value
                continue
            if block.get("data"):
                self._take(block["event"], json.loads(block["data"]))
            self._last_id = block.get("id", self._last_id)
            block = {}

    def _take(self, event: str, data: dict[str, Any]) -> None:
        self.events += 1
        if event == "degraded":
            self.stores.append(data["store"])
        elif event == "progress":
            self._look(data, is_over=False)
        elif event == "done":
            self._look(data["job"], is_over=True)

    def _look(self, job: dict[str, Any], *, is_over: bool) -> None:
        seen = self.jobs.setdefault(job["job_id"], Seen())
        told = f"{self.path} {job['job_id']} at {job['cursor']}"
        if job["version"] < seen.version:
            self.wrong.append(f"{told}: version {job['version']} after {seen.version}")
        if job["percent"] < seen.percent:
            self.wrong.append(f"{told}: {job['percent']} % after {seen.percent} %")
        if seen.is_over and not is_over:
            self.wrong.append(f"{told}: unfinished again")
        seen.version, seen.percent = job["version"], max(job["percent"], seen.percent)
        seen.is_over |= is_over
