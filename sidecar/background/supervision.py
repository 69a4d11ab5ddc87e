"""Loops that must never end: logged and counted when they crash, and started again."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from sidecar.core.errors import SidecarError, StoreUnavailable
from sidecar.ports import Metrics
from sidecar.tasks import ended

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
LAG_SECONDS = 0.5
LAGS_A_NOTE = 10

HEALTHY_SECONDS = 10.0
"""A loop that ran this long begins with the first pause again."""

TRY_AGAIN_SECONDS = 0.2
"""How long after a store was not there it is asked again."""

Loop = Callable[[], Awaitable[None]]


class Returning(Protocol):
    """What goes away and comes back: a store, as its breaker sees it."""

    async def until_back(self) -> None:
        """Wait until it is there."""
        ...


@asynccontextmanager
async def looping(name: str, loop: Loop, metrics: Metrics) -> AsyncIterator[None]:
    """Run a supervised loop while inside."""
    task = asyncio.create_task(supervise(name, loop, metrics), name=name)
    try:
        yield
    finally:
        await ended(task)


async def patient(loop: Loop, *needed: Returning) -> None:
    """Run a loop while the stores are there that it needs; that one goes away is no crash."""
    while True:
        for each in needed:
            await each.until_back()
        try:
            await loop()
        except StoreUnavailable as error:
            logger.debug("a loop waits for a store", extra={"fields": {"error": str(error)}})
            await asyncio.sleep(TRY_AGAIN_SECONDS)


async def supervise(
    name: str,
    loop: Loop,
    metrics: Metrics,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run `loop` for ever: log and count each crash, pause (0.1 s doubling to 5 s), and run it again.

    A loop that returns is run again too. Ends only by cancellation.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = clock()
        try:
            await loop()
        except Exception as error:  # the one place that catches whatever a loop can raise
            metrics.loop_crashed(name)
            told = {"loop": name, "error": _told(error)}
            if isinstance(error, SidecarError):
                logger.warning("a background loop crashed", extra={"fields": told})
            else:  # a mistake of ours
                logger.exception("a background loop crashed", extra={"fields": told})
        if clock() - began > HEALTHY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


async def measure_lag(metrics: Metrics, every_seconds: float = LAG_SECONDS) -> None:
    """Note how late the event loop comes back from a sleep, the worst of each ten; for ever."""
    clock = asyncio.get_running_loop().time
    while True:
        worst = 0.0
        for _ in range(LAGS_A_NOTE):
            due = clock() + every_seconds
            await asyncio.sleep(every_seconds)
            worst = max(worst, clock() - due)
        metrics.loop_lagged(worst)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
