"""The JSON forms of a job: the whole document and the brief row, as plain values."""

from datetime import UTC, datetime
from typing import Any

from sidecar.core import pace
from sidecar.core.job import Json, Stall, Status
from sidecar.core.stages import word
from sidecar.core.view import StageView, View, is_pause_requested


def document(shown: View) -> dict[str, Json]:
    """Return the whole job as JSON-able values in the order of the API, without its cursor."""
    job, attempt = shown.job, shown.job.attempt
    final = attempt.final
    return {
        "job_id": job.job_id,
        "project": job.project,
        "job_type": job.job_type,
        "attempt": attempt.number,
        "status": shown.status,
        "percent": shown.percent,
        "stage": shown.stage,
        "stage_label": shown.stage_label,
        "stage_percent": shown.stage_percent,
        "current": shown.current,
        "total": shown.total,
        "total_growing": shown.total_growing,
        "unit": word(job.facts, "unit"),
        "items": dict(shown.items),
        "message": word(attempt.words, "message"),
        "detail": word(attempt.words, "detail"),
        "stages": [_stage_document(stage) for stage in shown.stages],
        "eta": _eta_document(shown.eta),
        "rate_per_second": shown.rate_per_second,
        "stall": _stall_document(attempt.stall),
        "blocked_on": word(attempt.words, "blocked_on") if shown.status is Status.BLOCKED else None,
        "error": final.error if final else word(attempt.words, "error"),
        "result": final.result if final else word(attempt.words, "result"),
        "metadata": {name: job.metadata[name].value for name in sorted(job.metadata)},
        "labels": word(job.facts, "labels") or {},
        "resume": word(job.facts, "resume"),
        "parent_id": word(job.facts, "parent_id"),
        "trace_id": word(job.facts, "trace_id"),
        "cancel_requested": attempt.cancel_requested,
        "pause_requested": is_pause_requested(attempt),
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(attempt.started_at),
        "updated_at": rfc3339(job.updated_at),
        "last_contact_at": rfc3339(job.last_contact_at),
        "last_progress_at": rfc3339(job.last_progress_at),
        "finished_at": rfc3339(shown.finished_at),
        "version": job.version,
    }


def row(shown: View) -> dict[str, Json]:
    """Return the brief view: one flat row of about 300 bytes, without its cursor."""
    job, eta = shown.job, shown.eta
    stall = job.attempt.stall
    return {
        "job_id": job.job_id,
        "project": job.project,
        "job_type": job.job_type,
        "attempt": job.attempt.number,
        "status": shown.status,
        "percent": shown.percent,
        "stage": shown.stage,
        "stage_label": shown.stage_label,
        "stage_percent": shown.stage_percent,
        "current": shown.current,
        "total": shown.total,
        "unit": word(job.facts, "unit"),
        "message": word(job.attempt.words, "message"),
        "eta_seconds": eta.seconds if eta else None,
        "stall_reason": stall.reason if stall else None,
        "parent_id": word(job.facts, "parent_id"),
        "created_at": rfc3339(job.created_at),
        "updated_at": rfc3339(job.updated_at),
        "last_progress_at": rfc3339(job.last_progress_at),
        "version": job.version,
    }


def rfc3339(at: float | None) -> str | None:
    """Return Unix seconds as RFC 3339 UTC with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stage_document(stage: StageView) -> dict[str, Any]:
    return {
        "name": stage.name,
        "label": stage.label,
        "weight": stage.weight,
        "status": stage.status,
        "percent": stage.percent,
        "current": stage.current,
        "total": stage.total,
        "started_at": rfc3339(stage.started_at),
        "finished_at": rfc3339(stage.finished_at),
        "duration_seconds": stage.duration_seconds,
    }


def _stall_document(stall: Stall | None) -> dict[str, Any] | None:
    if stall is None:
        return None
    return {
        "reason": stall.reason,
        "since": rfc3339(stall.since),
        "threshold_seconds": stall.threshold_seconds,
    }


def _eta_document(eta: pace.Eta | None) -> dict[str, Any] | None:
    if eta is None:
        return None
    return {
        "seconds": eta.seconds,
        "low_seconds": eta.low_seconds,
        "high_seconds": eta.high_seconds,
        "finish_at": rfc3339(eta.finish_at),
    }
