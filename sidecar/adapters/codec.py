"""Jobs, events and notices as bytes, and back: the stored formats.

A document carries its format's version; one of a newer major version is refused rather than misread.
"""

import json
from typing import Any

from sidecar.core.errors import StoreRefused
from sidecar.core.job import (
    Attempt,
    Event,
    Final,
    Job,
    Json,
    PlannedStage,
    Point,
    Register,
    Registers,
    Shown,
    Stage,
    Status,
)
from sidecar.core.ledger import Folded, Ledger, Receipt
from sidecar.core.peaks import Peaks, Rank

FORMAT = 1


def encode_job(job: Job) -> bytes:
    """Return the stored document of a job."""
    return _dump(
        {
            "format": FORMAT,
            "job_id": job.job_id,
            "project": job.project,
            "job_type": job.job_type,
            "attempt": _attempt_out(job.attempt),
            "created_at": job.created_at,
            "updated_at": job.updated_at,
            "last_contact_at": job.last_contact_at,
            "last_progress_at": job.last_progress_at,
            "facts": _registers_out(job.facts),
            "metadata": _registers_out(job.metadata),
            "plan": None
            if job.plan is None
            else [job.plan.rank, [[s.name, s.weight, s.label] for s in job.plan.value]],
            "lineage": job.lineage,
            "version": job.version,
            "event_count": job.event_count,
        }
    )


def decode_job(document: bytes) -> Job:
    """Return the job of a stored document. Raises `StoreRefused` for a format that this release does not know."""
    stored = json.loads(document)
    if stored["format"] > FORMAT:
        message = f"the job is stored in format {stored['format']}; this release reads formats up to {FORMAT}"
        raise StoreRefused(message)
    plan = stored["plan"]
    return Job(
        job_id=stored["job_id"],
        project=stored["project"],
        job_type=stored["job_type"],
        attempt=_attempt_in(stored["attempt"]),
        created_at=stored["created_at"],
        updated_at=stored["updated_at"],
        last_contact_at=stored["last_contact_at"],
        last_progress_at=stored["last_progress_at"],
        facts=_registers_in(stored["facts"]),
        metadata=_registers_in(stored["metadata"]),
        plan=None if plan is None else Register(Rank(*plan[0]), tuple(PlannedStage(*stage) for stage in plan[1])),
        lineage=stored["lineage"],
        version=stored["version"],
        event_count=stored["event_count"],
    )


def encode_event(event: Event) -> bytes:
    """Return a timeline event as kept in the outbox."""
    return _dump([event.id, event.number, event.type, event.at, event.attempt, dict(event.details)])


def decode_event(stored: bytes) -> Event:
    """Return the event of an outbox entry."""
    return Event(*json.loads(stored))


def encode_row(version: int, row: Json) -> bytes:
    """Return what is published of a change: the version, and the brief row or null for a job that is gone."""
    return _dump([version, row])


def decode_row(published: bytes) -> tuple[int, Json]:
    """Return version and row of a published change."""
    version, row = json.loads(published)
    return version, row


def _dump(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _attempt_out(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "newest": attempt.newest,
        "writers": {name: _ledger_out(known) for name, known in attempt.writers.items()},
        "keys": _ledger_out(attempt.keys),
        "added": dict(attempt.added),
        "words": _registers_out(attempt.words),
        "worked": attempt.worked,
        "stages": {name: _stage_out(stage) for name, stage in attempt.stages.items()},
        "percent": attempt.percent,
        "items": dict(attempt.items),
        "rewound": attempt.rewound,
        "shown": [attempt.shown.since, attempt.shown.percent],
        "points": [[p.at, p.percent, p.count, p.stage] for p in attempt.points],
        "final": None if attempt.final is None else _final_out(attempt.final),
        "lost_at": attempt.lost_at,
        "cancel_requested": attempt.cancel_requested,
        "pause_asked": attempt.pause_asked,
        "started_at": attempt.started_at,
        "sampled_at": attempt.sampled_at,
    }


def _attempt_in(stored: dict[str, Any]) -> Attempt:
    final = stored["final"]
    return Attempt(
        number=stored["number"],
        newest=Rank(*stored["newest"]),
        writers={name: _ledger_in(known, int) for name, known in stored["writers"].items()},
        keys=_ledger_in(stored["keys"], str),
        added=stored["added"],
        words=_registers_in(stored["words"]),
        worked=_rank_in(stored["worked"]),
        stages={name: _stage_in(stage) for name, stage in stored["stages"].items()},
        percent=_peaks_in(stored["percent"]),
        items={kind: _peaks_in(peaks) for kind, peaks in stored["items"].items()},
        rewound=_rank_in(stored["rewound"]),
        shown=Shown(_rank_in(stored["shown"][0]), stored["shown"][1]),
        points=tuple(Point(*point) for point in stored["points"]),
        final=None if final is None else Final(final[0], Status(final[1]), final[2], final[3]),
        lost_at=stored["lost_at"],
        cancel_requested=stored["cancel_requested"],
        pause_asked=stored["pause_asked"],
        started_at=stored["started_at"],
        sampled_at=stored["sampled_at"],
    )


def _final_out(final: Final) -> list[Json]:
    return [final.at, final.status, final.error, final.result]


def _stage_out(stage: Stage) -> list[Json]:
    return [
        stage.first,
        stage.named,
        stage.current,
        stage.percent,
        _registers_out(stage.words),
        stage.ended,
        stage.started_at,
        stage.finished_at,
    ]


def _stage_in(stored: list[Any]) -> Stage:
    first, named, current, percent, words, ended, started_at, finished_at = stored
    return Stage(
        first=Rank(*first),
        named=Rank(*named),
        current=_peaks_in(current),
        percent=_peaks_in(percent),
        words=_registers_in(words),
        ended=_rank_in(ended),
        started_at=started_at,
        finished_at=finished_at,
    )


def _ledger_out(known: Ledger) -> dict[str, Any]:
    return {
        "receipts": [[i, r.lineage, r.number, r.digest, r.at, dict(r.amounts)] for i, r in known.receipts.items()],
        "folded": {lineage: [folded.upto, dict(folded.amounts)] for lineage, folded in known.folded.items()},
        "clock": known.clock,
        "floor": known.floor,
        "top": known.top,
        "last_at": known.last_at,
        "absolutes": sorted(known.absolutes),
        "increments": sorted(known.increments),
    }


def _ledger_in(stored: dict[str, Any], identity: type[int | str]) -> Ledger:
    return Ledger(
        receipts={identity(receipt[0]): Receipt(*receipt[1:]) for receipt in stored["receipts"]},
        folded={lineage: Folded(*folded) for lineage, folded in stored["folded"].items()},
        clock=stored["clock"],
        floor=stored["floor"],
        top=stored["top"],
        last_at=stored["last_at"],
        absolutes=frozenset(stored["absolutes"]),
        increments=frozenset(stored["increments"]),
    )


def _registers_out(registers: Registers) -> dict[str, Any]:
    return {name: [register.rank, register.value] for name, register in registers.items()}


def _registers_in(stored: dict[str, Any]) -> Registers:
    return {name: Register(Rank(*rank), value) for name, (rank, value) in stored.items()}


def _peaks_in(stored: list[Any]) -> Peaks:
    return tuple((Rank(*rank), value) for rank, value in stored)


def _rank_in(stored: list[Any] | None) -> Rank | None:
    return None if stored is None else Rank(*stored)
