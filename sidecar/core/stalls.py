"""When a job counts as stuck: its clocks, how far each may run, and what stops them. Pure; time is an argument.

Judged by the server's clock only, by when it was told: workers' own clocks are shown and never judged by.
"""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from math import inf
from typing import NamedTuple, assert_never

from sidecar.core.job import NOTHING, Attempt, Json, Stall, StallReason, Status
from sidecar.core.silence import WAITING
from sidecar.core.stages import word
from sidecar.core.view import View

INTERVALS = 3
"""How many of a worker's declared intervals may pass without a word."""


OVERDUE_AGAIN_SECONDS = 60.0

ENOUGH_SECONDS = 3600.0
"""After an outage of the observer that was no longer than this things settle for as long as it was."""


class Limits(NamedTuple):
    """How long (seconds) each clock of a type of job may run.

    `silent_seconds` holds where no interval is declared, `silent_floor_seconds` is the least where one is;
    `stages` has what else than `no_progress_seconds` holds in a stage; `overdue_seconds` is `overdue_factor` times what
    most such jobs take, None while too little is known of that. `max_runtime_seconds` holds where a worker names none.
    """

    silent_seconds: float = 300.0
    silent_floor_seconds: float = 60.0
    no_progress_seconds: float = 600.0
    not_started_seconds: float = 180.0
    cancel_stuck_seconds: float = 300.0
    overdue_seconds: float | None = None
    overdue_factor: float = 1.5
    max_runtime_seconds: float | None = None
    stages: Mapping[str, float] = NOTHING


DEFAULT = Limits()


class Settling(NamedTuple):
    """When the observer saw again, and until when it settles: for as long as it saw nothing (Unix seconds)."""

    since: float = 0.0
    until: float = 0.0


def judged(shown: View, now: float, limits: Limits) -> Stall | None:
    """Return what a job is stuck at, None if it is not; of several reasons the one that tells most."""
    return next((clock for clock in _clocks(shown, limits) if _end(clock) <= now), None)


def missed_deadline(shown: View, now: float, limits: Limits) -> Stall | None:
    """Return the deadline that a job has missed, whatever else tells more of it, None if none."""
    clocks = _clocks(shown, limits)
    return next((clock for clock in clocks if clock.reason is StallReason.DEADLINE and _end(clock) <= now), None)


def due_at(shown: View, limits: Limits) -> float | None:
    """Return when a job should be looked at next (Unix seconds) if nothing is heard of it, None if never.

    At once if the clock was set anew that says what it is stuck at: it may be stuck no more.
    """
    present = shown.job.attempt.stall
    if present is not None and not shown.is_finished:
        ends = [_end(clock) for clock in _clocks(shown, limits) if clock.reason is present.reason]
        if not ends or min(ends) > _end(present):
            return shown.job.updated_at
    return again_at(shown, limits, shown.job.updated_at)


def again_at(shown: View, limits: Limits, now: float) -> float | None:
    """Return when to look again at a job that is as it is known to be (Unix seconds), None if never.

    What is overdue soon, news or not: how long such jobs take is learnt as others complete.
    """
    news, present = news_at(shown, limits), shown.job.attempt.stall
    if present is None or present.reason is not StallReason.OVERDUE or shown.is_finished:
        return news
    return min(now + OVERDUE_AGAIN_SECONDS, inf if news is None else news)


def news_at(shown: View, limits: Limits) -> float | None:
    """Return when the first clock will have run out (Unix seconds), None if none runs.

    Of a job that is stuck only a reason that tells more than the present one is news.
    """
    present = shown.job.attempt.stall
    tells_more = takewhile(lambda clock: present is None or clock.reason is not present.reason, _clocks(shown, limits))
    return min(map(_end, tells_more), default=None)


def calm_until(clock: Stall, shown: View, limits: Limits, settling: Settling) -> float:
    """Return until when nothing is said to be stuck by a clock that may have run while nobody looked.

    For as long as that was. Of more than an hour no longer than the clock may run, or the job be silent: by then
    whoever lives has spoken, and after a weekend nobody should wait until Wednesday.
    """
    enough = max(clock.threshold_seconds, _silence(shown, limits), ENOUGH_SECONDS)
    return min(settling.until, settling.since + enough)


STANDS_STILL = frozenset({StallReason.NO_PROGRESS, StallReason.SILENT})


