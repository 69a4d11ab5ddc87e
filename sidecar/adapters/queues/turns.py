"""Whose turn it is: so many calls go to a store at a time, and the rest wait here.

A call's deadline begins with its turn. Otherwise a crowd, which keeps this process busy, would make every call late,
and the store would be taken to be away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.core.errors import Overloaded, Unavailable

CALLS_WAITING = 1_024
"""Beyond it callers are told to come back."""

CALLS_LONG = 5.0
"""How long a call waits for its turn, in multiples of what a call may take."""


class Turns:
    """At most `at_a_time` calls inside; one that waits for longer than some calls may take is refused."""

    def __init__(self, at_a_time: int, call_seconds: float, error: type[Unavailable] = Overloaded) -> None:
        """Begin with nobody inside; `error` is what those are told who get no turn."""
        self._free = asyncio.Semaphore(at_a_time)
        self._seconds = CALLS_LONG * call_seconds
        self._error = error
        self._waiting = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Be inside as long as the block lasts. Raises the error."""
        await self._wait()
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self) -> None:
        if self._waiting >= CALLS_WAITING:
            raise self._error("too many calls wait for their turn")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise self._error(f"too much is asked for: no turn within {self._seconds:g} s") from None
        finally:
            self._waiting -= 1
