"""The spans of finished work, one for each attempt at a job and one for each of its stages.

All of a span follows from the job, its ids too: whichever replica makes it, it is the same span. The trace is the one
that the job's `trace_id` names; without a W3C one it is the first half of the SHA-256 of the job's id.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from opentelemetry.trace import Tracer

from sidecar.core.job import Attempt, Status
from sidecar.core.merge import Outcome
from sidecar.core.stages import word
from sidecar.core.view import StageView, View

W3C_TRACE = re.compile(r"([0-9a-f]{32})|(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
"""A trace id alone, or a `traceparent`."""

MOST_EXEMPLAR = 128
"""Characters of an exemplar's names and values; with more OpenMetrics refuses it."""


class Place(NamedTuple):
    """A trace, and the span in it (None: the root) below which a job stands."""

    trace_id: int
    parent_id: int | None = None


class FinishedSpan(NamedTuple):
    """A span whose work is done; times are Unix seconds."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    started_at: float
    finished_at: float
    is_error: bool
    attributes: Mapping[str, str | int | float]


class Spans(Protocol):
    """Takes finished spans to where traces are kept. Cheap, never raises, never blocks; drops what it cannot keep."""

    def ended(self, span: FinishedSpan) -> None:
        """Take a span; the same one may be given by several replicas."""
        ...


@dataclass(frozen=True, slots=True)
class Tracing:
    """What makes the spans of requests, and what takes those of finished work; None where nobody wants traces."""

    tracer: Tracer | None = None
    spans: Spans | None = None


def ended_with(outcome: Outcome) -> Iterator[FinishedSpan]:
    """Yield the spans of the stages that a change has ended, and of the job if it ended that too.

    A lost job has not ended: its worker may return.
    """
    for stage in outcome.ended:
        yield stage_span(outcome.view, stage)
    if outcome.view.is_over and outcome.events and outcome.events[-1].type == outcome.view.status:
        yield job_span(outcome.view)


def job_span(shown: View) -> FinishedSpan:
    """Return the span of a finished attempt; one that never began spans the time in which it waited."""
    job, attempt = shown.job, shown.job.attempt
    finished_at = shown.finished_at or job.updated_at
    opened_at = _first_known(attempt.opened_at, attempt.started_at, job.created_at)
    started_at = _first_known(attempt.started_at, opened_at)
    place = place_of(shown)
    attributes = {**_attributes(shown), "progress.job.status": shown.status.value}
    attributes["progress.job.queued_seconds"] = max(0.0, round(started_at - opened_at, 3))
    if shown.status is Status.FAILED:
        attributes["error.type"] = _error_type(attempt)
    return FinishedSpan(
        name=f"job {job.job_type}",
        trace_id=place.trace_id,
        span_id=_job_span_id(shown),
        parent_id=place.parent_id,
        started_at=started_at,
        finished_at=max(started_at, finished_at),
        is_error=shown.status is Status.FAILED,
        attributes=attributes,
    )


def stage_span(shown: View, stage: StageView) -> FinishedSpan:
    """Return the span of a stage that has ended, below that of its job."""
    finished_at = _first_known(stage.finished_at, shown.job.updated_at)
    started_at = _first_known(stage.started_at, finished_at)
    name = _encodable(stage.name)
    return FinishedSpan(
        name=f"stage {name}",
        trace_id=place_of(shown).trace_id,
        span_id=_stage_span_id(shown, stage),
        parent_id=_job_span_id(shown),
        started_at=started_at,
        finished_at=max(started_at, finished_at),
        is_error=stage.status == Status.FAILED,
        attributes={**_attributes(shown), "progress.stage.name": name, "progress.stage.status": str(stage.status)},
    )


def place_of(shown: View) -> Place:
    """Return where a job stands among traces."""
    given = word(shown.job.facts, "trace_id")
    found = W3C_TRACE.fullmatch(given.strip().lower()) if isinstance(given, str) else None
    if found is not None:
        trace_id, parent_id = int(found[1] or found[2], 16), int(found[3] or "0", 16)
        if trace_id:
            return Place(trace_id, parent_id or None)
    return Place(_hashed(shown.job.job_id, size=16))


def stage_exemplar(shown: View, stage: StageView) -> dict[str, str] | None:
    """Return the exemplar that leads from the duration of a stage to its span."""
    return exemplar(place_of(shown).trace_id, _stage_span_id(shown, stage))


def exemplar(trace_id: int, span_id: int) -> dict[str, str] | None:
    """Return the labels of an exemplar, None if there is no such span or no room for it."""
    if not trace_id or not span_id:
        return None
    labels = {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}
    return labels if sum(len(name) + len(value) for name, value in labels.items()) <= MOST_EXEMPLAR else None


def _attributes(shown: View) -> dict[str, str | int | float]:
    job = shown.job
    return {
        "progress.job.id": job.job_id,
        "progress.job.project": job.project,
        "progress.job.type": job.job_type,
        "progress.job.attempt": job.attempt.number,
    }


def _error_type(attempt: Attempt) -> str:
    """Return the type of error that the worker named. Its message may repeat what was worked on, and stays here."""
    error = attempt.final.error if attempt.final is not None else None
    named = error.get("type") if isinstance(error, dict) else None
    return _encodable(named) if isinstance(named, str) and named else "failed"


def _job_span_id(shown: View) -> int:
    return _hashed(f"{shown.job.job_id}/{shown.job.attempt.number}", size=8)


def _stage_span_id(shown: View, stage: StageView) -> int:
    """Return the id of the span of a stage: another one when it has run again after a rewind."""
    rewound = shown.job.attempt.rewound
    generation = "" if rewound is None else f"{rewound.seq}.{rewound.tick}.{rewound.writer}"
    return _hashed(f"{shown.job.job_id}/{shown.job.attempt.number}/{generation}/{stage.name}", size=8)


def _hashed(text: str, size: int) -> int:
    """Return a number of `size` bytes that is not 0: no id may be."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:size], "big") or 1


def _first_known(*times: float | None) -> float:
    return next((at for at in times if at is not None), 0.0)


def _encodable(text: str) -> str:
    """Return the text without lone surrogates, which would fail a whole batch of spans."""
    return text.encode(errors="replace").decode()
