"""What a set of updates of one attempt amounts to, worked out from all of them at once and in the plainest way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sidecar.core.job import Update

STAGE_WORDS = ("total", "total_growing")

Rank = tuple[int, str]


def rank(update: Update) -> Rank:
    """Return the place of an update in the newest-wins order."""
    assert update.seq is not None
    return update.seq, update.writer


def newest(updates: Sequence[Update], told: Callable[[Update], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the newest value that was told under each name."""
    return {name: value for update in sorted(updates, key=rank) for name, value in told(update).items()}


def words(updates: Sequence[Update]) -> dict[str, Any]:
    """Return the newest words on the attempt."""
    return newest(updates, lambda u: {name: said for name, said in u.words.items() if name not in STAGE_WORDS})


def total(updates: Sequence[Update], stage: str) -> Any:
    """Return the newest total of a stage."""
    return newest([u for u in updates if (u.stage or "") == stage], lambda u: u.words).get("total")


def since_rewind(updates: Sequence[Update]) -> list[Update]:
    """Return the updates whose maxima count."""
    rewinds = [rank(u) for u in updates if u.rewind]
    return [u for u in updates if not rewinds or rank(u) >= max(rewinds)]


def current(updates: Sequence[Update], stage: str) -> Any:
    """Return the count of a stage."""
    mine = [u for u in updates if (u.stage or "") == stage]
    added = [u.add_current for u in mine if u.add_current is not None]
    largest = max((u.current for u in since_rewind(updates) if u in mine and u.current is not None), default=0)
    has_counted = added or any(u.current is not None for u in mine)
    return largest + sum(added) if has_counted else None


def items(updates: Sequence[Update]) -> dict[str, Any]:
    """Return the counts by kind."""
    kinds = {kind for u in updates for kind in (*u.items, *u.add_items)}
    counting = since_rewind(updates)
    return {
        kind: max((u.items[kind] for u in counting if kind in u.items), default=0)
        + sum(u.add_items.get(kind, 0) for u in updates)
        for kind in kinds
    }


def stages(updates: Sequence[Update]) -> list[str]:
    """Return the names of all stages in order: those of the newest plan, then the others as they were named."""
    plan = newest(updates, lambda u: {"plan": u.plan} if u.plan else {}).get("plan", ())
    planned = [stage.name for stage in plan]
    named = [u.stage for u in sorted(updates, key=rank) if u.stage]
    return [*planned, *(name for name in dict.fromkeys(named) if name not in planned)]


def stage(updates: Sequence[Update]) -> str | None:
    """Return the name of the running stage."""
    named = {u.stage for u in since_rewind(updates)}
    return next((name for name in reversed(stages(updates)) if name in named), None)


def percent_stated(updates: Sequence[Update]) -> float:
    """Return the largest percent that a worker stated."""
    return max((u.percent for u in since_rewind(updates) if u.percent is not None), default=0.0)
