"""Bounds that keep one job's document small, whatever its workers send.

A job that has outgrown a bound, as two versions of it may when they are joined, still takes whatever adds nothing.
"""

import json
from collections.abc import Mapping

from sidecar.core.errors import InvalidUpdate
from sidecar.core.job import Attempt, Job, Registers, Update
from sidecar.core.ledger import EMPTY, Ledger, retired
from sidecar.core.stages import JOB, plan_of

MOST_STAGES = 100
MOST_KINDS = 100
MOST_WRITERS = 1_000
WRITERS_WITH_WINDOW = 64
METADATA_BYTES = 16 * 1024


def counters(update: Update, stage: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the counters that the update sets and of those that it adds to."""
    absolutes = {f"items:{kind}" for kind in update.items}
    increments = {f"items:{kind}" for kind in update.add_items}
    if update.current is not None:
        absolutes.add(f"current:{stage}")
    if update.add_current is not None:
        increments.add(f"current:{stage}")
    return frozenset(absolutes), frozenset(increments)


def check(job: Job, update: Update, stage: str) -> None:
    """Raise `InvalidUpdate` if the update would break a bound or mix absolute and added counts."""
    absolutes, increments = counters(update, stage)
    known = job.attempt.writers.get(update.writer, EMPTY)
    mixed = (absolutes & (known.increments | increments)) | (increments & known.absolutes)
    if mixed:
        first = min(mixed)
        raise InvalidUpdate(_field(first, added=first in increments), _MIXED)
    if increments and update.seq is None and update.key is None:
        raise InvalidUpdate("add", "needs `seq` or an Idempotency-Key header, so that a repeated request counts once")
    _check_stages(job, update, stage)
    _check_kinds(job.attempt, update)


def check_metadata(before: Registers, after: Registers) -> None:
    """Raise `InvalidUpdate` if a job's metadata grows beyond its bound."""
    size = _size(after)
    if size > METADATA_BYTES and size > _size(before):
        raise InvalidUpdate("metadata", f"would grow to {size} bytes; a job keeps at most {METADATA_BYTES}")


def with_writer(writers: Mapping[str, Ledger], name: str, mine: Ledger) -> dict[str, Ledger]:
    """Return the ledgers with a writer's own; of all, the 64 heard from last remember single updates.

    Raises `InvalidUpdate` for one writer too many.
    """
    if name not in writers and len(writers) >= MOST_WRITERS:
        raise InvalidUpdate("writer", f"a job has at most {MOST_WRITERS} writers")
    kept = {**writers, name: mine}
    if len(kept) <= WRITERS_WITH_WINDOW:
        return kept
    windowed = [other for other, known in writers.items() if known.window.size and other != name]
    surplus = len(windowed) + 1 - WRITERS_WITH_WINDOW
    for other in sorted(windowed, key=lambda other: (kept[other].last_at, other))[: max(0, surplus)]:
        kept[other] = retired(kept[other])
    return kept


_MIXED = "one writer either sets or adds to a counter, not both"


def _field(counter: str, *, added: bool) -> str:
    name, _, kind = counter.partition(":")
    path = name if name == "current" else f"items.{kind}"
    return f"add.{path}" if added else path


def _check_stages(job: Job, update: Update, stage: str) -> None:
    if not update.plan and (stage == JOB or stage in job.attempt.stages):
        return
    reported, planned = job.attempt.stages.keys(), plan_of(job)
    known = {*reported, *(known.name for known in planned)}
    names = {*reported, stage, *(named.name for named in update.plan or planned)} - {JOB}
    if len(names) > MOST_STAGES and not names <= known:
        raise InvalidUpdate("stages" if update.plan else "stage", f"a job has at most {MOST_STAGES} stages")


def _check_kinds(attempt: Attempt, update: Update) -> None:
    given = {**update.items, **update.add_items}.keys()
    if given <= attempt.items.keys():
        return
    known = attempt.items.keys() | (name.partition(":")[2] for name in attempt.added if name.startswith("items:"))
    if len(known | given) > MOST_KINDS and not given <= known:
        field = "add.items" if update.items.keys() <= known else "items"
        raise InvalidUpdate(field, f"a job has at most {MOST_KINDS} kinds of items")


def _size(metadata: Registers) -> int:
    values = {name: register.value for name, register in metadata.items()}
    return len(json.dumps(values, ensure_ascii=False).encode())
