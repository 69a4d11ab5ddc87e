"""All the servers of one deployment, each behind a proxy, and the faults that can befall them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, assert_never

import asyncpg

from tests.faults.plan import OF_A_LINE, Fault, Kind, Target
from tests.faults.program import Sidecar
from tests.faults.proxy import HOST, Proxy
from tests.faults.valkey import Valkey
from tests.servers.postgres import Postgres

DATABASE = "postgres"
"""The one that an emptied server has too."""

FLAP_SECONDS = 0.1
LEVEL_SECONDS = 10.0
IS_AHEAD = "EXISTS (SELECT 1 FROM jobs WHERE is_ahead) OR EXISTS (SELECT 1 FROM tombstones WHERE is_ahead)"
SETTINGS: Mapping[str, object] = {"store_timeout_seconds": 1, "finished_ttl_seconds": 3600, "heartbeat_seconds": 2}


class Server(Protocol):
    """What faults can be done to."""

    def start(self) -> None:
        """Start it, on the data that are there."""
        ...

    async def ready(self) -> None:
        """Wait until it answers."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def pause(self) -> None:
        """Stop it."""
        ...

    def resume(self) -> None:
        """Let it go on."""
        ...

    def empty(self) -> None:
        """Throw its data away."""
        ...


@dataclass(frozen=True)
class Conditions:
    """What a deployment runs under; `valkey_environment` can hold an LD_PRELOAD.

    Of several sidecars only the first suffers; a line to a store that is cut, is cut for it alone.
    """

    sidecars: int = 1

    appendfsync: str = "always"
    valkey_environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)


ORDINARY = Conditions()


@dataclass(frozen=True)
class World:
    """Sidecars with their two stores, and the proxies by which the first of them and its clients reach the others."""

    sidecars: Sequence[Sidecar]
    servers: Mapping[Target, Server]
    lines: Mapping[Target, Proxy]
    database_url: str

    @property
    def urls(self) -> list[str]:
        """Where clients go: to the first sidecar over a line that can be cut."""
        return [f"http://{HOST}:{self.lines[Target.SIDECAR].port}", *(each.url for each in self.sidecars[1:])]

    async def is_level(self) -> bool:
        """Whether SQL has nothing that Redis has yet to be told."""
        connection = await asyncpg.connect(self.database_url, timeout=LEVEL_SECONDS)
        try:
            return not await connection.fetchval(f"SELECT {IS_AHEAD}", timeout=LEVEL_SECONDS)
        finally:
            await connection.close()

    def harmed(self, fault: Fault) -> list[str]:
        """Return where those requests go that a fault strikes.

        A store that fails, fails for all sidecars; a sidecar, and a line that is cut, for the first one alone.
        """
        is_for_all = fault.target is not Target.SIDECAR and fault.kind not in OF_A_LINE
        return self.urls if is_for_all else self.urls[:1]

    async def strike(self, fault: Fault, fallen: Callable[[], None] = lambda: None) -> None:
        """Let a fault alone happen and be over; `fallen` is called when what was killed is dead."""
        server, line = self.servers[fault.target], self.lines[fault.target]
        match fault.kind:
            case Kind.KILL | Kind.EMPTY:
                server.kill()
                fallen()
                if fault.kind is Kind.EMPTY:
                    server.empty()
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(server.start)
                await server.ready()
            case Kind.STOP:
                server.pause()
                await asyncio.sleep(fault.seconds)
                server.resume()
            case Kind.CUT:
                line.cut()
                await asyncio.sleep(fault.seconds)
                await line.heal()
            case Kind.HANG:
                line.hang()
                await asyncio.sleep(fault.seconds)
                await line.heal()
            case Kind.FLAP:
                await line.flap(fault.seconds, FLAP_SECONDS)
            case _:
                assert_never(fault.kind)


@asynccontextmanager
async def world(home: Path, conditions: Conditions = ORDINARY) -> AsyncIterator[World]:
    """Run a deployment while inside; nothing of it is left afterwards, however that goes."""
    async with AsyncExitStack() as stack:
        valkey = Valkey(home / "valkey", conditions.appendfsync, conditions.valkey_environment)
        postgres = Postgres()
        stack.callback(postgres.remove)
        redis_line, postgres_line = [await _opened(stack, Proxy(server.port)) for server in (valkey, postgres)]
        sidecars = [
            Sidecar(
                home / f"sidecar-{number}",
                redis_url=f"redis://{HOST}:{redis_port}/0",
                database_url=f"postgresql://postgres@{HOST}:{postgres_port}/{DATABASE}",
                **{**SETTINGS, **conditions.settings},
            )
            for number, (redis_port, postgres_port) in enumerate(
                [(redis_line.port, postgres_line.port)] + [(valkey.port, postgres.port)] * (conditions.sidecars - 1)
            )
        ]
        front = await _opened(stack, Proxy(sidecars[0].port))
        starting: list[Server] = [valkey, postgres, *sidecars]
        for server in starting:
            stack.callback(server.kill)
            await asyncio.to_thread(server.start)
            await server.ready()
        servers: dict[Target, Server] = {Target.SIDECAR: sidecars[0], Target.REDIS: valkey, Target.POSTGRES: postgres}
        lines = {Target.SIDECAR: front, Target.REDIS: redis_line, Target.POSTGRES: postgres_line}
        yield World(sidecars, servers, lines, postgres.url(DATABASE))


async def _opened(stack: AsyncExitStack, line: Proxy) -> Proxy:
    stack.push_async_callback(line.close)
    await line.heal()
    return line
