"""A sidecar that brings its stores along, Valkey as its child and SQLite, and the faults that can befall them."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis

from tests.faults.jobs import PROJECT
from tests.faults.patience import until
from tests.faults.plan import Fault, Kind, Target
from tests.faults.process import command_line
from tests.faults.program import Sidecar
from tests.faults.world import IS_AHEAD, LEVEL_SECONDS

CHILD_SECONDS = 10.0
LOST_SECONDS = 2.0
SHORT: Mapping[str, object] = {
    "finished_ttl_seconds": 2,
    "lost_seconds": LOST_SECONDS,
    "watchdog_interval_seconds": 1,
    "heartbeat_seconds": 2,
}
"""So short that jobs leave Redis, are lost and return while faults go on."""


@dataclass(frozen=True)
class EmbeddedWorld:
    """One sidecar, its child and its file."""

    sidecar: Sidecar

    @property
    def sidecars(self) -> Sequence[Sidecar]:
        """All of them: the one."""
        return [self.sidecar]

    @property
    def urls(self) -> list[str]:
        """Where clients go."""
        return [self.sidecar.url]

    async def is_level(self) -> bool:
        """Whether SQL has nothing that Redis has yet to be told."""

        def ask() -> bool:
            with closing(sqlite3.connect(self.sidecar.history, timeout=LEVEL_SECONDS)) as connection:
                return not connection.execute(f"SELECT {IS_AHEAD}").fetchone()[0]

        return await asyncio.to_thread(ask)

    def harmed(self, _: Fault) -> list[str]:
        """Return where those requests go that a fault strikes."""
        return self.urls

    async def strike(self, fault: Fault, fallen: Callable[[], None] = lambda: None) -> None:
        """Let a fault alone happen and be over; `fallen` is called when what was killed is dead."""
        valkey = await self.valkey() if fault.target is not Target.SIDECAR else 0
        match fault.target, fault.kind:
            case Target.SIDECAR, Kind.KILL:
                self.sidecar.kill()
                fallen()
                await self._start()
            case Target.SIDECAR, Kind.STOP:
                self.sidecar.pause()
                await asyncio.sleep(fault.seconds)
                self.sidecar.resume()
            case Target.BOTH, Kind.KILL:
                os.kill(valkey, signal.SIGKILL)
                self.sidecar.kill()
                fallen()
                await self._start()
            case Target.REDIS, Kind.KILL:
                os.kill(valkey, signal.SIGKILL)
                fallen()
                await until(lambda: valkey not in self.sidecar.children(), CHILD_SECONDS, "it is dead")
                await self.valkey()
            case Target.REDIS, Kind.STOP:
                os.kill(valkey, signal.SIGSTOP)
                await asyncio.sleep(fault.seconds)
                with suppress(ProcessLookupError):  # it dies with the sidecar
                    os.kill(valkey, signal.SIGCONT)
            case _:
                raise AssertionError(f"nobody knows how to {fault}")

    async def held(self) -> int:
        """Return how many jobs Valkey holds."""
        async with await self.client() as client:
            return len([key async for key in client.scan_iter(f"progress:{{{PROJECT}}}:job:*")])

    async def client(self) -> Redis:
        """Return a client of Valkey."""
        title = command_line(await self.valkey())
        return Redis.from_url(f"unix://{quote(title.partition('unixsocket:')[2])}")

    async def _start(self) -> None:
        self.sidecar.start()
        await self.sidecar.ready()

    async def valkey(self) -> int:
        """Return the child, once there is one."""
        await until(lambda: bool(self.sidecar.children()), CHILD_SECONDS, "there is a Valkey")
        return self.sidecar.children()[0]


@asynccontextmanager
async def embedded_world(home: Path) -> AsyncIterator[EmbeddedWorld]:
    """Run it while inside."""
    sidecar = Sidecar(home / "sidecar", **SHORT)
    try:
        sidecar.start()
        await sidecar.ready()
        yield EmbeddedWorld(sidecar)
    finally:
        sidecar.kill()
