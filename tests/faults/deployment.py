"""A whole deployment of real processes, with a proxy before each of them, and the faults that befall it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from typing import Protocol

from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.sidecar import Sidecar
from tests.servers.valkey import Valkey

DATABASE = "sidecar"


class Victim(StrEnum):
    """What a fault befalls."""

    SIDECAR = "sidecar"
    REDIS = "redis"
    POSTGRES = "postgres"


class Kind(StrEnum):
    """What happens to it."""

    KILL = "kill"
    STOP = "stop"
    EMPTY = "empty"
    CUT = "cut"


class Server(Protocol):
    """A process that can suffer."""

    def start(self) -> None:
        """Start it."""
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


class Deployment:
    """A sidecar, Valkey and PostgreSQL."""

    def __init__(self, valkey: Valkey, postgres: Postgres, sidecar: Sidecar, proxies: dict[Victim, Proxy]) -> None:
        self.valkey = valkey
        self.postgres = postgres
        self.sidecar = sidecar
        self.proxies = proxies
        self._servers: dict[Victim, Server] = {
            Victim.SIDECAR: sidecar,
            Victim.REDIS: valkey,
            Victim.POSTGRES: postgres,
        }

    @property
    def url(self) -> str:
        """Where clients reach the sidecar."""
        return f"http://127.0.0.1:{self.proxies[Victim.SIDECAR].port}"

    async def suffer(self, victim: Victim, kind: Kind, seconds: float) -> None:
        """Let a fault happen that lasts so long, and end it."""
        server, proxy = self._servers[victim], self.proxies[victim]
        if kind is Kind.STOP:
            server.pause()
            await asyncio.sleep(seconds)
            server.resume()
        elif kind is Kind.CUT:
            proxy.cut()
            await asyncio.sleep(seconds)
            proxy.heal()
        else:
            server.kill()
            if kind is Kind.EMPTY:
                server.empty()
            server.start()
            if victim is Victim.POSTGRES and kind is Kind.EMPTY:
                await self.postgres.ready()
                await self.postgres.database(DATABASE)

    async def recovered(self) -> None:
        """Wait until the sidecar says that it has both stores."""
        await self.sidecar.ready("redis", "sql", "listener")


@asynccontextmanager
async def deployed(
    valkey: Valkey | None = None, start: Callable[[Sidecar], Awaitable[None]] | None = None, **settings: object
) -> AsyncIterator[Deployment]:
    """Run a deployment while inside."""
    async with AsyncExitStack() as stack:
        valkey, postgres = valkey or Valkey(), Postgres()
        for server in (valkey, postgres):
            stack.callback(server.remove)
            server.start()
        await postgres.ready()
        await postgres.database(DATABASE)
        redis_port = await stack.enter_async_context(Proxy(lambda: valkey.port).running())
        postgres_port = await stack.enter_async_context(Proxy(lambda: postgres.port).running())
        sidecar = Sidecar(
            redis_url=f"redis://127.0.0.1:{redis_port.port}/0",
            database_url=f"postgresql://postgres@127.0.0.1:{postgres_port.port}/{DATABASE}",
            **settings,
        )
        stack.callback(sidecar.remove)
        sidecar.start()
        front = await stack.enter_async_context(Proxy(lambda: sidecar.port).running())
        proxies = {Victim.SIDECAR: front, Victim.REDIS: redis_port, Victim.POSTGRES: postgres_port}
        deployment = Deployment(valkey, postgres, sidecar, proxies)
        await deployment.recovered()
        yield deployment
