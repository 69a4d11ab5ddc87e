"""The connection to Redis: a few connections, a deadline on everything, and our own errors."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import BusyLoadingError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sidecar.core.errors import StoreRefused, StoreUnavailable

CONNECTIONS = 8
REFUSALS = ("OOM", "MISCONF", "READONLY", "NOREPLICAS", "NOAUTH", "NOPERM")


@dataclass(slots=True)
class ServerRun:
    """The run id of the server that the newest connection reached; another one means that it was restarted."""

    run_id: str = ""


class RedisLink:
    """One client for commands and one for subscriptions, both against the same server."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Prepare the pools; nothing connects before the first command."""
        self.timeout_seconds = timeout_seconds
        self._run = ServerRun()
        options: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
        }
        self.commands = Redis(
            connection_pool=BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=timeout_seconds,
                redis_connect_func=self._greet,
                **options,
            )
        )
        self.subscriptions = Redis.from_url(url, health_check_interval=10, **options)

    @property
    def run_id(self) -> str:
        """Return the run id of the server, empty before the first connection."""
        return self._run.run_id

    def script(self, name: str) -> AsyncScript:
        """Return the Lua script that lies beside this module."""
        return self.commands.register_script(files("sidecar.adapters").joinpath(name).read_bytes())

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Bound what is awaited inside and turn the library's errors into ours."""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                yield
        except (TimeoutError, RedisTimeoutError) as error:
            message = f"Redis did not answer within {self.timeout_seconds:g} s"
            raise StoreUnavailable(message) from error
        except (RedisConnectionError, BusyLoadingError, OSError) as error:
            message = f"Redis is away: {_first_line(error)}"
            raise StoreUnavailable(message) from error
        except ReadOnlyError as error:
            raise StoreRefused(_first_line(error)) from error
        except ResponseError as error:
            if not str(error).startswith(REFUSALS):
                raise
            raise StoreRefused(_first_line(error)) from error

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the server answers, `StoreRefused` if it asks for other credentials."""
        async with self.deadline():
            await self.commands.execute_command("PING")

    async def settings(self, *names: str) -> Mapping[str, str]:
        """Return settings of the server, as far as it lets us ask."""
        async with self.deadline():
            try:
                answer = await self.commands.config_get(*names)
            except ResponseError:
                return {}
        return {_text(name): _text(value) for name, value in answer.items()}

    async def close(self) -> None:
        """Close every connection."""
        for client in (self.commands, self.subscriptions):
            try:
                await client.aclose()
            except (RedisError, OSError):
                continue  # it is closed either way
            finally:
                await client.connection_pool.disconnect()

    async def _greet(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info = _text(await connection.read_response())
        lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        self._run.run_id = lines.get("run_id", "")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
