"""Changes that wait for the call that writes them, alone or many together, and the answers that they wait for."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.ports import ChangeJob, Written

JOBS_A_CALL = 128
CHANGES_A_CALL = 512
"""A longer script would hold up everybody else's commands."""


class MovedError(Exception):
    """The job is no longer in the project where it was looked for."""


class Together:
    """The answers of changes that one caller waits for together; `give_back` takes the place of each answered one."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        """Begin without changes."""
        self.slots: list[Slot] = []
        self._give_back = give_back
        self._missing = 0
        self._is_complete = False
        self._all_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def slot(self) -> "Slot":
        """Return the place of one more answer."""
        self._missing += 1
        self.slots.append(Slot(self))
        return self.slots[-1]

    @property
    def is_abandoned(self) -> bool:
        """Whether the caller has gone."""
        return self._all_in.cancelled()

    def answered(self) -> None:
        """Count an answer."""
        self._give_back()
        self._missing -= 1
        if self._is_complete and not self._missing and not self._all_in.done():
            self._all_in.set_result(None)

    async def wait(self) -> None:
        """Wait for every answer, now that there is a slot for each.

        Who goes away gives back the places of those that will not come.
        """
        self._is_complete = True
        try:
            if self._missing:
                await self._all_in
        finally:
            for _ in range(self._missing):
                self._give_back()


class Slot:
    """One of the answers, set like a future."""

    __slots__ = ("_together", "result")

    def __init__(self, together: Together) -> None:
        """Begin without an answer."""
        self._together = together
        self.result: Written | Exception | None = None

    def done(self) -> bool:
        """Whether an answer is there, or no longer wanted."""
        return self.result is not None or self._together.is_abandoned

    def set_result(self, written: Written) -> None:
        """Answer."""
        self.result = written
        self._together.answered()

    def set_exception(self, error: Exception) -> None:
        """Answer that it failed."""
        self.result = error
        self._together.answered()


@dataclass(slots=True)
class Change:
    """A change that waits for its call, until `due` (of the event loop's clock) at most.

    `is_entered`: the id was just seen to belong to this project.
    """

    project: str
    job_id: str
    change: ChangeJob
    is_entered: bool
    answer: "asyncio.Future[Written] | Slot"
    due: float


def taken(queue: deque[Change], now: float) -> tuple[list[Change], list[Change]]:
    """Take what goes out in one call, and what has waited too long; leave out those whose callers have gone.

    A call has a deadline, and nothing waits longer for its turn than for a call: so every wait ends in time without
    a timer for each change (15 us).
    """
    next_ones: list[Change] = []
    overdue: list[Change] = []
    job_ids: set[str] = set()
    while queue and len(job_ids) < JOBS_A_CALL and len(next_ones) < CHANGES_A_CALL:
        change = queue.popleft()
        if change.due < now:
            overdue.append(change)
        elif not change.answer.done():
            next_ones.append(change)
            job_ids.add(change.job_id)
    return next_ones, overdue
