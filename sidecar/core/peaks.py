"""Maxima that a rewind can lower again, in whatever order the reports arrive.

A plain maximum forgets which report set it, so a rewind that arrives late could not tell which reports came
before it. `Peaks` keeps the reports that could still become the maximum: ascending by rank, strictly descending
by value (a staircase). In-order reports of a growing number keep exactly one step.
"""

from typing import NamedTuple

Number = int | float

MOST_STEPS = 64
"""Steps kept at most; beyond, the lowest-ranked step below the top is forgotten."""


class Rank(NamedTuple):
    """The place of an update in the newest-wins order of its job.

    `tick` is 0 for an update with a `seq`; one without ranks as the newest when it arrives: it takes the highest
    seq seen so far and the next tick, and its own identity as `writer`.
    """

    attempt: int
    seq: int
    tick: int
    writer: str


Peaks = tuple[tuple[Rank, Number], ...]


def raised(peaks: Peaks, rank: Rank, value: Number) -> Peaks:
    """Return `peaks` with one more report."""
    if not peaks or (len(peaks) == 1 and peaks[0][0] <= rank and peaks[0][1] <= value):
        return ((rank, value),)
    if any(old_rank >= rank and old >= value for old_rank, old in peaks):
        return peaks
    kept = [step for step in peaks if step[0] > rank or step[1] > value]
    steps = sorted([*kept, (rank, value)])
    return tuple(steps if len(steps) <= MOST_STEPS else steps[:1] + steps[2:])


def merged(a: Peaks, b: Peaks) -> Peaks:
    """Return the staircase of both sides' reports."""
    for rank, value in b:
        a = raised(a, rank, value)
    return a


def peak(peaks: Peaks, since: Rank | None) -> Number | None:
    """Return the largest value reported at or after the rank `since`, or None."""
    for rank, value in peaks:
        if since is None or rank >= since:
            return value
    return None
