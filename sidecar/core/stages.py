"""Stages: their order, the share of each that is done, and the percent of the whole.

The percent of a job with a plan is the weight of the stages before the running one plus that stage's own share:
`100 * (before + weight * share) / sum of weights`, so that a stage always ends at its exact upper bound.
"""

from collections.abc import Mapping
from typing import TypeVar

from sidecar.core.job import Attempt, Job, Json, PlannedStage, Register, Registers, Stage
from sidecar.core.peaks import Number, Rank, merged, peak

T = TypeVar("T", float, Rank)

JOB = ""
"""The name under which a job keeps what was reported outside any stage."""

UNFINISHED_CAP = 99.99


def latest(a: T | None, b: T | None) -> T | None:
    """Return the larger of the two, or the one that is there."""
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def earliest(a: float | None, b: float | None) -> float | None:
    """Return the smaller of the two, or the one that is there."""
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def newest(a: Register | None, b: Register | None) -> Register | None:
    """Return the register with the higher rank; equal ranks are one update, seen with two bodies at worst."""
    if a is None or b is None:
        return a or b
    if a.rank == b.rank:
        return max(a, b, key=lambda register: repr(register.value))
    return a if a.rank > b.rank else b


def newest_of_each(a: Registers, b: Registers) -> dict[str, Register]:
    """Return every register of either side, the newest where both have one."""
    return {**a, **{name: newest(a.get(name), register) or register for name, register in b.items()}}


def either(a: Mapping[str, Json], b: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return what either side has; where both differ nobody here can tell, so that any fixed choice will do."""
    if not a or not b:
        return a or b
    return {
        name: max((side[name] for side in (a, b) if name in side), key=repr) for name in sorted(a.keys() | b.keys())
    }


def joined(a: Stage, b: Stage) -> Stage:
    """Return what either side was told of one stage."""
    return Stage(
        first=min(a.first, b.first),
        named=max(a.named, b.named),
        current=merged(a.current, b.current),
        percent=merged(a.percent, b.percent),
        words=newest_of_each(a.words, b.words),
        ended=latest(a.ended, b.ended),
        started_at=earliest(a.started_at, b.started_at),
        finished_at=earliest(a.finished_at, b.finished_at),
    )


def plan_of(job: Job) -> tuple[PlannedStage, ...]:
    """Return the declared plan, empty if there is none."""
    return job.plan.value if job.plan else ()


def ordered(plan: tuple[PlannedStage, ...], stages: Mapping[str, Stage]) -> tuple[PlannedStage, ...]:
    """Return the plan followed by the stages that it does not name, weightless, by who was named first."""
    planned = {stage.name for stage in plan}
    others = [(stage.first, name) for name, stage in stages.items() if name not in planned and name != JOB]
    return (*plan, *(PlannedStage(name, 0.0) for _, name in sorted(others))) if others else plan


def running(order: tuple[PlannedStage, ...], attempt: Attempt) -> str:
    """Return the name of the furthest stage reported since the last rewind, or JOB."""
    for planned in reversed(order):
        stage = attempt.stages.get(planned.name)
        if stage is not None and _counts(stage.named, attempt.rewound):
            return planned.name
    return JOB


def place(order: tuple[PlannedStage, ...], name: str) -> int:
    """Return the index of a stage, or -1 for JOB, before which there is none."""
    return next((index for index, planned in enumerate(order) if planned.name == name), -1)


def count(name: str, attempt: Attempt) -> Number | None:
    """Return how far a stage has counted: its largest report plus its increments; None if it never did."""
    stage = attempt.stages.get(name)
    added = attempt.added.get(f"current:{name}")
    if added is None and (stage is None or not stage.current):
        return None
    largest = peak(stage.current, attempt.rewound) if stage is not None else None
    return (largest or 0) + (added or 0)


def items(attempt: Attempt) -> dict[str, Number]:
    """Return the counts by kind; a kind that was ever reported stays, at least at 0."""
    sums = {name.partition(":")[2]: n for name, n in attempt.added.items() if name.startswith("items:")}
    return {
        kind: (peak(attempt.items.get(kind, ()), attempt.rewound) or 0) + sums.get(kind, 0)
        for kind in sorted(attempt.items.keys() | sums.keys())
    }


def word(registers: Registers, name: str) -> object:
    """Return the newest value given under this name, or None."""
    register = registers.get(name)
    return None if register is None else register.value


def share(name: str, attempt: Attempt) -> float | None:
    """Return the share of a stage that is done, 0 to 1, or None while it is indeterminate."""
    stage = attempt.stages.get(name)
    if stage is None:
        return None
    if _ended(stage, attempt):
        return 1.0
    stated = peak(stage.percent, attempt.rewound)
    counted = _counted_share(stage, count(name, attempt))
    if stated is None or counted is None:
        return counted if stated is None else stated / 100
    return max(stated / 100, counted)


def has_ended(name: str, attempt: Attempt) -> bool:
    """Whether a report said that this stage is completed, and no rewind came after it."""
    return _ended(attempt.stages.get(name), attempt)


def is_growing(name: str, attempt: Attempt) -> bool:
    """Whether the total of this stage is still being discovered."""
    stage = attempt.stages.get(name)
    return stage is not None and word(stage.words, "total_growing") is True


def percent(order: tuple[PlannedStage, ...], name: str, own: float, attempt: Attempt) -> float:
    """Return the percent of the whole with this stage running, 0 to 99.99, before what was shown is held.

    `own` is the share of the running stage, 0 to 1.
    """
    derived = 100 * own if name == JOB else _weighed(order, name, own)
    stated = peak(attempt.percent, attempt.rewound) or 0.0
    return min(UNFINISHED_CAP, round(max(stated, derived), 2))


def stamped(order: tuple[PlannedStage, ...], name: str, attempt: Attempt, now: float) -> Mapping[str, Stage]:
    """Return the stages with the times at which they began and ended, as far as the server saw it."""
    reached = place(order, name)
    stamps = dict(attempt.stages)
    for index, planned in enumerate(order):
        if planned.name in stamps:
            stamps[planned.name] = _stamp(stamps[planned.name], index - reached, attempt, now)
    return stamps


def _counted_share(stage: Stage, done: Number | None) -> float | None:
    total = word(stage.words, "total")
    if done is None or not isinstance(total, int | float) or total <= 0:
        return None
    return None if word(stage.words, "total_growing") is True else min(1.0, done / total)


def _weighed(order: tuple[PlannedStage, ...], name: str, own: float) -> float:
    whole = sum(stage.weight for stage in order)
    if whole <= 0:
        return 0.0
    index = place(order, name)
    before = sum(stage.weight for stage in order[:index])
    return 100 * (before + order[index].weight * own) / whole


def _stamp(stage: Stage, offset: int, attempt: Attempt, now: float) -> Stage:
    started_at: float | None = now if stage.started_at is None else stage.started_at
    finished_at: float | None = None
    if offset > 0:
        started_at = None
    elif offset < 0 or attempt.final is not None or _ended(stage, attempt):
        finished_at = now if stage.finished_at is None else stage.finished_at
    elif stage.finished_at is not None:
        started_at = now
    if (started_at, finished_at) == (stage.started_at, stage.finished_at):
        return stage
    return stage._replace(started_at=started_at, finished_at=finished_at)


def _ended(stage: Stage | None, attempt: Attempt) -> bool:
    return stage is not None and stage.ended is not None and _counts(stage.ended, attempt.rewound)


def _counts(rank: Rank, since: Rank | None) -> bool:
    return since is None or rank >= since
