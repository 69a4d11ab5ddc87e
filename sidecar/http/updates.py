"""Reports, once checked, into what the core calls an update."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from itertools import count

from pydantic import BaseModel

from sidecar.core.errors import InvalidUpdate
from sidecar.core.job import Json, PlannedStage, Update, WorkerEvent
from sidecar.http import checks
from sidecar.http.wire import Report

WHO = {"job_id", "project", "job_type", "attempt", "writer", "seq"}
WORDS = ("status", "message", "detail", "blocked_on", "error", "result", "total", "total_growing")
FACTS = ("unit", "labels", "resume", "parent_id", "trace_id", "interval_seconds", "max_runtime_seconds")

_PROCESS = secrets.token_hex(6)
_requests = count()


def identity() -> str:
    """Return what no other request of any process has; counted, as asking the system for chance takes 2 us."""
    return f"{_PROCESS}{next(_requests):x}"


def new_id() -> str:
    """Return an id for a job whose client gave none: 128 random bits."""
    return secrets.token_hex(16)


def update(report: Report, *, job_id: str, key: str | None = None, trace_id: str | None = None) -> Update:
    """Return what a report says of one job; `key` is its idempotency key, `trace_id` the trace of its request.

    Raises `InvalidUpdate`.
    """
    said = _said(report)
    _check_together(report, said, key)
    add, event = said.get("add", {}), said.get("event")
    return Update(
        job_id=job_id,
        identity=identity(),
        writer=report.writer,
        seq=report.seq,
        key=key,
        digest=digest(said) if report.seq is not None or key is not None else "",
        project=report.project,
        job_type=report.job_type,
        attempt=report.attempt,
        plan=_plan(said),
        is_weighed=any("weight" in stage for stage in said.get("stages", ())),
        stage=report.stage,
        stage_completed=report.stage_status == "completed",
        rewind=report.rewind,
        current=report.current,
        percent=report.percent,
        stage_percent=report.stage_percent,
        items=said.get("items", {}),
        add_current=add.get("current"),
        add_items=add.get("items", {}),
        words={name: said[name] for name in WORDS if name in said},
        facts=_facts(said),
        metadata=said.get("metadata", {}),
        event=WorkerEvent(event["type"], event.get("details", {})) if event else None,
        said=said,
        trace_id=trace_id,
    )


def nothing(job_id: str, key: str | None, trace_id: str | None) -> Update:
    """Return what says nothing of a job but who asks."""
    return Update(job_id=job_id, identity=identity(), key=key, trace_id=trace_id)


def _said(report: Report) -> dict[str, Json]:
    """Return the fields that were given, beyond who reports; 1 us, where `model_dump` takes 3."""
    values = vars(report)
    return {name: _plain(values[name]) for name in sorted(report.model_fields_set - WHO)}


def _plain(value: Json) -> Json:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def digest(said: Mapping[str, Json]) -> str:
    """Return a short hash by which the same body sent twice is recognised, in whatever order its keys are."""
    return hashlib.blake2b(_canonical(said).encode(), digest_size=6).hexdigest()


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _check_together(report: Report, said: Mapping[str, Json], key: str | None) -> None:
    if report.current is not None and report.total is not None and report.current > report.total:
        raise InvalidUpdate("current", "must not exceed total")
    if "add" in said and report.seq is None and key is None:
        raise InvalidUpdate("add", "needs seq or an Idempotency-Key header, else a repeated request would count twice")


def _plan(said: Mapping[str, Json]) -> tuple[PlannedStage, ...] | None:
    if "stages" not in said:
        return None
    return tuple(PlannedStage(stage["name"], stage.get("weight", 1.0), stage.get("label")) for stage in said["stages"])


def _facts(said: Mapping[str, Json]) -> dict[str, Json]:
    facts = {name: said[name] for name in FACTS if name in said}
    if "deadline_at" in said:
        facts["deadline_at"] = None if said["deadline_at"] is None else checks.unix_seconds(said["deadline_at"])
    return facts
