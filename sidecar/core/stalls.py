"""When a job counts as stuck: its clocks, how far each may run, and what stops them. Pure; time is an argument.

Judged by the server's clock only, by when it was told: workers' own clocks are shown and never judged by.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, assert_never

from sidecar.core.job import NOTHING, Json, Stall, StallReason, Status
from sidecar.core.silence import WAITING
from sidecar.core.stages import word
from sidecar.core.view import View

INTERVALS = 3
"""How many of a worker's declared intervals may pass without a word."""


class Limits(NamedTuple):
    """How long (seconds) each clock of a type of job may run.

    `silent_seconds` holds where no interval is declared, `silent_floor_seconds` is the least where one is;
    `stages` has what else than `no_progress_seconds` holds in a stage; `overdue_seconds` is None while too little is
    known of how long such jobs take.
    """

    silent_seconds: float = 300.0
    silent_floor_seconds: float = 60.0
    no_progress_seconds: float = 600.0
    not_started_seconds: float = 180.0
    cancel_stuck_seconds: float = 300.0
    overdue_seconds: float | None = None
    stages: Mapping[str, float] = NOTHING


DEFAULT = Limits()


def judged(shown: View, now: float, limits: Limits) -> Stall | None:
    """Return what a job is stuck at, None if it is not; of several reasons the one that tells most."""
    return next((stall for stall in _clocks(shown, limits) if stall.since + stall.threshold_seconds <= now), None)


def due_at(shown: View, limits: Limits) -> float | None:
    """Return when a job should be looked at next (Unix seconds) if nothing is heard of it, None if never.

    Of a job that is stuck only a reason that tells more than the present one is news.
    """
    present = shown.job.attempt.stall
    ends: list[float] = []
    for stall in _clocks(shown, limits):
        if present is not None and stall.reason is present.reason:
            break
        ends.append(stall.since + stall.threshold_seconds)
    return min(ends, default=None)


def threshold(shown: View, limits: Limits) -> float | None:
    """Return how long the job may make no progress now, None while its clocks stand."""
    if shown.is_finished or shown.status in WAITING or shown.status is Status.QUEUED:
        return None
    return limits.stages.get(shown.stage or "", limits.no_progress_seconds)


def advancing_since(shown: View) -> float:
    """Return where the clock of no progress starts (Unix seconds): when the job last got on, was begun or went on."""
    return max(shown.job.last_progress_at, _opened_at(shown), shown.job.attempt.started_at or 0.0)


def is_settled(before: View, after: View, *, has_moved: bool) -> bool:
    """Whether what happened between two views settles the stall that the job had."""
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
        case StallReason.OVERDUE | StallReason.DEADLINE | StallReason.CANCEL_STUCK:
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
    if shown.status is Status.QUEUED:
        yield Stall(StallReason.NOT_STARTED, _opened_at(shown), limits.not_started_seconds)
        return
    yield Stall(StallReason.SILENT, max(job.last_contact_at, attempt.resumed_at or 0.0), _silence(shown, limits))
    most = limits.stages.get(shown.stage or "", limits.no_progress_seconds)
    yield Stall(StallReason.NO_PROGRESS, advancing_since(shown), most)
    yield from _deadlines(shown)
    if limits.overdue_seconds is not None and attempt.started_at is not None:
        yield Stall(StallReason.OVERDUE, attempt.started_at, limits.overdue_seconds)


def _opened_at(shown: View) -> float:
    job, attempt = shown.job, shown.job.attempt
    return max(job.created_at, attempt.opened_at or 0.0, attempt.resumed_at or 0.0)


def _silence(shown: View, limits: Limits) -> float:
    interval = _number(word(shown.job.facts, "interval_seconds"))
    return limits.silent_seconds if interval is None else max(INTERVALS * interval, limits.silent_floor_seconds)


def _deadlines(shown: View) -> Iterator[Stall]:
    facts, started = shown.job.facts, shown.job.attempt.started_at
    deadline = _number(word(facts, "deadline_at"))
    if deadline is not None:
        yield Stall(StallReason.DEADLINE, deadline, 0.0)
    longest = _number(word(facts, "max_runtime_seconds"))
    if longest is not None and started is not None:
        yield Stall(StallReason.DEADLINE, started, longest)


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None
