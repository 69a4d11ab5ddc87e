"""When a job may end, from what its type usually takes and from how this one has done so far.

The two are weighed by how sure each is, as logarithms of durations are: the past by how much its runs differ, the
job's own pace by how much of the stage it has seen (docs/design/eta.md).
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import NamedTuple

from sidecar.core.job import Usual
from sidecar.core.pace import LONGEST_SECONDS, Eta

DECILE = 1.2816
"""How many standard deviations the first and the last decile lie from the middle."""

LEAST_DEVIATION = 0.05
OWN_DEVIATION = 0.2
"""How far (as a logarithm) the pace of half a stage is from that of the whole."""

LEAST_SECONDS = 1e-6
LEAST_SHARE = 1e-6
"""Less than these says nothing of a pace."""

MOST_FACTOR = 20.0
LATE_SHARE = 0.1
"""Of what has taken longer than ever before, this share of the time it took is thought to be left."""


class Standing(NamedTuple):
    """Where a job stands: seconds spent before its stage and in it, and the share (0-1) of the stage that is done.

    `pace` is how much of the stage is done a second, lately. Both are None while nobody can say.
    """

    stage: str
    before_seconds: float
    spent_seconds: float
    share: float | None
    pace: float | None = None


class Left(NamedTuple):
    """What is left of something (seconds), and the deciles between which it may lie."""

    seconds: float
    low_seconds: float
    high_seconds: float


def eta(usual: Sequence[Usual], standing: Standing, now: float) -> Eta | None:
    """Return when a job may end as of now, None if nothing is known of its stage or it would take for ever."""
    place = next((index for index, each in enumerate(usual) if each.stage == standing.stage), None)
    if place is None:
        return None
    here = usual[place]
    factor = _factor(usual[place - 1], standing.before_seconds) if place > 1 else 1.0
    stage = _stage(here, here.seconds * factor, standing)
    rest = here.after_seconds * _factor(here, standing.before_seconds + standing.spent_seconds + stage.seconds)
    seconds, high = stage.seconds + rest, stage.high_seconds + rest * max(1.0, here.after_high)
    if not high <= LONGEST_SECONDS:
        return None
    return Eta(
        round(seconds, 2),
        round(stage.low_seconds + rest * min(1.0, here.after_low), 2),
        round(high, 2),
        now + seconds,
    )


def _factor(done: Usual, seconds: float) -> float:
    """Return how much longer than usual the rest takes, when all up to the end of a stage took so long."""
    if done.until_seconds <= 0 or seconds <= 0:
        return 1.0
    ratio = min(MOST_FACTOR, max(1 / MOST_FACTOR, seconds / done.until_seconds))
    return float(ratio**done.slope)


def _stage(here: Usual, expected: float, standing: Standing) -> Left:
    """Return what is left of the stage that runs; `expected` is how long it should take."""
    spent, share = standing.spent_seconds, standing.share
    if share is not None and share >= 1:
        return Left(0.0, 0.0, 0.0)
    if expected < LEAST_SECONDS or spent < LEAST_SECONDS or share is None or share < LEAST_SHARE:
        return _unseen(here, expected, spent, 1 - (share or 0.0))
    done = share**here.curve
    pace = done / spent
    if standing.pace:
        pace = sqrt(pace * max(standing.pace, 1 / LONGEST_SECONDS) * here.curve * done / share)
    own, past = spent + (1 - done) / pace, _deviation(here) ** 2
    own_variance = OWN_DEVIATION**2 * (1 - share) / share
    surprise = log(own / expected)
    past = max(past, surprise**2 - own_variance)  # a job unlike all before it is believed
    trust = past / (past + own_variance)
    left = (1 - done) / pace * exp((trust - 1) * surprise)
    spread = exp(DECILE * sqrt(past * own_variance / (past + own_variance)))
    return Left(left, left / spread, left * spread)


def _unseen(here: Usual, expected: float, spent: float, share_left: float) -> Left:
    """Return what is left of a stage that shows nothing, or nothing yet, of its own pace."""
    low, high = expected * min(1.0, here.low) - spent, expected * max(1.0, here.high) - spent
    left = expected - spent if spent < expected else max(high / 2, LATE_SHARE * spent)
    return Left(share_left * left, max(0.0, share_left * low), share_left * max(left, high))


def _deviation(here: Usual) -> float:
    low, high = max(1 / MOST_FACTOR, here.low), min(MOST_FACTOR, here.high)
    return max(LEAST_DEVIATION, log(max(low, high) / low) / (2 * DECILE))
