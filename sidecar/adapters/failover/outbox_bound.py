"""How full the outbox is, and what is still let in: Redis' memory is bounded however long SQL is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sidecar.core.errors import StoreRefused
from sidecar.core.job import Event
from sidecar.core.merge import Outcome
from sidecar.history import Outbox
from sidecar.ports import Metrics

NEARLY_FULL = 0.8
LOOK_SECONDS = 2.0

SAMPLE = ":progress"
"""How the ids of progress samples end."""


class OutboxBound:
    """Lets outcomes in while there is room for their timeline lines.

    Finished jobs that should have left Redis by now, and have not as nothing is recorded, take of the same room.
    """

    def __init__(
        self,
        outbox: Outbox,
        metrics: Metrics,
        most_bytes: int,
        overdue_before: Callable[[float | None], float | None] = lambda _: None,
    ) -> None:
        """Keep the parts; `watch` does the looking.

        `overdue_before` tells by when the oldest line was written, if nothing is recorded, when a job finished that
        should have left since (both in Unix seconds).
        """
        self._overdue_before = overdue_before
        self._outbox = outbox
        self._metrics = metrics
        self._most_bytes = most_bytes
        self.share = 0.0

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look how full the outbox is, for ever; raises `StoreUnavailable`."""
        while True:
            await self.look()
            await sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look how full the outbox is; raises `StoreUnavailable`."""
        backlog = await self._outbox.backlog()
        overdue_before = self._overdue_before(backlog.oldest_at)
        if overdue_before is not None:
            backlog = await self._outbox.backlog(overdue_before)
        self.share = backlog.size_bytes / self._most_bytes
        self._metrics.outbox(backlog.lines, backlog.size_bytes, self._most_bytes, backlog.oldest_at)

    def admit(self, outcome: Outcome) -> Outcome:
        """Return the outcome, without a progress sample if the outbox is nearly full; see `Admit`."""
        if self.share < NEARLY_FULL or not outcome.events:
            return outcome
        kept = tuple(event for event in outcome.events if not event.id.endswith(SAMPLE))
        if self.share >= 1 and kept:
            raise StoreRefused("the outbox is full: the history has been away for too long")
        if len(kept) == len(outcome.events):
            return outcome
        self._metrics.sample_dropped()
        return _with_lines(outcome, kept)


def _with_lines(outcome: Outcome, kept: Sequence[Event]) -> Outcome:
    """Return an outcome with some of its lines alone: a job counts no line that nobody writes."""
    written = outcome.job.event_count - len(outcome.events)
    job = outcome.job._replace(event_count=written + len(kept))
    events = tuple(event._replace(number=number) for number, event in enumerate(kept, written + 1))
    return outcome._replace(job=job, view=outcome.view._replace(job=job), events=events)
