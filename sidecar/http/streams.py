"""Which streams are open: how many there may be, and when each has to end."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import NamedTuple, Self

from sidecar.http.auth import Principal
from sidecar.hub.watcher import EndedError

LIFETIME_SPREAD = 0.1
"""By how much of it a lifetime is longer or shorter, so that streams that began together do not end together."""

LOOK_SECONDS = 1.0

End = Callable[[str], None]


class Limits(NamedTuple):
    """How many streams may be open at a time: in all, by one token, from one address."""

    most: int = 10_000
    most_a_token: int | None = None
    most_an_address: int | None = None


class FullError(Exception):
    """One more stream would be too many, or the server is about to stop."""


class Stream:
    """One that is open, while inside of it; whoever serves it lets itself be told when it has to end."""

    __slots__ = ("_ends", "_reason", "_streams", "_woken", "address", "began_at", "ends_at", "principal")

    def __init__(self, streams: "Streams", principal: Principal, address: str, began_at: float, ends_at: float) -> None:
        """Begin; the right that let it in is that of `principal`."""
        self.principal = principal
        self.address = address
        self.began_at = began_at
        self.ends_at = ends_at
        self._streams = streams
        self._reason: str | None = None
        self._ends: tuple[End, ...] = ()
        self._woken: asyncio.Event | None = None

    def __enter__(self) -> Self:
        """Count it."""
        self._streams.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Count it no more, and let go of whoever was to be told."""
        self._ends = ()
        self._streams.remove(self)

    @property
    def reason(self) -> str | None:
        """Why it has to end, None while it need not."""
        return self._reason

    def end(self, reason: str) -> None:
        """End it; the first reason counts."""
        if self._reason is None:
            self._reason = reason
            for tell in self._ends:
                tell(reason)
            if self._woken is not None:
                self._woken.set()

    def on_end(self, tell: End) -> None:
        """Let somebody be told the reason, at once if it has ended."""
        self._ends += (tell,)
        if self._reason is not None:
            tell(self._reason)

    def forget(self, tell: End) -> None:
        """Let somebody be told no more."""
        self._ends = tuple(each for each in self._ends if each != tell)

    async def pause(self, seconds: float) -> None:
        """Wait; raises `EndedError` as soon as it has to end."""
        self._woken = self._woken or asyncio.Event()
        if self._reason is None:
            await _within(seconds, self._woken)
        if self._reason is not None:
            raise EndedError(self._reason)


class Streams:
    """All that are open, each inside of a `with`."""

    def __init__(
        self,
        limits: Limits,
        lifetime_seconds: float = inf,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow so many; each lives for about `lifetime_seconds`. `now` gives Unix seconds."""
        self._limits = limits
        self._lifetime_seconds = lifetime_seconds
        self._now = now
        self._clock = clock
        self._open: set[Stream] = set()
        self._by_token: Counter[str] = Counter()
        self._by_address: Counter[str] = Counter()
        self._is_draining = False

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def is_draining(self) -> bool:
        """Whether no stream may open any more."""
        return self._is_draining

    def is_full(self, principal: Principal, address: str) -> bool:
        """Whether another one of this client would be too many."""
        most, most_a_token, most_an_address = self._limits
        return (
            self._is_draining
            or len(self._open) >= most
            or (most_a_token is not None and bool(principal.key) and self._by_token[principal.key] >= most_a_token)
            or (most_an_address is not None and self._by_address[address] >= most_an_address)
        )

    def opened(self, principal: Principal, address: str) -> Stream:
        """Return a new one, to be counted while inside. Raises `FullError`."""
        if self.is_full(principal, address):
            raise FullError
        now = self._clock()
        return Stream(self, principal, address, now, now + self._lifetime())

    def age_seconds(self, stream: Stream) -> float:
        """Return for how long a stream has been open."""
        return self._clock() - stream.began_at

    def add(self, stream: Stream) -> None:
        """Count one that begins."""
        self._open.add(stream)
        self._by_token[stream.principal.key] += 1
        self._by_address[stream.address] += 1

    def remove(self, stream: Stream) -> None:
        """Count one no more."""
        self._open.discard(stream)
        for counter, key in ((self._by_token, stream.principal.key), (self._by_address, stream.address)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    async def watch(self) -> None:
        """End the streams whose time has come, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now, clock = self._now(), self._clock()
            for stream in list(self._open):
                if stream.principal.expires_at <= now:
                    stream.end("expired")
                elif stream.ends_at <= clock:
                    stream.end("lifetime")

    def revoke(self, is_valid: Callable[[Principal], bool]) -> None:
        """End the streams of those who may not see any more what they may see now."""
        for stream in list(self._open):
            if not is_valid(stream.principal):
                stream.end("expired")

    async def drain(self, seconds: float) -> None:
        """Let no stream open any more, and end those that are open one after another within so many seconds."""
        self._is_draining = True
        rest = random.sample(list(self._open), len(self._open))
        for number, stream in enumerate(rest, 1):
            await asyncio.sleep(seconds / len(rest) if number > 1 else 0)
            stream.end("shutdown")

    def _lifetime(self) -> float:
        return self._lifetime_seconds * random.uniform(1 - LIFETIME_SPREAD, 1 + LIFETIME_SPREAD)  # noqa: S311 - jitter


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
