"""What follows from a change: stamps of time, the percent held, the pace, the version and the timeline."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from sidecar.core import changes, pace, stages
from sidecar.core.changes import Line
from sidecar.core.job import Attempt, Event, Job, Json, Point, Promise, Shown, Status
from sidecar.core.silence import WAITING
from sidecar.core.stalls import is_settled
from sidecar.core.view import StageView, View, has_begun, view

ONCE_AN_ATTEMPT = frozenset({"attempt_started", "started", "completed", "failed", "cancelled"})
"""Lines that an attempt has once at most, wherever they are written."""

HALF, LATE = 50.0, 75.0
"""From which percent on half of a job is done, and from which it is too late to say so."""


class Settled(NamedTuple):
    """A changed job as it now looks, the lines of its timeline that tell of the change, and the stages that ended."""

    view: View
    events: tuple[Event, ...]
    ended: tuple[StageView, ...]


def settled(before: View | None, job: Job, now: float, origin: str, worker_line: Line | None) -> Settled:
    """Return what follows from a change of `before` into `job`.

    `origin` makes the ids of the lines unique; `worker_line` is the one that the worker asked for.
    """
    after = view(job)
    is_sample_due = _is_sample_due(before, after, now)
    has_moved = before is None or _has_moved(before, after)
    stamped = job._replace(
        attempt=_clocked(
            before, after, now, has_moved=has_moved, attempt=_stamped(after, now, is_sample=is_sample_due)
        ),
        updated_at=now,
        last_progress_at=now if has_moved else job.last_progress_at,
        version=job.version + 1,
    )
    after = _promised(after._replace(job=stamped), now)
    ended = changes.ended_stages(before, after)
    extra = [worker_line] if worker_line is not None else []
    if is_sample_due:
        extra.append(("progress", changes.sample(after)))
    lines = _with(extra, list(changes.changes(before, after, ended)))
    ids = _identities(lines, worker_line, origin, stamped.attempt.number)
    told, events = _told(after, list(zip(ids, lines, strict=True)), now)
    return Settled(told, events, ended)


def _stamped(after: View, now: float, *, is_sample: bool) -> Attempt:
    attempt, percent, name = after.job.attempt, after.percent, after.stage or stages.JOB
    is_complete = after.status is Status.COMPLETED
    return attempt._replace(
        started_at=now if attempt.started_at is None and has_begun(attempt) else attempt.started_at,
        stages=stages.stamped(after.order, name, attempt, now),
        shown=attempt.shown if is_complete else Shown(attempt.rewound, percent),
        sampled_at=now if is_sample else attempt.sampled_at,
        points=pace.moved(attempt.points, Point(now, percent, after.current, name)),
    )


def _promised(after: View, now: float) -> View:
    """Return the job with what it says of its end when half of it is done, to be compared with that end."""
    attempt = after.job.attempt
    if attempt.halfway is not None or not HALF <= after.percent < LATE:
        return after
    eta = after.eta
    if eta is None:
        return after
    halfway = Promise(now, eta.seconds)
    return after._replace(job=after.job._replace(attempt=attempt._replace(halfway=halfway)))


def _clocked(before: View | None, after: View, now: float, attempt: Attempt, *, has_moved: bool) -> Attempt:
    """Return the attempt with what judges of stalls go by: since when which clock runs, and whether a stall is over."""
    if before is None or before.job.attempt.number != attempt.number:
        return attempt._replace(opened_at=now, waiting_since=now if after.status in WAITING else None)
    was = before.job.attempt
    if attempt.stall is not None and attempt.stall == was.stall and is_settled(before, after, now, has_moved=has_moved):
        attempt = attempt._replace(stall=None)
    if attempt.cancel_requested and not was.cancel_requested:
        attempt = attempt._replace(cancel_asked_at=now)
    return _waited(before, after, attempt, now)


def _waited(before: View, after: View, attempt: Attempt, now: float) -> Attempt:
    """Return the attempt with when a wait began, or how long it took in all if it is over."""
    if after.status in WAITING:
        return attempt if before.status in WAITING else attempt._replace(waiting_since=now)
    if before.status not in WAITING:
        return attempt
    since = before.job.updated_at if attempt.waiting_since is None else attempt.waiting_since
    since = max(since, attempt.started_at or now, attempt.resumed_at or 0.0)
    return attempt._replace(resumed_at=now, waited_seconds=attempt.waited_seconds + max(0.0, now - since))


def _identities(lines: list[Line], worker_line: Line | None, origin: str, attempt: int) -> Iterator[str]:
    """Yield an id for each line: the same on both sides of a split that are told the same.

    What happens once is named by what it is; anything else by the update that brought it about (`origin`).
    """
    seen: Counter[str] = Counter()
    for line in lines:
        kind = line[0]
        seen[kind] += 1
        if line is worker_line:
            yield f"{origin}:event"
        elif kind == "created":
            yield kind
        elif kind in ONCE_AN_ATTEMPT:
            yield f"{attempt}:{kind}"
        else:
            yield f"{origin}:{kind}" if seen[kind] == 1 else f"{origin}:{kind}/{seen[kind]}"


def _told(after: View, lines: list[tuple[str, Line]], now: float) -> tuple[View, tuple[Event, ...]]:
    job = after.job
    if not lines:
        return after, ()
    events = tuple(
        Event(identity, number, kind, now, job.attempt.number, details)
        for number, (identity, (kind, details)) in enumerate(lines, job.event_count + 1)
    )
    return after._replace(job=job._replace(event_count=job.event_count + len(events))), events


def _has_moved(before: View, after: View) -> bool:
    """Whether the job got on: to another stage, count or percent, or to another place to resume from."""
    was, now = before.job, after.job
    return (
        was.attempt.number != now.attempt.number
        or (before.stage, before.percent, before.current) != (after.stage, after.percent, after.current)
        or before.stage_percent != after.stage_percent
        or before.items != after.items
        or _counts(before) != _counts(after)
        or stages.word(was.facts, "resume") != stages.word(now.facts, "resume")
    )


def _counts(shown: View) -> list[Json]:
    return [stages.count(stage.name, shown.job.attempt) for stage in shown.order]


def _is_sample_due(before: View | None, after: View, now: float) -> bool:
    if before is None or before.job.attempt.number != after.job.attempt.number:
        return False
    if (before.percent, before.current) == (after.percent, after.current):
        return False
    last = after.job.attempt.sampled_at
    return last is None or now - last >= changes.SAMPLE_SECONDS


def _with(extra: list[Line], lines: list[Line]) -> list[Line]:
    """Return the lines with the extra ones, so that a change of status stays last."""
    end = len(lines) - 1 if lines and lines[-1][0] in tuple(Status) else len(lines)
    return [*lines[:end], *extra, *lines[end:]]
