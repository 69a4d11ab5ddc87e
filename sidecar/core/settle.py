"""What follows from a change: stamps of time, the percent held, the pace, the version and the timeline."""

from dataclasses import replace

from sidecar.core import changes, pace, stages
from sidecar.core.changes import Line
from sidecar.core.job import Event, Job, Json, Point, Shown, Status
from sidecar.core.view import View, percent, status, view


def settled(
    before: View | None, job: Job, now: float, origin: str, worker_line: Line | None
) -> tuple[View, tuple[Event, ...]]:
    """Return the changed job as it now looks, and the lines of its timeline that tell of the change.

    `origin` makes the ids of the lines unique; `worker_line` is the one that the worker asked for.
    """
    after = view(_stamped(job, now))
    lines = list(changes.changes(before, after))
    extra = [worker_line] if worker_line is not None else []
    sampled_at = after.job.attempt.sampled_at
    if _is_sample_due(before, after, now):
        extra.append(("progress", changes.sample(after)))
        sampled_at = now
    end = _end(lines)
    lines[end:end] = extra
    events = tuple(
        Event(f"{origin}:{index}", job.event_count + 1 + index, kind, now, job.attempt.number, details)
        for index, (kind, details) in enumerate(lines)
    )
    has_moved = before is None or _watermark(after) != _watermark(before)
    counted = replace(
        after.job,
        attempt=replace(after.job.attempt, sampled_at=sampled_at),
        event_count=job.event_count + len(events),
        last_progress_at=max(job.last_progress_at, now) if has_moved else job.last_progress_at,
    )
    return replace(after, job=counted), events


def _stamped(job: Job, now: float) -> Job:
    attempt = job.attempt
    waits = status(job) in (Status.QUEUED, Status.PAUSED, Status.BLOCKED)
    order = stages.ordered(stages.plan_of(job), attempt.stages)
    whole = percent(job)
    name = stages.running(order, attempt)
    point = Point(now, whole, stages.count(name, attempt), name)
    return replace(
        job,
        updated_at=max(job.updated_at, now),
        version=job.version + 1,
        attempt=replace(
            attempt,
            started_at=attempt.started_at if attempt.started_at is not None or waits else now,
            stages=stages.stamped(order, attempt, now),
            shown=Shown(attempt.rewound, min(whole, stages.UNFINISHED_CAP)),
            points=pace.moved(attempt.points, point),
        ),
    )


def _watermark(shown: View) -> tuple[Json, ...]:
    """Return what moves when a job gets on: stage, counters, percent and the place to resume from."""
    resume = shown.job.facts.get("resume")
    return (
        (shown.job.attempt.number, shown.stage, shown.percent, shown.stage_percent, shown.current),
        tuple(stage.current for stage in shown.stages),
        dict(shown.items),
        resume.value if resume else None,
    )


def _is_sample_due(before: View | None, after: View, now: float) -> bool:
    if before is None or (before.percent, before.current) == (after.percent, after.current):
        return False
    last = after.job.attempt.sampled_at
    return last is None or now - last >= changes.SAMPLE_SECONDS


def _end(lines: list[Line]) -> int:
    """Return where a line belongs so that the end of the job stays last."""
    return len(lines) - 1 if lines and lines[-1][0] in tuple(Status) else len(lines)
