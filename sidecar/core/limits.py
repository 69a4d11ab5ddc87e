"""Bounds that keep one job's document small, whatever its workers send."""

import json
from collections.abc import Iterable, Mapping

from sidecar.core.errors import InvalidUpdate
from sidecar.core.job import Attempt, Job, Registers, Update
from sidecar.core.ledger import Ledger, retired
from sidecar.core.stages import JOB

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
    attempt = job.attempt
    absolutes, increments = counters(update, stage)
    known = attempt.writers.get(update.writer, Ledger())
    mixed = (absolutes & (known.increments | increments)) | (increments & known.absolutes)
    if mixed:
        raise InvalidUpdate(_field(min(mixed), added=bool(increments & mixed)), _MIXED)
    if increments and update.seq is None and update.key is None:
        raise InvalidUpdate("add", "needs `seq` or an Idempotency-Key header, so that a repeated request counts once")
    stages = {*attempt.stages, stage, *(planned.name for planned in update.plan or ())} - {JOB}
    _at_most(MOST_STAGES, stages, "stages" if update.plan else "stage", "stages")
    kinds = {*attempt.items, *update.items, *update.add_items, *_added_kinds(attempt)}
    _at_most(MOST_KINDS, kinds, "items" if update.items else "add.items", "kinds of items")
    _at_most(MOST_WRITERS, {*attempt.writers, update.writer}, "writer", "writers")


def check_metadata(metadata: Registers) -> None:
    """Raise `InvalidUpdate` if a job's metadata has outgrown its bound."""
    size = len(json.dumps({name: register.value for name, register in metadata.items()}, ensure_ascii=False).encode())
    if size > METADATA_BYTES:
        raise InvalidUpdate("metadata", f"would grow to {size} bytes; a job keeps at most {METADATA_BYTES}")


def without_surplus_windows(writers: Mapping[str, Ledger], keep: str) -> dict[str, Ledger]:
    """Return the ledgers of which at most 64 remember single updates: those heard from last, and `keep`."""
    kept = dict(writers)
    windowed = [name for name, known in writers.items() if known.receipts and name != keep]
    surplus = len(windowed) + 1 - WRITERS_WITH_WINDOW
    for name in sorted(windowed, key=lambda name: (kept[name].last_at, name))[: max(0, surplus)]:
        kept[name] = retired(kept[name])
    return kept


_MIXED = "one writer either sets or adds to a counter, not both"


def _field(counter: str, *, added: bool) -> str:
    name, _, kind = counter.partition(":")
    path = name if name == "current" else f"items.{kind}"
    return f"add.{path}" if added else path


def _added_kinds(attempt: Attempt) -> Iterable[str]:
    return (name.partition(":")[2] for name in attempt.added if name.startswith("items:"))


def _at_most(most: int, names: set[str], field: str, what: str) -> None:
    if len(names) > most:
        raise InvalidUpdate(field, f"a job has at most {most} {what}")
