"""Jobs, timeline lines and what is counted of them as rows, and back."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.adapters.codec import decode_job, encode_job
from sidecar.core.changes import summary
from sidecar.core.job import Event, Job, Json
from sidecar.core.merge import fork
from sidecar.core.stages import word
from sidecar.core.stalls import opened_at
from sidecar.core.view import View, view
from sidecar.ports import Cursor, Stored

NO_COPY = Cursor("", 0)

Row = dict[str, Any]


def job_row(shown: View, rev: int, copied: Cursor = NO_COPY, *, is_ahead: bool) -> Row:
    """Return the row of a job; `copied` is the place in Redis' order of which it is an exact copy."""
    job = shown.job
    parent, stall = word(job.facts, "parent_id"), job.attempt.stall
    return {
        "job_id": job.job_id,
        "project": job.project,
        "job_type": job.job_type,
        "status": shown.status.value,
        "parent_id": parent if isinstance(parent, str) else None,
        "created_at": job.created_at,
        "started_at": job.attempt.started_at,
        "updated_at": job.updated_at,
        "finished_at": shown.finished_at,
        "halfway_seconds": shown.halfway_seconds,
        "progress_at": job.last_progress_at,
        "stall_reason": None if stall is None else stall.reason.value,
        "stalled_since": None if stall is None else stall.since,
        "opened_at": opened_at(shown),
        "waited_seconds": job.attempt.waited_seconds,
        "version": job.version,
        "rev": rev,
        "copied_epoch": copied.epoch,
        "copied_rev": copied.rev,
        "is_ahead": is_ahead,
        "document": encode_job(job),
    }


def job_of(document: bytes, epoch: str) -> Job:
    """Return the job of a document, counting on in the lineage of SQL's epoch."""
    return fork(decode_job(document), epoch)


def stored_of(document: bytes, epoch: str, rev: int) -> Stored:
    """Return a job as SQL holds it."""
    return Stored(view(job_of(document, epoch)), Cursor(epoch, rev))


def event_row(job_id: str, line: Event, number: int) -> Row:
    """Return the row of a timeline line that gets this number."""
    return {
        "job_id": job_id,
        "number": number,
        "event_id": line.id,
        "type": line.type,
        "at": line.at,
        "attempt": line.attempt,
        "details": text_of(dict(line.details)),
    }


def event_of(row: Any) -> Event:
    """Return the timeline line of a row."""
    return Event(row.event_id, row.number, row.type, row.at, row.attempt, json.loads(row.details))


def attempt_row(shown: View) -> Row:
    """Return the row of the present attempt of a job."""
    return {
        "job_id": shown.job.job_id,
        "attempt": shown.job.attempt.number,
        "summary": text_of(summary(shown)),
    }


def former_attempt_row(job_id: str, line: Event) -> Row | None:
    """Return the row of the attempt that ended when the line's began."""
    previous = line.details.get("previous")
    if line.type != "attempt_started" or not isinstance(previous, Mapping):
        return None
    return {"job_id": job_id, "attempt": previous["attempt"], "summary": text_of(dict(previous))}


def summary_of(row: Any) -> Mapping[str, Json]:
    """Return what an attempt had reached."""
    return dict(json.loads(row.summary))


def stage_rows(shown: View) -> Iterator[Row]:
    """Yield the rows of the stages that have ended in the present attempt."""
    job = shown.job
    for stage in shown.stages:
        if stage.duration_seconds is not None and stage.finished_at is not None:
            yield {
                "job_id": job.job_id,
                "attempt": job.attempt.number,
                "stage": _plain(stage.name),
                "project": job.project,
                "job_type": job.job_type,
                "outcome": stage.status,
                "seconds": max(0.0, stage.duration_seconds),
                "finished_at": stage.finished_at,
            }


def text_of(value: Json) -> str:
    """Return JSON in ASCII: PostgreSQL takes neither a NUL nor half a surrogate as text."""
    return json.dumps(value, separators=(",", ":"))


def _plain(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
