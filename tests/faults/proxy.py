"""A TCP proxy of our own, so that a line can be cut, or go dead, while both of its ends live."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from enum import StrEnum

from typing_extensions import override

from tests.servers.ports import free_port

HOST = "127.0.0.1"
NO_LINGER = struct.pack("ii", 1, 0)
"""A socket that is closed with this resets its connection."""


class Line(StrEnum):
    """What becomes of bytes on the way."""

    OPEN = "open"
    CUT = "cut"
    DEAD = "dead"


class Proxy:
    """Forwards a free port of 127.0.0.1 to another one, which may come and go."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.line = Line.CUT
        self._target_port = target_port
        self._sides: set[Side] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._word = b""
        self._is_said = asyncio.Event()

    async def heal(self) -> None:
        """Let everything through, from the first call on and after `cut` or `hang`."""
        self.line = Line.OPEN
        for side in self._sides:
            side.go_on()
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: Side(self, None), HOST, self.port)

    def hang(self) -> None:
        """Let connections be, and new ones come, but no byte through."""
        self.line = Line.DEAD
        for side in self._sides:
            side.wait()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self.line = Line.CUT
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._connecting:
            task.cancel()
        for side in list(self._sides):
            side.reset()

    async def flap(self, seconds: float, pause_seconds: float) -> None:
        """Reset every connection again and again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            self.cut()
            await self.heal()
            await asyncio.sleep(pause_seconds)

    async def close(self) -> None:
        """Cut, and wait for what was under way."""
        self.cut()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    async def trip(self, words: Sequence[bytes], delay_seconds: float) -> None:
        """Wait until clients have said these words, let them through, and reset every connection so much later.

        Without a delay the server does what it was told, and its answer is lost.
        """
        for word in words:
            self._word = word
            self._is_said.clear()
            await self._is_said.wait()
        await asyncio.sleep(delay_seconds)
        for side in list(self._sides):
            side.reset()

    def heard(self, data: bytes) -> None:
        """Look for the word in what a client says."""
        if self._word and self._word in data:
            self._word = b""
            self._is_said.set()

    def joined(self, side: "Side") -> None:
        """Note a new end of a connection."""
        self._sides.add(side)
        if self.line is Line.CUT:  # it had been accepted just before
            side.reset()
        elif side.other is None:
            side.wait()
            task = asyncio.create_task(self._connect(side))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        elif self.line is Line.DEAD:
            side.wait()
        else:
            side.other.go_on()

    def left(self, side: "Side") -> None:
        """Forget an end."""
        self._sides.discard(side)

    async def _connect(self, client: "Side") -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Side(self, client), HOST, self._target_port)
        except OSError:
            client.reset()


class Side(asyncio.Protocol):
    """One end of a connection: what it hears goes out at the other."""

    def __init__(self, proxy: Proxy, other: "Side | None") -> None:
        self.other = other
        self._proxy = proxy
        self._is_client = other is None
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.other is not None:
            self.other.other = self
        self._proxy.joined(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.is_open:
            self.other.write(data)
            if self._is_client:
                self._proxy.heard(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy.left(self)
        if self.other is None:
            return
        if exc is None:
            self.other.end()
        else:
            self.other.reset()

    @override
    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.wait()

    @override
    def resume_writing(self) -> None:
        if self.other is not None and self._proxy.line is Line.OPEN:
            self.other.go_on()

    @property
    def is_open(self) -> bool:
        """Whether it can still be written to."""
        return self._transport is not None and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send what the other end heard."""
        assert self._transport is not None
        self._transport.write(data)

    def wait(self) -> None:
        """Hear nothing for now: it stays with the sender."""
        if self._transport is not None and self.is_open:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Hear again, once there is somebody to tell."""
        if self._transport is not None and self.is_open and self.other is not None:
            self._transport.resume_reading()

    def end(self) -> None:
        """Close in order, after what is still to be sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close so that whoever is there gets an error."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._transport.abort()
