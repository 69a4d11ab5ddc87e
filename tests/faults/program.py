"""The sidecar as a process, at an address that it keeps over its lives."""

import asyncio
import json
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.patience import until_found
from tests.faults.process import Process
from tests.servers.ports import free_port

START_SECONDS = 30.0
CHECKOUT = Path(os.environ.get("FAULTS_CHECKOUT", Path(__file__).parents[2]))
"""The source that runs; another one is put to the same test with FAULTS_CHECKOUT."""

PARTS = ("redis", "sql", "listener", "recorder")


class Sidecar(Process):
    """`sidecar serve` with these settings, each without its prefix, of the source in a checkout."""

    def __init__(self, home: Path, checkout: Path = CHECKOUT, /, **settings: object) -> None:
        home.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._data = home / "data"
        self.log = home / "log"
        given = {"data_dir": self._data, "listen_port": self.port, "log_format": "json", **settings}
        environment = {f"SIDECAR_{name.upper()}": str(value) for name, value in given.items()}
        super().__init__([sys.executable, "-m", "sidecar", "serve"], self.log, checkout, environment)

    @property
    def history(self) -> Path:
        """The embedded SQLite."""
        return self._data / "history.db"

    def empty(self) -> None:
        """Throw away what it keeps beside the stores; it must not run."""
        shutil.rmtree(self._data, ignore_errors=True)

    def allow_file_bytes(self, most: int | None) -> None:
        """Let no file grow beyond this from the next start on; None lifts the limit."""
        self.limit = None if most is None else _limiting(most)

    async def ready(self) -> None:
        """Wait until it listens."""
        async with ClientSession(timeout=ClientTimeout(2)) as session, asyncio.timeout(START_SECONDS):
            while True:
                self.check()
                try:
                    async with session.get(f"{self.url}/healthz") as response:
                        if response.status == 200:
                            return
                except (ClientError, OSError, TimeoutError):
                    await asyncio.sleep(0.05)

    async def parts(self, session: ClientSession) -> dict[str, str]:
        """Return what /readyz says of each part; nothing if it does not answer."""
        try:
            async with session.get(f"{self.url}/readyz", timeout=ClientTimeout(5)) as response:
                return dict(json.loads(await response.read()))
        except (ClientError, OSError, TimeoutError):
            return {}

    async def whole(self, session: ClientSession, seconds: float = 30.0) -> None:
        """Wait until every part is in order."""
        parts: dict[str, str] = {}

        async def is_whole() -> bool:
            parts.update(await self.parts(session))
            return all(parts.get(part) == "ok" for part in PARTS)

        await until_found(is_whole, seconds, lambda: f"every part is in order, {parts}\n{self.complaints()}")

    async def metric(self, session: ClientSession, name: str) -> float:
        """Return a gauge or counter, its name a regular expression; NaN while it does not answer."""
        try:
            async with session.get(f"{self.url}/metrics", timeout=ClientTimeout(5)) as response:
                found = re.search(rf"^{name} (\S+)$", await response.text(), re.MULTILINE)
        except (ClientError, OSError, TimeoutError):
            return float("nan")
        return float(found[1]) if found else float("nan")

    async def recorded(self, session: ClientSession, seconds: float = 30.0) -> None:
        """Wait until a look at the outbox from now on finds it empty."""
        since = time.time()

        async def is_empty() -> bool:
            oldest = await self.metric(session, "progress_outbox_oldest_timestamp_seconds")
            return oldest >= since and await self.metric(session, "progress_outbox_length") == 0

        await until_found(is_empty, seconds, lambda: f"all is recorded\n{self.complaints()}")

    def complaints(self, most: int = 40) -> str:
        """Return the last lines that it logged as warnings or errors, and whatever is no line of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if _level(line) not in {"info", "debug"}][-most:])


def _level(line: str) -> str:
    try:
        read: Any = json.loads(line)
        return str(read["level"]).lower()
    except (ValueError, KeyError, TypeError):
        return "unread"


def _limiting(most_bytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
