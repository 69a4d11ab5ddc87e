"""What the API says: one pure function for each message on the wire."""

import csv
import io
from collections.abc import Callable, Iterable

from sidecar.core import document
from sidecar.core.job import Event, Json
from sidecar.core.view import View, is_pause_requested
from sidecar.foresight import KnownType
from sidecar.history import Durations, TypeStats
from sidecar.http import wire
from sidecar.ports import Cursor, Page, Stored, Written
from sidecar.tracker import Begun

Show = Callable[[View, Cursor], dict[str, Json]]
"""One of the two forms in which a job is shown."""

CSV_HEADER_LINE = b"number,at,type,attempt,details\r\n"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def pushed(written: Written, next_update_after_seconds: float) -> dict[str, Json]:
    """Return the answer to a push, and to an operator's request."""
    outcome = written.outcome
    shown, attempt = outcome.view, outcome.job.attempt
    return {
        "job_id": outcome.job.job_id,
        "applied": outcome.applied,
        "reason": outcome.reason,
        "version": outcome.job.version,
        "cursor": str(written.cursor),
        "status": shown.status,
        "percent": shown.percent,
        "attempt": attempt.number,
        "cancel_requested": attempt.cancel_requested,
        "pause_requested": is_pause_requested(attempt),
        "next_update_after_seconds": next_update_after_seconds,
    }


def full(shown: View, cursor: Cursor) -> dict[str, Json]:
    """Return the whole job."""
    return {**document.document(shown), "cursor": str(cursor)}


def brief(shown: View, cursor: Cursor) -> dict[str, Json]:
    """Return the flat row of a job."""
    return {**document.row(shown), "cursor": str(cursor)}


VIEWS: dict[str, Show] = {"full": full, "brief": brief}


def etag(stored: Stored, view: str) -> str:
    """Return the entity tag of a job in one view, without its quotes."""
    return f"{stored.cursor}-{view}"


def page(found: Page, show: Show, following: str | None) -> dict[str, Json]:
    """Return a page of jobs; `following` is the token of the next one."""
    return {
        "jobs": [show(stored.view, stored.cursor) for stored in found.jobs],
        "next": following,
        "cursor": None if found.cursor is None else str(found.cursor),
    }


def begun(found: Begun) -> dict[str, Json]:
    """Return the answer to whoever has begun an attempt: with where its work can be taken up again."""
    return {"attempt": found.attempt, "previous": dict(found.previous), "resume": found.previous.get("resume")}


def event(line: Event) -> dict[str, Json]:
    """Return one line of a timeline."""
    return {
        "number": line.number,
        "at": document.rfc3339(line.at),
        "type": line.type,
        "attempt": line.attempt,
        "details": dict(line.details),
    }


def type_stats(stats: TypeStats) -> dict[str, Json]:
    """Return how the finished jobs of one type went."""
    return {
        "job_type": stats.job_type,
        "finished": stats.finished,
        "completed": stats.completed,
        "success_ratio": round(stats.completed / stats.finished, 4),
        "duration": None if stats.duration is None else _durations(stats.duration),
        "stages": [
            {"stage": stage, "count": took.count, "duration": _durations(took)}
            for stage, took in sorted(stats.stages.items())
        ],
    }


def job_type(known: KnownType) -> dict[str, Json]:
    """Return the stages of a type of jobs, how long one takes, and how long its clocks may run."""
    limits = known.limits
    return {
        "job_type": known.job_type,
        "stages": [
            {
                "name": stage.name,
                "weight": stage.weight,
                "label": stage.label,
                "no_progress_seconds": limits.stages.get(stage.name, limits.no_progress_seconds),
            }
            for stage in known.plan
        ],
        "silent_seconds": limits.silent_seconds,
        "no_progress_seconds": limits.no_progress_seconds,
        "not_started_seconds": limits.not_started_seconds,
        "cancel_stuck_seconds": limits.cancel_stuck_seconds,
        "max_runtime_seconds": limits.max_runtime_seconds,
        "overdue_seconds": None if limits.overdue_seconds is None else round(limits.overdue_seconds, 3),
        "usual_seconds": known.usual_seconds,
    }


def _durations(took: Durations) -> dict[str, Json]:
    return {"p50_seconds": took.p50, "p95_seconds": took.p95, "p99_seconds": took.p99}


def ndjson(lines: Iterable[Event]) -> bytes:
    """Return lines of a timeline as NDJSON."""
    return b"".join(wire.encode(event(line)) + b"\n" for line in lines)


def csv_rows(lines: Iterable[Event]) -> bytes:
    """Return lines of a timeline as CSV, without the header."""
    return _csv(
        (
            line.number,
            document.rfc3339(line.at),
            line.type,
            line.attempt,
            wire.encode(dict(line.details)).decode(),
        )
        for line in lines
    )


def _csv(rows: Iterable[tuple[Json, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: Json) -> Json:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
