"""Simulated runs of four shapes, each pushed through the merge rule as a worker would."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from sidecar.core import usual
from sidecar.core.job import Job, Update, Usual
from sidecar.core.merge import apply
from sidecar.core.stages import JOB
from sidecar.core.usual import Run
from sidecar.core.view import View, view

REPORTS_A_RUN = 200
STEPS = 100
"""What a stage counts up to."""

JITTER = 0.3
"""How far (as a logarithm) the time of one report is from that of the others."""

HISTORY = 50
HALF = 50.0


class Part(NamedTuple):
    """A stage of a run: `speed` is how fast it goes (any unit) at a share of it (0-1)."""

    name: str
    seconds: float
    speed: Callable[[float], float] = lambda _: 1.0


class Guess(NamedTuple):
    """What was said at a share of a run's time: seconds until the end, and how many they were."""

    seconds: float | None
    actual: float


Shape = Callable[[Random], list[Part]]


def steady(chance: Random) -> list[Part]:
    """One thing after another, at one pace; some have more to do than others."""
    return [Part(JOB, chance.lognormvariate(0, 0.4) * 600)]


def ten_times_apart(chance: Random) -> list[Part]:
    """Three stages of which the second takes ten times as long as either other; more to do is more in each."""
    size = chance.lognormvariate(0, 0.4)
    return [
        Part(name, size * chance.lognormvariate(0, 0.15) * seconds)
        for name, seconds in (("loading", 60), ("solving", 600), ("writing", 60))
    ]


def drifting(chance: Random) -> list[Part]:
    """It slows down on the way, to a quarter of its pace: an index that grows, say."""
    return [Part(JOB, chance.lognormvariate(0, 0.2) * 600, lambda share: 1 - 0.75 * share)]


def two_humped(chance: Random) -> list[Part]:
    """Half of the runs find most of the work done already; after the first stage one can tell."""
    size = 1.0 if chance.random() < 0.5 else 8.0
    return [
        Part("listing", size * chance.lognormvariate(0, 0.1) * 15),
        Part("fetching", size * chance.lognormvariate(0, 0.2) * 120),
    ]


SHAPES: tuple[Shape, ...] = (steady, ten_times_apart, drifting, two_humped)


def past(shape: Shape, chance: Random, runs: int = HISTORY) -> tuple[Usual, ...]:
    """Return what is learnt from so many runs."""
    return usual.learnt([_run(shape(chance), chance) for _ in range(runs)])


def guesses(parts: Sequence[Part], known: tuple[Usual, ...], chance: Random, shares: Sequence[float]) -> list[Guess]:
    """Return what is said at these shares of the time that a run takes.

    Whoever knows a past weighs the stages by it; whoever does not, all alike.
    """
    found: list[Guess] = []
    whole = sum(part.seconds for part in parts)
    for at, shown in _reported(parts, known, chance):
        if len(found) < len(shares) and at >= shares[len(found)] * whole:
            eta = shown.eta
            found.append(Guess(None if eta is None else eta.seconds, whole - at))
    return found


def _run(parts: Sequence[Part], chance: Random) -> Run:
    whole = sum(part.seconds for part in parts)
    halfway = next((at for at, shown in _reported(parts, (), chance) if shown.percent >= HALF), None)
    return Run(whole, {part.name: part.seconds for part in parts if part.name != JOB}, halfway)


def _reported(parts: Sequence[Part], known: tuple[Usual, ...], chance: Random) -> Iterator[tuple[float, View]]:
    """Yield how the job looks after each report, and seconds since it began."""
    job: Job | None = None
    planned = usual.plan(known) or usual.plan([Usual(part.name, 1.0, 1.0, 1.0, 1.0) for part in parts])
    for number, (at, name, current) in enumerate(_reports(parts, chance)):
        update = Update(
            "j",
            identity=str(number),
            stage=name or None,
            current=current,
            words={"total": STEPS},
            said={"current": current},
            plan=planned if job is None else None,
            usual=known,
        )
        job = apply(job, update, at).job
        yield at, view(job)


def _reports(parts: Sequence[Part], chance: Random) -> Iterator[tuple[float, str, float]]:
    """Yield when a worker reports, from which stage, and how much of it is done."""
    began, whole = 0.0, sum(part.seconds for part in parts)
    for part in parts:
        number = max(10, round(REPORTS_A_RUN * part.seconds / whole))
        paces = [1 / part.speed(each / number) * chance.lognormvariate(0, JITTER) for each in range(number)]
        spent = 0.0
        for each, pace in enumerate(paces):
            yield began + part.seconds * spent / sum(paces), part.name, round(STEPS * each / number, 3)
            spent += pace
        began += part.seconds
