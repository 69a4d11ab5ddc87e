"""How fast a job moves and when it may end, from its last ten points."""

from itertools import pairwise
from math import hypot, sqrt
from typing import NamedTuple

from sidecar.core.job import Point
from sidecar.core.peaks import Number

POINTS_KEPT = 10
LEAST_SPACING_SECONDS = 1.0
"""Points closer than this replace each other, so that a hundred reports a second still span ten seconds."""

WHOLE = 100.0

LONGEST_SECONDS = 100 * 365 * 86400.0
"""An estimate beyond a hundred years is no estimate."""


class Eta(NamedTuple):
    """Seconds until the end as of the last change, with the range that the recent pace allows."""

    seconds: float
    low_seconds: float
    high_seconds: float
    finish_at: float


def moved(points: tuple[Point, ...], point: Point) -> tuple[Point, ...]:
    """Return the window with one more point, if the job moved at all."""
    if points and points[-1][1:] == point[1:]:
        return points
    if len(points) > 1 and points[-1].stage == point.stage and point.at - points[-2].at < LEAST_SPACING_SECONDS:
        points = points[:-1]
    return (*points, point)[-POINTS_KEPT:]


def rate(points: tuple[Point, ...]) -> float | None:
    """Return units per second of the stage now running, or None before two of its points."""
    same = [(p.at, p.current) for p in points if p.stage == points[-1].stage and p.current is not None]
    if len(same) < 2 or same[-1][0] <= same[0][0]:  # noqa: PLR2004 - two points make a line
        return None
    return max(0.0, _slope(same[0], same[-1]))


def percent_rate(points: tuple[Point, ...]) -> float | None:
    """Return percent of the whole job per second, lately, or None before it moved."""
    if len(points) < 2 or points[-1].at <= points[0].at:  # noqa: PLR2004 - two points make a line
        return None
    return max(0.0, points[-1].percent - points[0].percent) / (points[-1].at - points[0].at)


def eta(points: tuple[Point, ...], percent: float, started_at: float, now: float) -> Eta | None:
    """Return the moving-average estimate, else elapsed / share, or None before anything moved.

    The average runs to `now`, so that a job which stands still does not keep an old promise. The range is one
    standard deviation of the speeds between neighbouring points, at most four times the estimate.
    """
    line = [(p.at, p.percent) for p in points]
    if percent >= WHOLE:
        return Eta(0.0, 0.0, 0.0, now)
    if len(line) > 1 and now > line[0][0] and line[-1][1] > line[0][1]:
        speed = (line[-1][1] - line[0][1]) / (now - line[0][0])
        spread = _spread(line, speed / 2)
    elif percent > 0 and now > started_at:
        speed = percent / (now - started_at)
        spread = speed / 2
    else:
        return None
    left = WHOLE - percent
    seconds, high = left / speed, left / max(speed - spread, speed / 4)
    if high > LONGEST_SECONDS:
        return None
    return Eta(round(seconds, 2), round(left / (speed + spread), 2), round(high, 2), now + seconds)


def _slope(a: tuple[float, Number], b: tuple[float, Number]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def _spread(line: list[tuple[float, float]], unknown: float) -> float:
    """Return the standard deviation of the speeds between neighbouring points, `unknown` before two of them."""
    speeds = [_slope(a, b) for a, b in pairwise(line) if b[0] > a[0]]
    if len(speeds) < 2:  # noqa: PLR2004 - one speed does not deviate
        return unknown
    mean = sum(speeds) / len(speeds)
    return hypot(*(speed - mean for speed in speeds)) / sqrt(len(speeds))
