"""Jobs, events and notices as bytes, and back: the stored formats.

A document is a line of JSON and, after it, the receipts of each writer's window, a line for each: text that the core
keeps packed, so that it is stored without being encoded again. It carries its format's version; one of a newer major
version is refused rather than misread. What a newer release has appended to an array is passed over: what must
be kept by an older one belongs into a field of the job or of its attempt, or into the details of an event.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from sidecar.core.errors import Unreadable
from sidecar.core.job import (
    NOTHING,
    Attempt,
    Event,
    Final,
    Job,
    Json,
    PlannedStage,
    Point,
    Promise,
    Register,
    Registers,
    Shown,
    Stage,
    Stall,
    StallReason,
    Status,
    Usual,
)
from sidecar.core.ledger import EMPTY, Folded, Ledger
from sidecar.core.peaks import Peaks, Rank
from sidecar.core.window import Window
from sidecar.ports import Cursor, Notice

T = TypeVar("T")

FORMAT = 1

JOB_FIELDS = frozenset({"format", *Job._fields})
ATTEMPT_FIELDS = frozenset(Attempt._fields)


def encode_job(job: Job) -> bytes:
    """Return the stored document of a job."""
    attempt = job.attempt
    ledgers = [attempt.keys, *attempt.writers.values()]
    fields, tried = job._asdict(), attempt._asdict()
    head = to_json(
        {
            "format": FORMAT,
            **fields.pop("unknown"),
            **fields,
            "attempt": {
                **tried.pop("unknown"),
                **tried,
                "keys": _ledger_out(attempt.keys),
                "writers": {name: _ledger_out(known) for name, known in attempt.writers.items()},
            },
        }
    )
    return head + "".join([known.window.text for known in ledgers]).encode("ascii")


def decode_job(document: bytes) -> Job:
    """Return the job of a stored document. Raises `Unreadable` for a format that this release does not know."""
    return _read(_job_in, document)


def _job_in(document: bytes) -> Job:
    head, feed, receipts = document.partition(b"\n")
    stored = from_json(head)
    if stored["format"] > FORMAT:
        message = f"the job is stored in format {stored['format']}; this release reads formats up to {FORMAT}"
        raise Unreadable(message)
    plan = stored["plan"]
    return Job(
        job_id=stored["job_id"],
        project=stored["project"],
        job_type=stored["job_type"],
        attempt=_attempt_in(stored["attempt"], (feed + receipts).decode("ascii")),
        created_at=stored["created_at"],
        updated_at=stored["updated_at"],
        last_contact_at=stored["last_contact_at"],
        last_progress_at=stored["last_progress_at"],
        facts=_registers_in(stored["facts"]),
        metadata=_registers_in(stored["metadata"]),
        plan=None if plan is None else Register(_rank(plan[0]), tuple(_made(PlannedStage, stage) for stage in plan[1])),
        lineage=stored["lineage"],
        version=stored["version"],
        event_count=stored["event_count"],
        unknown=_unknown(stored, JOB_FIELDS),
    )


def encode_event(event: Event) -> bytes:
    """Return a timeline event as kept in the outbox."""
    return to_json([event.id, event.number, event.type, event.at, event.attempt, dict(event.details)])


def decode_event(stored: bytes) -> Event:
    """Return the event of an outbox entry. Raises `Unreadable`."""
    return _read(lambda bytes_: _made(Event, from_json(bytes_)), stored)


def _read(decode: Callable[[bytes], T], stored: bytes) -> T:
    try:
        return decode(stored)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Unreadable(f"what is stored cannot be read: {type(error).__name__}: {error}") from error


def _made(kind: Callable[..., T], stored: list[Any]) -> T:
    """Return a named tuple of a stored array, without what a newer release has appended to it."""
    return kind(*stored[: len(kind._fields)])  # type: ignore[attr-defined] # each kind is a named tuple


def _rank(stored: list[Any]) -> Rank:
    return _made(Rank, stored)


def encode_notice(version: int, row: Json, *, is_end: bool) -> bytes:
    """Return what is published of a change: version, whether it is an end (1/0), and the row (null: it is gone)."""
    return b"%d %d %s" % (version, is_end, to_json(row))


def decode_notice(project: str, published: bytes) -> Notice:
    """Return a published change; the script has put the epoch, the rev and the job's id before it."""
    epoch, rev, job_id, version, is_end, row = published.split(b" ", 5)
    cursor = Cursor(epoch.decode(), int(rev))
    return Notice(project, job_id.decode(), cursor, int(version), is_end == b"1", None if row == b"null" else row)


