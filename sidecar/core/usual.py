"""How long jobs of a type usually take, learnt from the last ones that completed: stage by stage, and what follows."""

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from statistics import linear_regression, median, quantiles
from typing import NamedTuple

from sidecar.core.job import PlannedStage, Usual
from sidecar.core.stages import JOB

LEAST_RUNS = 10
"""With fewer nobody can say what is usual."""

MOST_STAGES = 30
LEAST_SECONDS = 0.001
MOST_SLOPE = 1.5
SHRINKAGE_RUNS = 3.0
"""A slope counts as if so many more runs had shown that one part of a job says nothing of the rest."""

MOST_CURVE = 4.0
HALF = 0.5

WHOLE = 100.0


class Run(NamedTuple):
    """How long (seconds) a completed job took, and each of its stages, in the order in which they ended.

    `halfway_seconds` is when half of it was done, None if nobody knows.
    """

    seconds: float
    stages: Mapping[str, float]
    halfway_seconds: float | None = None


def learnt(runs: Sequence[Run]) -> tuple[Usual, ...]:
    """Return what is usual: of the job as a whole, then of the stages that most runs had, in their order.

    Nothing from fewer than `LEAST_RUNS` runs.
    """
    if len(runs) < LEAST_RUNS:
        return ()
    took = [run.seconds for run in runs]
    whole = Usual(JOB, *_rounded(median(took), *_range(_ratios(took)), median(took)))._replace(curve=_curve(runs))
    names = _order(runs)
    return (whole, *_stages(runs, names)) if len(names) <= MOST_STAGES else (whole,)


def plan(usual: Sequence[Usual]) -> tuple[PlannedStage, ...] | None:
    """Return the usual stages, weighed by how long they take so that percent keeps pace with time; None without any."""
    stages = [each for each in usual if each.stage != JOB]
    whole = sum(each.seconds for each in stages)
    if whole <= 0:
        return None
    return tuple(PlannedStage(each.stage, round(WHOLE * each.seconds / whole, 2)) for each in stages)


def weighed(announced: Sequence[PlannedStage], usual: Sequence[Usual]) -> tuple[PlannedStage, ...] | None:
    """Return stages that were announced without weights, with the usual ones; None if one of them is not known."""
    weights = {each.name: each.weight for each in plan(usual) or ()}
    if any(stage.name not in weights for stage in announced):
        return None
    return tuple(stage._replace(weight=weights[stage.name]) for stage in announced)


def _curve(runs: Sequence[Run]) -> float:
    """Return the power of the share done that is the share of the time it took: 2 if the first half takes a quarter."""
    halves = [run.halfway_seconds / run.seconds for run in runs if run.halfway_seconds is not None and run.seconds > 0]
    if len(halves) < LEAST_RUNS:
        return 1.0
    return round(min(MOST_CURVE, max(1 / MOST_CURVE, log(median(halves) or LEAST_SECONDS) / log(HALF))), 2)


def _order(runs: Sequence[Run]) -> list[str]:
    """Return the stages that more than half of the runs had, by how far into the runs they ended on the average."""
    places: dict[str, list[float]] = {}
    for run in runs:
        for place, name in enumerate(run.stages):
            places.setdefault(name, []).append((place + 1) / len(run.stages))
    most = {name: sum(found) / len(found) for name, found in places.items() if 2 * len(found) > len(runs)}
    return sorted(most, key=lambda name: (most[name], name))


def _stages(runs: Sequence[Run], names: Sequence[str]) -> Iterator[Usual]:
    until = [0.0] * len(runs)
    for name in names:
        took = [run.stages.get(name, 0.0) for run in runs]
        until = [spent + seconds for spent, seconds in zip(until, took, strict=True)]
        after = [max(0.0, run.seconds - spent) for run, spent in zip(runs, until, strict=True)]
        slope, rest = _follows(_ratios(until), _ratios(after))
        yield Usual(
            name,
            *_rounded(median(took), *_range(_ratios(took)), median(until), median(after), slope, *_range(rest)),
        )


def _follows(known: Sequence[float], unknown: Sequence[float]) -> tuple[float, list[float]]:
    """Return how strongly the logarithm of one ratio follows the other's, and what is left to chance."""
    logs = [log(each) for each in known]
    slope = 0.0
    if len(set(logs)) > 1:
        raw = linear_regression(logs, [log(each) for each in unknown]).slope
        slope = min(MOST_SLOPE, max(0.0, raw * len(logs) / (len(logs) + SHRINKAGE_RUNS)))
    return slope, [b / exp(slope * a) for a, b in zip(logs, unknown, strict=True)]


def _ratios(values: Sequence[float]) -> list[float]:
    """Return each as a multiple of the median."""
    middle = max(LEAST_SECONDS, median(values))
    return [max(LEAST_SECONDS, each) / middle for each in values]


def _range(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the first and the last decile."""
    cuts = quantiles(ratios, n=10, method="inclusive")
    return cuts[0], cuts[-1]


def _rounded(*numbers: float) -> Iterator[float]:
    """Yield the numbers as short as they may be: they are stored with every job."""
    return (float(f"{number:.4g}") for number in numbers)
