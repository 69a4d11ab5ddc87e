"""All that was pushed and what was answered: what must be there now, and what may be."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.jobs import Fate, Push

Rank = tuple[int, str]
"""The seq and the writer of a push, by which the newest message is found."""


@dataclass(slots=True)
class Excuse:
    """A time in which what was answered may be lost: a disk was; for `events_only` that of the history."""

    since: float
    until: float = math.inf
    events_only: bool = False


@dataclass(slots=True)
class Bounds:
    """What some pushes amount to."""

    maxima: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    message: Rank | None = None
    is_finished: bool = False
    pushes: int = 0

    def take(self, push: Push) -> None:
        """Count a push in."""
        self.pushes += 1
        for name, value in push.maxima.items():
            self.maxima[name] = max(value, self.maxima.get(name, 0))
        for name, value in push.sums.items():
            self.sums[name] = self.sums.get(name, 0) + value
        if push.has_message:
            self.message = max(self.message or (0, ""), (push.seq, push.writer))
        self.is_finished = self.is_finished or push.is_end


class Ledger:
    """Every push by job, and the excuses."""

    def __init__(self) -> None:
        self._by_job: dict[str, list[Push]] = {}
        self._excuses: list[Excuse] = []
        self.acknowledged = 0

    @property
    def job_ids(self) -> list[str]:
        """Every job that anything was said of."""
        return list(self._by_job)

    def opened(self, push: Push) -> None:
        """Note a push before it is first sent."""
        self._by_job.setdefault(push.job.job_id, []).append(push)

    def answered(self, push: Push, fate: Fate) -> None:
        """Note what became of it."""
        push.fate = fate
        self.acknowledged += fate is Fate.KEPT

    def excuse(self, since: float, *, events_only: bool = False) -> Excuse:
        """Begin an excuse for what is answered by a try since then; it lasts until its end is set."""
        excuse = Excuse(since, events_only=events_only)
        self._excuses.append(excuse)
        return excuse

    def least(self, job_id: str) -> Bounds:
        """Return what must be there."""
        bounds = Bounds()
        for push in self._by_job.get(job_id, ()):
            is_certain = push.fate is Fate.KEPT and not self._is_excused(push)
            if is_certain:
                bounds.take(push)
            is_told = is_certain or (push.fate is Fate.LATE and not self._is_excused(push))
            if push.event_id and is_told and not self._is_excused(push, event=True):
                bounds.events.add(push.event_id)
        return bounds

    def most(self, job_id: str) -> Bounds:
        """Return what can be there."""
        bounds = Bounds()
        for push in self._by_job.get(job_id, ()):
            if push.tries and not (push.fate is Fate.LATE and push.tries == 1):
                bounds.take(push)
            if push.event_id:
                bounds.events.add(push.event_id)
        return bounds

    def has_end(self, job_id: str) -> bool:
        """Whether anybody has tried to finish it."""
        return any(push.is_end for push in self._by_job.get(job_id, ()))

    def active(self) -> list[str]:
        """Return the jobs that must be there, and not finished."""
        return [job_id for job_id in self._by_job if self.least(job_id).pushes and not self.has_end(job_id)]

    def is_touched(self, job_id: str) -> bool:
        """Whether something of it may have been lost with a disk."""
        return any(self._is_excused(push) for push in self._by_job.get(job_id, ()))

    def ends(self) -> dict[str, float]:
        """Return the jobs that must be finished, with when that was first sent."""
        ends = (push for pushes in self._by_job.values() for push in pushes if push.is_end)
        kept = [push for push in ends if push.fate is Fate.KEPT and not self._is_excused(push)]
        return {push.job.job_id: push.first_sent_at for push in kept}

    def excused(self) -> list[Push]:
        """Return what was acknowledged and may be lost with the live store."""
        return [push for push in self._all() if push.fate is Fate.KEPT and self._is_excused(push)]

    def unanswered(self) -> list[Push]:
        """Return what nobody has answered."""
        return [push for push in self._all() if push.fate is Fate.OPEN]

    def _all(self) -> Iterable[Push]:
        return (push for pushes in self._by_job.values() for push in pushes)

    def _is_excused(self, push: Push, *, event: bool = False) -> bool:
        return any(
            each.since <= push.sent_at <= each.until and (event or not each.events_only) for each in self._excuses
        )
