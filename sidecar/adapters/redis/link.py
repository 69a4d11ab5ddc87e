"""The connection to Redis: a few connections, a deadline on everything, and our own errors."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from importlib.resources import files
from typing import Any
from weakref import WeakKeyDictionary

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sidecar.adapters.failover.breaker import Breaker
from sidecar.core.errors import StoreRefused, StoreUnavailable

CONNECTIONS = 8
REFUSALS = (OutOfMemoryError, ReadOnlyError, NoPermissionError)
REFUSAL_CODES = ("OOM", "MISCONF", "NOREPLICAS")
"""Refusals for which the library has no class of its own."""


Client = Any
"""redis-py's client; its annotations cannot say that replies are bytes here, not text."""


Arguments = Callable[[str], Sequence[Any]]
"""Makes a script's arguments of the run id of the server that will run it."""


class Script:
    """A Lua script that lies beside this module, and the digest under which servers remember it."""

    def __init__(self, name: str) -> None:
        """Keep the name; the script is read when it is first used."""
        self._name = name

    @cached_property
    def text(self) -> bytes:
        """The script itself."""
        return files("sidecar.adapters.redis").joinpath(self._name).read_bytes()

    @cached_property
    def digest(self) -> str:
        """The SHA-1 of the script, by which EVALSHA knows it."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


class RedisLink:
    """One client for commands and one for subscriptions, both against the same server."""

    def __init__(self, url: str, timeout_seconds: float, breaker: Breaker | None = None) -> None:
        """Prepare the pools; nothing connects before the first command.

        With a breaker nobody waits for a server that is away, nor talks to one that was not trusted (`trust`).
        """
        self.timeout_seconds = timeout_seconds
        self.run_id = ""
        self._breaker = breaker
        self._run_ids: WeakKeyDictionary[AbstractConnection, str] = WeakKeyDictionary()
        options: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
        }
        self.commands: Client = Redis(
            connection_pool=BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=timeout_seconds,
                redis_connect_func=self._greet,
                **options,
            )
        )
        self.subscriptions: Client = Redis.from_url(url, protocol=2, **options)

    async def evaluate(self, script: Script, keys: Sequence[str], arguments: Arguments) -> Any:
        """Run a script once; see `evaluate_all`."""
        answer = (await self.evaluate_all(script, [(keys, arguments)]))[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def evaluate_all(self, script: Script, calls: Sequence[tuple[Sequence[str], Arguments]]) -> list[Any]:
        """Run a script some times in one round trip, each with keys of one slot; an error takes its answer's place.

        Each call makes its arguments of the run id of the very server that will run it. That is why the connection
        comes first: one that was lost is opened anew before they are made.
        """
        pool = self.commands.connection_pool
        connection = await pool.get_connection()
        try:
            run_id = self._run_ids.get(connection, "")
            parts = [(len(keys), *keys, *arguments(run_id)) for keys, arguments in calls]
            answers = await _answers(connection, [("EVALSHA", script.digest, *each) for each in parts])
            unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                again = await _answers(connection, [("EVAL", script.text, *parts[number]) for number in unknown])
                answers = [dict(zip(unknown, again, strict=True)).get(n, answer) for n, answer in enumerate(answers)]
        finally:
            await pool.release(connection)
        return [_ours(answer) if isinstance(answer, ResponseError) else answer for answer in answers]

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Bound what is awaited inside and turn the library's errors into ours."""
        if self._breaker is None:
            async with self._translated():
                yield
            return
        self._breaker.check()
        try:
            async with self._translated():
                yield
        except StoreUnavailable:
            self._breaker.failed()
            raise
        self._breaker.answered()

    async def trust(self, run_id: str) -> None:
        """Talk to this server, on new connections: what it may have lost has been made good."""
        self.run_id = run_id
        await self.commands.connection_pool.disconnect()

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                yield
        except (TimeoutError, RedisTimeoutError) as error:
            message = f"Redis did not answer within {self.timeout_seconds:g} s"
            raise StoreUnavailable(message) from error
        except (RedisConnectionError, BusyLoadingError, OSError) as error:
            message = f"Redis is away: {_first_line(error)}"
            raise StoreUnavailable(message) from error
        except ResponseError as error:
            raise _ours(error) from error

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
        self._meet(connection, lines.get("run_id", ""))

    def _meet(self, connection: AbstractConnection, run_id: str) -> None:
        """Note which server this is; one that was started anew may have lost what it had acknowledged."""
        self._run_ids[connection] = run_id
        if self._breaker is None or run_id == self.run_id:
            self.run_id = run_id
        elif self.run_id:
            self._breaker.open("the server was started anew")
            raise RedisConnectionError("the server was started anew")
        else:
            self.run_id = run_id


async def _answers(connection: AbstractConnection, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Send commands together and return their answers; the error of one takes its answer's place.

    They are packed in C: redis-py's own packing takes 40 us for a job's fourteen arguments, this 2.
    """
    await connection.send_packed_command([pack_command(tuple(command)) for command in commands])
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


def _ours(error: ResponseError) -> Exception:
    """Return a refusal of the server as our error, anything else as it is: that is a mistake of ours."""
    if isinstance(error, REFUSALS) or str(error).startswith(REFUSAL_CODES):
        return StoreRefused(f"Redis takes no writes: {_first_line(error)}")
    return error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