def was_known(clock: Stall, shown: View, settling: Settling) -> bool:
    """Whether it was plain before nobody looked that a job stands still: no blindness made that up, nor ends it.

    It is said to, and nothing has settled that since; or this clock had run out by the time at which blindness began.
    """
    present = shown.job.attempt.stall
    blind_since = settling.since - (settling.until - settling.since)
    return (present is not None and present.reason in STANDS_STILL) or _end(clock) <= blind_since


def threshold(shown: View, limits: Limits) -> float | None:
    """Return how long the job may make no progress now, None while its clocks stand."""
    if shown.is_finished or shown.status in WAITING or shown.status is Status.QUEUED:
        return None
    return limits.stages.get(shown.stage or "", limits.no_progress_seconds)


def advancing_since(shown: View) -> float:
    """Return where the clock of no progress starts (Unix seconds): when the job last got on, was begun or went on."""
    return max(shown.job.last_progress_at, opened_at(shown), shown.job.attempt.started_at or 0.0)


def is_settled(before: View, after: View, now: float, *, has_moved: bool) -> bool:
    """Whether what happened between two views settles the stall that the job had.

    What cannot be told without the limits of its type is for whoever judges it next.
    """
    stall = before.job.attempt.stall
    if stall is None or after.is_finished or after.status in WAITING:
        return True
    match stall.reason:
        case StallReason.SILENT:
            return after.job.last_contact_at > before.job.last_contact_at
        case StallReason.NO_PROGRESS:
            return has_moved
        case StallReason.NOT_STARTED:
            return after.status is not Status.QUEUED
        case StallReason.DEADLINE:
            later = _deadline(after)
            return _deadline(before) == stall and (later is None or _end(later) > now)
        case StallReason.OVERDUE | StallReason.CANCEL_STUCK:
            return False
        case _:
            assert_never(stall.reason)


def _clocks(shown: View, limits: Limits) -> Iterator[Stall]:
    """Yield the clocks that run, the most telling one first."""
    job, attempt = shown.job, shown.job.attempt
    if shown.is_finished or shown.status in WAITING:
        return
    if attempt.cancel_asked_at is not None:
        since = max(attempt.cancel_asked_at, attempt.resumed_at or 0.0)
        yield Stall(StallReason.CANCEL_STUCK, since, limits.cancel_stuck_seconds)
    is_queued = shown.status is Status.QUEUED
    if is_queued:
        yield Stall(StallReason.NOT_STARTED, opened_at(shown), limits.not_started_seconds)
    else:
        yield Stall(StallReason.SILENT, max(job.last_contact_at, attempt.resumed_at or 0.0), _silence(shown, limits))
        most = limits.stages.get(shown.stage or "", limits.no_progress_seconds)
        yield Stall(StallReason.NO_PROGRESS, advancing_since(shown), most)
    deadline = _deadline(shown, limits.max_runtime_seconds)
    if deadline is not None:
        yield deadline
    began = _began(attempt)
    if limits.overdue_seconds is not None and began is not None and not is_queued:
        yield Stall(StallReason.OVERDUE, began, limits.overdue_seconds)


def _began(attempt: Attempt) -> float | None:
    """Return when the work would have begun, had it never waited; None if it has not begun."""
    return None if attempt.started_at is None else attempt.started_at + attempt.waited_seconds


def opened_at(shown: View) -> float:
    """Return since when a job waits to begin (Unix seconds): it was made, its attempt opened, or its wait went on."""
    job, attempt = shown.job, shown.job.attempt
    return max(job.created_at, attempt.opened_at or 0.0, attempt.resumed_at or 0.0)


def _silence(shown: View, limits: Limits) -> float:
    interval = _number(word(shown.job.facts, "interval_seconds"))
    return limits.silent_seconds if interval is None else max(INTERVALS * interval, limits.silent_floor_seconds)


def _deadline(shown: View, otherwise: float | None = None) -> Stall | None:
    """Return the clock of the first of its deadlines, None if it has none; `otherwise` is the longest runtime."""
    facts, began = shown.job.facts, _began(shown.job.attempt)
    deadline = _number(word(facts, "deadline_at"))
    clocks = [] if deadline is None else [Stall(StallReason.DEADLINE, deadline, 0.0)]
    longest = _number(word(facts, "max_runtime_seconds")) or otherwise
    if longest is not None and began is not None:
        clocks.append(Stall(StallReason.DEADLINE, began, longest))
    return min(clocks, key=_end, default=None)


def _end(clock: Stall) -> float:
    return clock.since + clock.threshold_seconds


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None
