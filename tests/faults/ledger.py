"""All that was pushed and what was answered: what must be there now, and what may be."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.jobs import Fate, Push

Rank = tuple[int, str]
"""The seq and the writer of a push, by which the newest message is found."""


BEHIND_SECONDS = 2.0
"""How long after a disagreement a sidecar may still meet a call that failed, and give SQL what Redis is told next."""


@dataclass(slots=True)
class Span:
    """A time that goes on until its end is set (of the monotonic clock)."""

    since: float
    until: float = math.inf

    def end(self) -> None:
        """Let it be over."""
        self.until = time.monotonic()


@dataclass(slots=True)
class Bounds:
    """What some pushes amount to: those of the highest attempt among them, and all of their events."""

    maxima: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    message: Rank | None = None
    is_finished: bool = False
    ending: tuple[str, str] | None = None
    """Its status and the tag of the push that said so; nobody ends a job twice."""

    is_quiet: bool = False
    """Whether nobody has been heard of it for so long that it may count as lost."""

    is_all_told: bool = True
    """Whether no disk can have taken a line of the timeline along."""

    pushes: int = 0
    attempt: int = 0

    def take(self, push: Push) -> None:
        """Count a push in."""
        self.pushes += 1
        if push.job.attempt > self.attempt:
            self.attempt = push.job.attempt
            self.maxima, self.sums, self.message, self.is_finished, self.ending = {}, {}, None, False, None
        if push.job.attempt == self.attempt:
            self._count(push)

    def _count(self, push: Push) -> None:
        for name, value in push.maxima.items():
            self.maxima[name] = max(value, self.maxima.get(name, 0))
        for name, value in push.sums.items():
            self.sums[name] = self.sums.get(name, 0) + value
        if push.has_message:
            self.message = max(self.message or (0, ""), (push.seq, push.writer))
        if push.is_end:
            self.is_finished, self.ending = True, (push.ending, push.tag)


class Ledger:
    """Every push by job, what may be missing of it, and when.

    What a push says of its job is never excused; the line of the timeline that it brought is, if a disk was lost. While
    several sidecars may disagree on whether Redis is there, and a little longer, what one of them shows may lack what
    another one took. During any outage of a store, what was told to be late may have been counted.
    """

    def __init__(self, lost_seconds: float = math.inf) -> None:
        """Begin empty; a job may count as lost when nobody has pushed to it for so long."""
        self._lost_seconds = lost_seconds
        self._by_job: dict[str, list[Push]] = {}
        self._lost_lines: list[Span] = []
        self._disagreements: list[Span] = []
        self._outages: list[Span] = []
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
        push.fate, push.answered_at = fate, time.monotonic()
        self.acknowledged += fate is Fate.KEPT

    def lines_lost(self, since: float) -> Span:
        """Begin a time since when lines may have been lost with a disk, that of a try that was answered counts."""
        self._lost_lines.append(Span(since))
        return self._lost_lines[-1]

    def outage(self) -> Span:
        """Begin a time in which a store may go away before it answers."""
        self._outages.append(Span(time.monotonic()))
        return self._outages[-1]

    def disagreement(self) -> Span:
        """Begin such a time, in which several sidecars may disagree besides."""
        self._disagreements.append(self.outage())
        return self._disagreements[-1]

    def may_lack(self, since: float) -> bool:
        """Whether an answer, asked for since then and here by now, may lack what was acknowledged before."""
        now = time.monotonic()
        return any(each.since <= now and since <= each.until + BEHIND_SECONDS for each in self._disagreements)

    def is_agreed(self) -> bool:
        """Whether no answer that is asked for now may lack anything."""
        return not self.may_lack(time.monotonic())

    def least(self, job_id: str) -> Bounds:
        """Return what must be there."""
        bounds = Bounds(is_quiet=self._is_quiet(job_id))
        for push in self._by_job.get(job_id, ()):
            is_lost = any(each.since <= push.sent_at <= each.until for each in self._lost_lines)
            bounds.is_all_told = bounds.is_all_told and not is_lost
            if push.fate is Fate.KEPT:
                bounds.take(push)
            if push.event_id and push.fate in {Fate.KEPT, Fate.LATE} and not is_lost:
                bounds.events.add(push.event_id)
        return bounds

    def most(self, job_id: str, attempt: int = 1) -> Bounds:
        """Return what can be there of an attempt."""
        bounds = Bounds(is_quiet=self._is_quiet(job_id))
        for push in self._by_job.get(job_id, ()):
            is_uncounted = push.fate is Fate.LATE and push.tries == 1 and not self._may_be_counted(push)
            if push.job.attempt == attempt and push.tries and not is_uncounted:
                bounds.take(push)
            if push.event_id:
                bounds.events.add(push.event_id)
        return bounds

    def _may_be_counted(self, push: Push) -> bool:
        """Whether what was told to be late may have been counted: by a store that went away before it answered."""
        return any(each.since <= push.answered_at and push.sent_at <= each.until for each in self._outages)

    def has_end(self, job_id: str, attempt: int) -> bool:
        """Whether anybody has tried to finish this attempt at it."""
        return any(push.is_end and push.job.attempt == attempt for push in self._by_job.get(job_id, ()))

    def latest(self, job_id: str) -> int:
        """Return the highest attempt that anybody has begun."""
        return max((push.job.attempt for push in self._by_job.get(job_id, ())), default=0)

    def has_ended(self, job_id: str, attempt: int) -> bool:
        """Whether the end of this attempt is acknowledged, and nobody has begun another."""
        pushes = self._by_job.get(job_id, ())
        ends = (push.job.attempt for push in pushes if push.is_end and push.fate is Fate.KEPT)
        return attempt in ends and attempt == self.latest(job_id)

    def active(self) -> list[str]:
        """Return the jobs that must be there, and neither finished nor lost."""
        least = {job_id: self.least(job_id) for job_id in self._by_job}
        return [
            job_id
            for job_id, bounds in least.items()
            if bounds.pushes and not bounds.is_quiet and not self.has_end(job_id, bounds.attempt)
        ]

    def ends(self) -> dict[tuple[str, int], float]:
        """Return the jobs that must be finished, by their last attempt, with when that was first sent."""
        ends = (push for pushes in self._by_job.values() for push in pushes if push.is_end and push.fate is Fate.KEPT)
        last = (push for push in ends if push.job.attempt == self.latest(push.job.job_id))
        return {(push.job.job_id, push.job.attempt): push.first_sent_at for push in last}

    def unanswered(self) -> list[Push]:
        """Return what nobody has answered."""
        return [push for push in self._all() if push.fate is Fate.OPEN]

    def _is_quiet(self, job_id: str) -> bool:
        heard = (push.first_sent_at for push in self._by_job.get(job_id, ()) if push.fate is not Fate.OPEN)
        return time.monotonic() - max(heard, default=0.0) > self._lost_seconds

    def _all(self) -> Iterable[Push]:
        return (push for pushes in self._by_job.values() for push in pushes)
