"""The sidecar as a process of its own, that can be killed, stopped and started again at the same address."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from aiohttp import ClientError, ClientSession

from tests.servers.postgres import free_port

START_SECONDS = 30.0


class Sidecar:
    """`sidecar serve` with these settings, on a port of its own; `remove` at the end."""

    def __init__(self, before: Callable[[], None] | None = None, **settings: object) -> None:
        """Keep the settings; `before` is run in the process before the program."""
        self.port = free_port()
        self._before = before
        self._home = Path(tempfile.mkdtemp(prefix="sidecar-"))
        self._settings: dict[str, object] = {"listen_port": self.port, "log_format": "json", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self._home / "log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        """Start it on the data that are there."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
        given = {f"SIDECAR_{name.upper()}": str(value) for name, value in self._settings.items()}
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "sidecar", "serve"],
                env={**plain, "SIDECAR_DATA_DIR": str(self._home / "data"), **given},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._before,
                start_new_session=True,
            )

    async def ready(self, *parts: str) -> None:
        """Wait until it answers, and says of these parts that they are ok."""
        async with asyncio.timeout(START_SECONDS), ClientSession(self.url) as client:
            while not await self._is_ready(client, parts):
                await asyncio.sleep(0.05)

    async def _is_ready(self, client: ClientSession, parts: tuple[str, ...]) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log[-2_000:]
        try:
            async with client.get("/readyz") as response:
                found = await response.json()
        except (ClientError, OSError, ValueError):
            return False
        return all(found[part] == "ok" for part in parts)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Stop it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Throw its data directory away; it must not run."""
        shutil.rmtree(self._home / "data", ignore_errors=True)

    def remove(self) -> None:
        """End it and remove everything."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
