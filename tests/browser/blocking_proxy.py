"""A proxy between a browser and a sidecar that behaves as badly as those of companies do."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
READ_BYTES = 65536
MOST_HEAD_BYTES = 65536

REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BlockingProxy:
    """Forwards a port of 127.0.0.1 to another one; each connection serves one request, as of an HTTP/1.0 proxy."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        """Where new connections go; it may be changed."""
        self.is_blocking_streams = False
        """Whether new event streams get their headers and then nothing, as where a proxy waits for the whole body."""
        self.is_refusing_websockets = False
        """Whether upgrades are answered with 403."""
        self.streams_blocked = 0
        self.websockets_refused = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where browsers go."""
        assert self._server is not None
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, limit=MOST_HEAD_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every connection at once; new ones are served."""
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._forward(reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        self._writers.discard(writer)
        self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_upgrade = b"\r\nupgrade: websocket\r\n" in head.lower()
        if is_upgrade and self.is_refusing_websockets:
            self.websockets_refused += 1
            writer.write(REFUSED)
            return
        answers, upstream = await asyncio.open_connection(HOST, self.target_port, limit=MOST_HEAD_BYTES)
        try:
            upstream.write(head if is_upgrade else _for_one_request(head))
            await _until_one_ends(_copied(reader, upstream), self._answered(answers, writer))
        finally:
            upstream.transport.abort()

    async def _answered(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await answers.readuntil(b"\r\n\r\n")
        writer.write(head)
        if self.is_blocking_streams and b"\r\ncontent-type: text/event-stream" in head.lower():
            self.streams_blocked += 1
            await asyncio.get_running_loop().create_future()
        await _copied(answers, writer)


def _for_one_request(head: bytes) -> bytes:
    """Ask the server to close after its answer, so that no second request comes on this connection."""
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()


async def _until_one_ends(*directions: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.create_task(each) for each in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
