"""Whether a store is there: after some failures nobody waits for it any more, until it has answered for a while."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from sidecar.core.errors import StoreUnavailable, Unavailable

logger = logging.getLogger(__name__)

FAILURES = 3
SILENT_SECONDS = 3.0
"""A store is away after so many failures, or one when it has answered nothing for so long."""

BACK_SECONDS = 3.0
"""It is back when it has answered every probe for so long."""

PROBE_SECONDS = 0.5
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 4.0

Work = Callable[[], Awaitable[None]]


class Breaker:
    """The circuit breaker of one store: closed while it answers, open while it is away.

    Whoever calls the store reports `failed` and `answered`, and asks `check` before. `watch` notices silence and
    closes the breaker again.
    """

    def __init__(
        self, store: str, back_seconds: float = BACK_SECONDS, error: type[StoreUnavailable] = StoreUnavailable
    ) -> None:
        """Begin closed; `store` is what the messages call it, `error` what `check` raises."""
        self._store = store
        self._error = error
        self._back_seconds = back_seconds
        self._failures = 0
        self._answered_at = time.monotonic()
        self._away = asyncio.Event()
        self._back = asyncio.Event()
        self._back.set()

    @property
    def is_away(self) -> bool:
        """Whether nobody should wait for the store."""
        return self._away.is_set()

    async def until_away(self) -> None:
        """Wait until the store is away."""
        await self._away.wait()

    async def until_back(self) -> None:
        """Wait until it is there."""
        await self._back.wait()

    def check(self) -> None:
        """Raise `StoreUnavailable` while the store is away."""
        if self._away.is_set():
            raise self._error(f"{self._store} is away")

    def answered(self) -> None:
        """Note an answer."""
        self._failures = 0
        self._answered_at = time.monotonic()

    def failed(self) -> None:
        """Note that no answer came."""
        self._failures += 1
        if self._failures >= FAILURES or time.monotonic() - self._answered_at >= SILENT_SECONDS:
            self.open("it does not answer")

    def open(self, reason: str) -> None:
        """Let nobody wait for the store from now on."""
        if not self._away.is_set():
            logger.warning("a store is away", extra={"fields": {"store": self._store, "reason": reason}})
            self._back.clear()
            self._away.set()

    async def watch(self, probe: Work, prepare: Work) -> None:
        """Probe the store for ever; close the breaker once it answers again and `prepare` has been done."""
        while True:
            while not self.is_away:
                await asyncio.sleep(PROBE_SECONDS * 2)
                await self._is_there(probe)
            await self._until_it_answers(probe)
            try:
                await prepare()
            except Unavailable as error:
                logger.warning("a store went away again", extra={"fields": {"store": self._store, "error": str(error)}})
                continue
            self.close()

    async def pass_by(self) -> None:
        """Prepare nothing: the store may serve again as soon as it answers."""

    async def _until_it_answers(self, probe: Work) -> None:
        """Return once every probe was answered for a while; ask ever more seldom while none is."""
        clock, pause = time.monotonic, FIRST_PAUSE_SECONDS
        good_since: float | None = None
        while good_since is None or clock() - good_since < self._back_seconds:
            if await self._is_there(probe):
                good_since, pause = good_since or clock(), PROBE_SECONDS
                await asyncio.sleep(min(PROBE_SECONDS, self._back_seconds))
            else:
                good_since = None
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    async def _is_there(self, probe: Work) -> bool:
        try:
            await probe()
        except StoreUnavailable:
            self.failed()
            return False
        self.answered()
        return True

    def close(self) -> None:
        """Let everybody call the store again."""
        if not self._away.is_set():
            return
        logger.warning("a store is back", extra={"fields": {"store": self._store}})
        self.answered()
        self._away.clear()
        self._back.set()
