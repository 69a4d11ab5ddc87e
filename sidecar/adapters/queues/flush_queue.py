"""Changes on their way to a store: what arrives while a call is under way goes out together in the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from itertools import chain

from sidecar.adapters.queues.pending import Change, Together, taken
from sidecar.core.errors import Overloaded, SidecarError, StoreUnavailable
from sidecar.ports import ChangeJob, Written

logger = logging.getLogger(__name__)

CHANGES_IN_FLIGHT = 4_096
"""Beyond it callers wait for a place, with the deadline of a store call."""

Flush = Callable[[list[Change]], Awaitable[None]]
"""Writes changes and answers them, but those that it puts back; raises when the store is away."""


class FlushQueue:
    """A bounded queue, emptied by one task; a caller that goes away harms nobody."""

    def __init__(self, flush: Flush, timeout_seconds: float) -> None:
        """Keep the parts."""
        self._flush = flush
        self._timeout_seconds = timeout_seconds
        self._places = asyncio.Semaphore(CHANGES_IN_FLIGHT)
        self._queue: deque[Change] = deque()
        self._flushing: asyncio.Task[None] | None = None

    async def submit(self, project: str, job_id: str, change: ChangeJob, *, is_entered: bool) -> Written:
        """Apply a change with the next call; raises what the change raises, `MovedError`, or an `Unavailable`."""
        await self._take_place()
        try:
            answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
            self._enqueue(Change(project, job_id, change, is_entered, answer, self._due()))
            return await answer
        finally:
            self._places.release()

    async def submit_many(
        self, project: str, changes: Sequence[tuple[str, ChangeJob]], entered: Container[str]
    ) -> list[Written | Exception]:
        """Apply changes with the next calls, those of one job in order; `entered` as `is_entered` of `submit`.

        Returns for each what came of it or what `submit` would have raised.
        """
        together = Together(self._places.release)
        error: SidecarError = StoreUnavailable("the write broke off")
        for job_id, change in changes:
            try:
                await self._take_place()
            except SidecarError as full:
                error = full
                break
            self._enqueue(Change(project, job_id, change, job_id in entered, together.slot(), self._due()))
        await together.wait()
        answers = [slot.result or error for slot in together.slots]
        return answers + [error] * (len(changes) - len(answers))

    def put_back(self, changes: Sequence[Change]) -> None:
        """Let changes of the present call go out in the next one, before all others."""
        self._queue.extendleft(reversed(changes))

    def fail(self, changes: Iterable[Change], error: SidecarError) -> None:
        """Answer changes with an error."""
        for change in changes:
            if not change.answer.done():
                change.answer.set_exception(error)

    async def _take_place(self) -> None:
        try:
            if self._places.locked():
                async with asyncio.timeout(self._timeout_seconds):
                    await self._places.acquire()
            else:
                await self._places.acquire()
        except TimeoutError:
            raise Overloaded("too many updates are under way") from None

    def _due(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout_seconds

    def _enqueue(self, change: Change) -> None:
        """Let a change wait for its call; a task of its own makes the calls while any waits."""
        self._queue.append(change)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_until_empty(), name="flush")
            self._flushing.add_done_callback(_flushed)

    async def _flush_until_empty(self) -> None:
        batch: list[Change] = []
        try:
            while self._queue:
                batch, overdue = taken(self._queue, asyncio.get_running_loop().time())
                self.fail(overdue, StoreUnavailable("the store is too slow: the update waited too long for its turn"))
                try:
                    await self._flush(batch)
                except StoreUnavailable as error:
                    left, self._queue = self._queue, deque()
                    self.fail(chain(batch, left), error)  # who has waited for it once need not do so again
                except SidecarError as error:
                    self.fail(batch, error)
        finally:
            self._flushing = None
            left, self._queue = self._queue, deque()
            self.fail(chain(batch, left), StoreUnavailable("the write broke off"))


def _flushed(flush: "asyncio.Task[None]") -> None:
    if not flush.cancelled() and flush.exception() is not None:
        logger.error("a flush crashed", exc_info=flush.exception())
