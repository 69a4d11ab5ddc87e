"""What becomes of a job: most go well, and of the rest everything happens to one before it happens again."""

import random
from collections.abc import Iterator
from enum import StrEnum


class Fate(StrEnum):
    """How a job goes."""

    FINE = "fine"
    RETRIED = "retried"  # fails, and its next attempt completes
    FAILED = "failed"
    CANCELLED = "cancelled"  # somebody asks for it, and it obeys
    PAUSED = "paused"
    BLOCKED = "blocked"
    SLOW = "slow"  # takes much longer than others of its type
    DEADLINE = "deadline"  # takes longer than it said it would
    QUEUED = "queued"  # nobody begins it for too long
    HANGING = "hanging"  # keeps in touch, and makes no progress
    SILENT = "silent"  # is not heard of for a while
    STUBBORN = "stubborn"  # was asked to stop, and goes on
    LOST = "lost"  # its worker dies; much later another one takes it up


STALLING = (Fate.DEADLINE, Fate.QUEUED, Fate.HANGING, Fate.SILENT, Fate.STUBBORN, Fate.LOST)
OTHERS = (Fate.RETRIED, Fate.FAILED, Fate.CANCELLED, Fate.PAUSED, Fate.BLOCKED)
ROUNDS = (STALLING, OTHERS)
"""What goes wrong in one round, and what in the next. Only `SLOW` is in none: it can be told among equals alone."""


def fates(dice: random.Random, players: int) -> Iterator[list[Fate]]:
    """Yield what becomes of the players' jobs, round after round; the same dice deal the same."""
    while True:
        for troubles in ROUNDS:
            dealt = [*troubles, *(Fate.FINE for _ in range(players - len(troubles)))]
            dice.shuffle(dealt)
            yield dealt


def slow_now_and_then() -> Iterator[Fate]:
    """Yield what becomes of the jobs of the one player whose every other job is too slow."""
    while True:
        yield Fate.FINE
        yield Fate.SLOW
