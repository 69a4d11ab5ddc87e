"""Reads on their way to a store: what is asked for while a call is under way is read together in the next one.

A read of its own for each costs a store a thousandth of a second and more: a thousand clients that come back at once
would keep it from answering in time, and be told that it is away.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from sidecar.core.errors import Overloaded, StoreUnavailable

READS_A_CALL = 128
READS_WAITING = 16_384
"""Beyond it callers are told to come back."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Asked(NamedTuple, Generic[K, V]):
    """What somebody asks for, and waits until `due` (of the event loop's clock) at most for its call to begin."""

    key: K
    answer: "asyncio.Future[V | None]"
    due: float


class ReadQueue(Generic[K, V]):
    """A bounded queue, emptied by one task; what is answered was read after it had been asked for.

    `read` returns what there is of what it is given, and raises `StoreUnavailable` when the store does not answer
    within its deadline.
    """

    def __init__(
        self,
        read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        timeout_seconds: float,
        error: type[StoreUnavailable] = StoreUnavailable,
    ) -> None:
        """Keep the parts; `error` is raised for a read that has waited too long for its turn."""
        self._read = read
        self._timeout_seconds = timeout_seconds
        self._error = error
        self._waiting: deque[Asked[K, V]] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return what there is under a key, None if there is nothing. Raises an `Unavailable`."""
        if len(self._waiting) >= READS_WAITING:
            raise Overloaded("too many reads are under way")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append(Asked(key, answer, loop.time() + self._timeout_seconds))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_until_empty(), name="read-together")
        return await answer

    async def _read_until_empty(self) -> None:
        batch: list[Asked[K, V]] = []
        try:
            while self._waiting:
                batch = self._taken()
                try:
                    await self._answer(batch)
                except StoreUnavailable as error:
                    left, self._waiting = self._waiting, deque()
                    _fail(chain(batch, left), error)  # who has waited for it once need not do so again
        finally:
            self._reading = None
            left, self._waiting = self._waiting, deque()
            _fail(chain(batch, left), self._error("the read broke off"))

    def _taken(self) -> list[Asked[K, V]]:
        """Take what is read in one call, but whose caller has gone or what has waited too long."""
        now = asyncio.get_running_loop().time()
        batch: list[Asked[K, V]] = []
        while self._waiting and len(batch) < READS_A_CALL:
            asked = self._waiting.popleft()
            if asked.due < now:
                _fail([asked], self._error("the store is too slow: the read waited too long for its turn"))
            elif not asked.answer.done():
                batch.append(asked)
        return batch

    async def _answer(self, batch: Sequence[Asked[K, V]]) -> None:
        """Read together; what cannot be read harms nothing else."""
        try:
            found = await self._read(list(dict.fromkeys(asked.key for asked in batch))) if batch else {}
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it is told to whoever has asked for that
            if len(batch) == 1:
                _fail(batch, error)
            else:
                for asked in batch:
                    await self._answer([asked])
            return
        for asked in batch:
            if not asked.answer.done():
                asked.answer.set_result(found.get(asked.key))


def _fail(batch: Iterable[Asked[K, V]], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            asked.answer.set_exception(error)