def _attempt_in(stored: dict[str, Any], receipts: str) -> Attempt:
    final, texts = stored["final"], _cut(receipts, [stored["keys"], *stored["writers"].values()])
    return Attempt(
        number=stored["number"],
        newest=_rank(stored["newest"]),
        keys=_ledger_in(stored["keys"], next(texts)),
        writers={name: _ledger_in(known, next(texts)) for name, known in stored["writers"].items()},
        added=stored["added"],
        words=_registers_in(stored["words"]),
        worked=_rank_in(stored["worked"]),
        stages={name: _stage_in(stage) for name, stage in stored["stages"].items()},
        percent=_peaks_in(stored["percent"]),
        items={kind: _peaks_in(peaks) for kind, peaks in stored["items"].items()},
        rewound=_rank_in(stored["rewound"]),
        shown=Shown(_rank_in(stored["shown"][0]), stored["shown"][1]),
        points=tuple(_made(Point, point) for point in stored["points"]),
        final=None if final is None else Final(final[0], Status(final[1]), final[2], final[3]),
        lost_at=stored["lost_at"],
        cancel_requested=stored["cancel_requested"],
        pause_asked=stored["pause_asked"],
        started_at=stored["started_at"],
        sampled_at=stored["sampled_at"],
        opened_at=stored.get("opened_at"),
        resumed_at=stored.get("resumed_at"),
        cancel_asked_at=stored.get("cancel_asked_at"),
        stall=_stall_in(stored.get("stall")),
        usual=tuple(_made(Usual, each) for each in stored.get("usual", ())),
        halfway=None if stored.get("halfway") is None else _made(Promise, stored["halfway"]),
        unknown=_unknown(stored, ATTEMPT_FIELDS),
    )


def _stall_in(stored: Json) -> Stall | None:
    return None if stored is None else Stall(StallReason(stored[0]), stored[1], stored[2])


def _unknown(stored: dict[str, Any], known: frozenset[str]) -> Json:
    """Return the fields that this release does not know."""
    if stored.keys() <= known:
        return NOTHING
    return {name: value for name, value in stored.items() if name not in known}


def _stage_in(stored: list[Any]) -> Stage:
    first, named, current, percent, words, ended, started_at, finished_at, *_ = stored
    return Stage(
        first=_rank(first),
        named=_rank(named),
        current=_peaks_in(current),
        percent=_peaks_in(percent),
        words=_registers_in(words),
        ended=_rank_in(ended),
        started_at=started_at,
        finished_at=finished_at,
    )


def _ledger_out(known: Ledger) -> Json:
    """Return a ledger with the size and the length of its window's text in the place of the window."""
    if known is EMPTY:
        return None
    lineage, text, size = known.window
    return [[lineage, size, len(text)], *known[1:-2], sorted(known.absolutes), sorted(known.increments)]


def _ledger_in(stored: Json, text: str) -> Ledger:
    if stored is None:
        return EMPTY
    (lineage, size, *_), folded, clock, floor, top, last_at, absolutes, increments, *_ = stored
    return Ledger(
        window=Window(lineage, text, size),
        folded={lineage: _made(Folded, sums) for lineage, sums in folded.items()},
        clock=clock,
        floor=floor,
        top=top,
        last_at=last_at,
        absolutes=frozenset(absolutes),
        increments=frozenset(increments),
    )


def _cut(receipts: str, ledgers: list[Json]) -> Iterator[str]:
    """Yield each ledger's part of the receipts."""
    start = 0
    for stored in ledgers:
        length = 0 if stored is None else stored[0][2]
        yield receipts[start : start + length]
        start += length


def _registers_in(stored: dict[str, Any]) -> Registers:
    return {name: Register(_rank(rank), value) for name, (rank, value, *_) in stored.items()}


def _peaks_in(stored: list[Any]) -> Peaks:
    return tuple((_rank(rank), value) for rank, value, *_ in stored)


def _rank_in(stored: list[Any] | None) -> Rank | None:
    return None if stored is None else _rank(stored)
