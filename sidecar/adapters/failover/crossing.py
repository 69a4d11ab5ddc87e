"""The moment in which Redis takes over from SQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sidecar.core.errors import StoreUnavailable

CROSSING_SECONDS = 10.0
"""How long a return of Redis waits for what SQL is just taking."""


class Crossing:
    """Lets SQL take changes, until it is closed for the moment in which Redis takes over.

    Nobody waits for that longer than for a call of a store. A change that has is taken by SQL after all: it is kept
    there as ahead of Redis, which the recorder tells of it half a second later.
    """

    def __init__(self, wait_seconds: float) -> None:
        """Begin open; a change waits at most so long."""
        self._wait_seconds = wait_seconds
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._is_open = asyncio.Event()
        self._is_open.set()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take a change inside."""
        if not self._is_open.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_seconds):
                    await self._is_open.wait()
        self._inside += 1
        self._is_empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_empty.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Let nobody in while inside, once those who were have come out."""
        self._is_open.clear()
        try:
            async with asyncio.timeout(CROSSING_SECONDS):
                await self._is_empty.wait()
            yield
        except TimeoutError as error:
            raise StoreUnavailable("SQL is still taking changes") from error
        finally:
            self._is_open.set()
