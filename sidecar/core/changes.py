"""What changed between two views of a job, as lines for its timeline."""

from collections.abc import Iterator

from sidecar.core.job import Json, Status
from sidecar.core.view import StageView, View, is_pause_requested

Line = tuple[str, dict[str, Json]]

SAMPLE_SECONDS = 10.0
"""A `progress` line is written at most this often."""


def changes(before: View | None, after: View) -> Iterator[Line]:
    """Yield the timeline lines that tell how `before` became `after`, causes before effects."""
    if before is None:
        yield "created", {"project": after.job.project, "job_type": after.job.job_type}
    elif after.job.attempt.number > before.job.attempt.number:
        yield "attempt_started", {"previous": summary(before)}
        before = None
    if after.job.attempt.started_at is not None and (before is None or before.job.attempt.started_at is None):
        yield "started", {}
    if before is not None:
        yield from _returns(before.status, after.status)
    yield from _stage_lines(before, after)
    yield from _wishes(before, after)
    yield from _turns(before.status if before else Status.RUNNING, after)


def ended_stages(before: View | None, after: View) -> list[StageView]:
    """Return the stages that ended between the two views, for whoever measures how long stages take."""
    same = before is not None and before.job.attempt.number == after.job.attempt.number
    known = {stage.name: stage for stage in before.stages} if before is not None and same else {}
    return [
        stage
        for stage in after.stages
        if stage.started_at is not None
        and stage.finished_at is not None
        and (name := stage.name) is not None
        and (known[name].finished_at is None if name in known else True)
        and (stage.name == after.stage or (name in known and known[name].started_at is not None))
    ]


def sample(view: View) -> dict[str, Json]:
    """Return what a `progress` line says."""
    return {"percent": view.percent, "stage": view.stage, "current": view.current, "total": view.total}


def summary(view: View) -> dict[str, Json]:
    """Return what is told of an attempt when the next one begins."""
    return {
        "attempt": view.job.attempt.number,
        "status": view.status,
        "percent": view.percent,
        "stage": view.stage,
        "items": dict(view.items),
        "error": view.job.attempt.final.error if view.job.attempt.final else None,
    }


def _returns(before: Status, after: Status) -> Iterator[Line]:
    if before is Status.LOST and after is not Status.LOST:
        yield "returned", {}
    if before is Status.PAUSED and not after.is_finished and after is not Status.PAUSED:
        yield "resumed", {}
    if before is Status.BLOCKED and not after.is_finished and after is not Status.BLOCKED:
        yield "unblocked", {}


def _stage_lines(before: View | None, after: View) -> Iterator[Line]:
    for stage in ended_stages(before, after):
        seconds = round((stage.finished_at or 0.0) - (stage.started_at or 0.0), 3)
        if stage.status == Status.COMPLETED:
            yield "stage_completed", {"stage": stage.name, "duration_seconds": seconds}
    old = before.stage if before else None
    if after.stage is not None and after.stage != old:
        yield "stage_started", {"stage": after.stage}


def _wishes(before: View | None, after: View) -> Iterator[Line]:
    if before is None:
        return
    old, new = before.job.attempt, after.job.attempt
    if new.cancel_requested and not old.cancel_requested:
        yield "cancel_requested", {}
    if is_pause_requested(new) and not is_pause_requested(old):
        yield "pause_requested", {}
    if is_pause_requested(old) and not is_pause_requested(new):
        yield "resume_requested", {}


def _turns(before: Status, after: View) -> Iterator[Line]:
    if after.status is before or after.status in (Status.QUEUED, Status.RUNNING):
        return
    details: dict[str, Json] = {}
    if after.status is Status.BLOCKED:
        details = {"blocked_on": after.job.attempt.words["blocked_on"].value} if "blocked_on" in after.job.attempt.words else {}
    final = after.job.attempt.final
    if final is not None:
        details = {"percent": after.percent, "stage": after.stage, "error": final.error}
    yield after.status.value, details
