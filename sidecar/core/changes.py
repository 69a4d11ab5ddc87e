"""What changed between two views of a job, as lines for its timeline."""

from collections.abc import Iterator, Mapping, Sequence

from sidecar.core.document import rfc3339
from sidecar.core.job import Attempt, Json, Stage, Stall, Status
from sidecar.core.stages import word
from sidecar.core.view import StageView, View, is_pause_requested

Line = tuple[str, dict[str, Json]]

SAMPLE_SECONDS = 10.0
"""A `progress` line is written at most this often."""


def changes(before: View | None, after: View, ended: Sequence[StageView]) -> Iterator[Line]:
    """Yield the timeline lines that tell how `before` became `after`, causes before effects.

    `ended` are the stages that ended on the way.
    """
    if before is None:
        yield "created", {"project": after.job.project, "job_type": after.job.job_type}
    elif after.job.attempt.number > before.job.attempt.number:
        yield "attempt_started", {"previous": summary(before)}
        before = None
    if after.job.attempt.started_at is not None and (before is None or before.job.attempt.started_at is None):
        yield "started", {}
    if before is not None:
        yield from _returns(before.status, after.status)
        yield from _recoveries(before.job.attempt.stall, after.job.attempt.stall)
    yield from _stage_lines(before, after, ended)
    if before is not None:
        yield from _wishes(before.job.attempt, after.job.attempt)
        yield from _stalls(before.job.attempt.stall, after.job.attempt.stall)
    yield from _turns(before.status if before else Status.RUNNING, after)


def ended_stages(before: View | None, after: View) -> tuple[StageView, ...]:
    """Return the stages that ended between the two views, for whoever measures how long stages take."""
    known: Mapping[str, Stage] = {}
    if before is not None and before.job.attempt.number == after.job.attempt.number:
        known = before.job.attempt.stages
    stages = after.job.attempt.stages
    ended = {name for name, stage in stages.items() if _ended_now(known.get(name), stage, runs=name == after.stage)}
    return tuple(stage for stage in after.stages if stage.name in ended) if ended else ()


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
        "resume": word(view.job.facts, "resume"),
        "started_at": rfc3339(view.job.attempt.started_at),
        "finished_at": rfc3339(view.finished_at),
    }


def further(a: Mapping[str, Json], b: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the later of two summaries of one attempt, in which nothing goes back; of two ends the first stays."""
    if _is_end(a) and _is_end(b):
        return min(a, b, key=lambda side: (str(side.get("finished_at")), repr(sorted(side.items()))))
    return max(a, b, key=_reached)


def _reached(told: Mapping[str, Json]) -> tuple[bool, float, float, str]:
    """Return how far a summary says that an attempt had come."""
    percent, items = told.get("percent"), told.get("items")
    counts = items.values() if isinstance(items, Mapping) else ()
    counted = sum(count for count in counts if isinstance(count, int | float))
    share = percent if isinstance(percent, int | float) else 0.0
    return _is_end(told), share, counted, repr(sorted(told.items()))


def _is_end(told: Mapping[str, Json]) -> bool:
    """Whether a summary is of an attempt that has ended; a lost one may return."""
    return told.get("status") in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


def _ended_now(before: Stage | None, after: Stage, *, runs: bool) -> bool:
    """Whether a stage ended that was seen to run; one that was named only after the next began was not."""
    if after.finished_at is None or (before is not None and before.finished_at is not None):
        return False
    return runs or (before is not None and before.started_at is not None)


def _returns(before: Status, after: Status) -> Iterator[Line]:
    if before is Status.LOST and after is not Status.LOST:
        yield "returned", {}
    if before is Status.PAUSED and not after.is_finished and after is not Status.PAUSED:
        yield "resumed", {}
    if before is Status.BLOCKED and not after.is_finished and after is not Status.BLOCKED:
        yield "unblocked", {}


def _recoveries(before: Stall | None, after: Stall | None) -> Iterator[Line]:
    if before is not None and after is None:
        yield "recovered", {"reason": before.reason.value, "since": rfc3339(before.since)}


def _stalls(before: Stall | None, after: Stall | None) -> Iterator[Line]:
    if after is not None and (before is None or before.reason is not after.reason):
        yield (
            "stalled",
            {
                "reason": after.reason.value,
                "since": rfc3339(after.since),
                "threshold_seconds": after.threshold_seconds,
            },
        )


def _stage_lines(before: View | None, after: View, ended: Sequence[StageView]) -> Iterator[Line]:
    completed = [stage for stage in ended if stage.status == Status.COMPLETED]
    yield from (_completed(stage) for stage in completed if stage.name != after.stage)
    if after.stage is not None and (before is None or after.stage != before.stage):
        yield "stage_started", {"stage": after.stage}
    yield from (_completed(stage) for stage in completed if stage.name == after.stage)


def _completed(stage: StageView) -> Line:
    return "stage_completed", {"stage": stage.name, "duration_seconds": stage.duration_seconds}


def _wishes(before: Attempt, after: Attempt) -> Iterator[Line]:
    if after.cancel_requested and not before.cancel_requested:
        yield "cancel_requested", {}
    if is_pause_requested(after) and not is_pause_requested(before):
        yield "pause_requested", {}
    if is_pause_requested(before) and not is_pause_requested(after):
        yield "resume_requested", {}


def _turns(before: Status, after: View) -> Iterator[Line]:
    attempt = after.job.attempt
    if after.status is before or after.status in (Status.QUEUED, Status.RUNNING):
        return
    details: dict[str, Json] = {}
    if attempt.final is not None:
        details = {"percent": after.percent, "stage": after.stage, "error": attempt.final.error}
    elif after.status is Status.BLOCKED:
        details = {"blocked_on": word(attempt.words, "blocked_on")}
    yield after.status.value, details
