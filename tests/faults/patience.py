"""Waiting for something to hold, for no longer than it may take."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

LOOK_SECONDS = 0.02


async def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something holds; raises `AssertionError` if it does not in time."""

    async def look() -> bool:
        return holds()

    await until_found(look, seconds, lambda: what)


async def until_found(look: Callable[[], Awaitable[bool]], seconds: float, what: Callable[[], str]) -> None:
    """Look again and again until it is so; `what` is asked for the message when it is not in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await look():
                    return
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what()}") from None


class Awaited:
    """Things of which each has to hold once."""

    def __init__(self, wanted: Iterable[str], holds: Callable[[str], Awaitable[bool]]) -> None:
        self.missing = set(wanted)
        self._holds = holds

    async def have_come(self) -> bool:
        """Look at those that are missing; true if none is any more."""
        for each in sorted(self.missing):
            if await self._holds(each):
                self.missing.discard(each)
        return not self.missing
