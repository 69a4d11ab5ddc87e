"""Which faults happen, in which order and for how long: drawn from a seed."""

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from typing_extensions import override


class Target(StrEnum):
    """What a fault befalls."""

    SIDECAR = "sidecar"
    REDIS = "redis"
    POSTGRES = "postgres"
    BOTH = "sidecar and redis"
    """At once, which is what a container of the two comes to."""


TARGETS = (Target.SIDECAR, Target.REDIS, Target.POSTGRES)
"""What fails in a deployment with stores of its own."""


class Kind(StrEnum):
    """What happens to it.

    `EMPTY` is a kill that takes the disk along, `HANG` a line that carries nothing, `FLAP` one that breaks again and
    again, so that some call is always cut off halfway.
    """

    KILL = "kill"
    STOP = "stop"
    EMPTY = "empty"
    CUT = "cut"
    HANG = "hang"
    FLAP = "flap"


SEED_VARIABLE = "FAULTS_SEED"

CERTAIN_KINDS = (Kind.KILL, Kind.STOP, Kind.EMPTY, Kind.CUT)
CERTAIN = tuple(each for each in itertools.product(TARGETS, CERTAIN_KINDS) if each != (Target.SIDECAR, Kind.EMPTY))
"""What every plan has.

A sidecar whose stores are its own servers has no disk, so that to empty it would be to kill it; `test_slow_fsync`
empties one that keeps its history.
"""

OF_EMBEDDED_STORES = (
    (Target.SIDECAR, Kind.KILL),
    (Target.SIDECAR, Kind.STOP),
    (Target.REDIS, Kind.KILL),
    (Target.REDIS, Kind.STOP),
    (Target.BOTH, Kind.KILL),
)
"""What can befall a sidecar whose Valkey is its child, and whose SQLite is a file."""

RETURN_SECONDS = (3.0, 4.8)
"""After Redis was killed: it is asked again at once, and serves when it has answered for 3 s and has been filled in."""

PAIR_SHARE = 0.3

OF_A_LINE = (Kind.CUT, Kind.HANG, Kind.FLAP)
"""What befalls the way to a target and not the target itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and how long it lasts (0: no longer than a restart takes).

    `then` strikes too, `gap_seconds` after this one has begun: while it lasts, or while it is being got over.
    """

    target: Target
    kind: Kind
    seconds: float
    then: "Fault | None" = None
    gap_seconds: float = 0.0

    @property
    def can_part(self) -> bool:
        """Whether one sidecar may think that Redis is away while another has it: a stopped one misses its answers."""
        is_cause = self.target is Target.REDIS or (self.target is Target.SIDECAR and self.kind is Kind.STOP)
        return is_cause or (self.then is not None and self.then.can_part)

    @override
    def __str__(self) -> str:
        """Tell it in a few words."""
        alone = f"{self.kind} {self.target}" + (f" for {self.seconds:.1f} s" if self.seconds else "")
        return alone if self.then is None else f"{alone}, {self.gap_seconds:.1f} s into it {self.then}"


def seeded(seed: int) -> random.Random:
    """Return the source of all that is drawn."""
    return random.Random(seed)  # noqa: S311 - faults, not secrets


def chosen_seed() -> int:
    """Return FAULTS_SEED, or a new seed."""
    given = os.environ.get(SEED_VARIABLE)
    return random.SystemRandom().randrange(2**32) if given is None else int(given)


def fault(target: Target, kind: Kind, source: random.Random) -> Fault:
    """Return a fault that lasts as long as its kind may."""
    match kind:
        case Kind.STOP:
            seconds = source.uniform(1.5, 3.5)
        case Kind.CUT | Kind.HANG | Kind.FLAP:
            seconds = source.uniform(1.0, 3.0)
        case Kind.KILL | Kind.EMPTY:
            seconds = 0.0
        case _:
            assert_never(kind)
    return Fault(target, kind, seconds)


def sql_killed_while_it_serves(source: random.Random) -> Fault:
    """Return that Redis hangs, and PostgreSQL is killed when it has taken over."""
    then = fault(Target.POSTGRES, Kind.KILL, source)
    return Fault(Target.REDIS, Kind.STOP, source.uniform(3.5, 5.0), then, source.uniform(1.5, 3.0))


def sql_stopped_while_it_serves(source: random.Random) -> Fault:
    """Return that Redis is cut off, and PostgreSQL hangs when it has taken over."""
    then = fault(Target.POSTGRES, Kind.STOP, source)
    return Fault(Target.REDIS, Kind.CUT, source.uniform(3.0, 5.0), then, source.uniform(0.5, 2.0))


def both_stores_killed(source: random.Random) -> Fault:
    """Return that both are dead for a while, and come back in any order."""
    then = Fault(Target.POSTGRES, Kind.KILL, source.uniform(0.0, 2.0))
    return Fault(Target.REDIS, Kind.KILL, source.uniform(0.5, 2.0), then, source.uniform(0.0, 0.5))


def killed_in_the_return(target: Target) -> Callable[[random.Random], Fault]:
    """Return what draws that something is killed about when Redis, which was killed, is about to serve again."""

    def draw(source: random.Random) -> Fault:
        return Fault(Target.REDIS, Kind.KILL, 0.0, fault(target, Kind.KILL, source), source.uniform(*RETURN_SECONDS))

    return draw


def sidecar_killed_while_sql_serves(source: random.Random) -> Fault:
    """Return that Redis hangs, and the sidecar is killed when SQL has taken over."""
    then = fault(Target.SIDECAR, Kind.KILL, source)
    return Fault(Target.REDIS, Kind.STOP, source.uniform(3.0, 4.0), then, source.uniform(1.5, 2.5))


PAIRS = (
    sql_killed_while_it_serves,
    sql_stopped_while_it_serves,
    both_stores_killed,
    *map(killed_in_the_return, TARGETS),
)
"""Two faults at once."""

EMBEDDED_PAIRS = (sidecar_killed_while_sql_serves,)


def plan(source: random.Random, *, is_paired: bool) -> list[Fault]:
    """Return every certain fault once, in any order: each alone, and one other, or as many as can be in pairs."""
    faults = [draw(source) for draw in PAIRS] if is_paired else []
    struck = {(each.target, each.kind) for pair in faults for each in (pair, pair.then) if each is not None}
    faults += [fault(target, kind, source) for target, kind in CERTAIN if (target, kind) not in struck]
    faults += [] if is_paired else [fault(source.choice(TARGETS), Kind.FLAP, source)]
    source.shuffle(faults)
    return faults


def embedded_plan(source: random.Random) -> list[Fault]:
    """Return every fault of a sidecar with embedded stores, in any order."""
    faults = [fault(target, kind, source) for target, kind in OF_EMBEDDED_STORES]
    faults += [draw(source) for draw in EMBEDDED_PAIRS]
    source.shuffle(faults)
    return faults


def endless(source: random.Random) -> Iterator[Fault]:
    """Yield faults of all kinds for ever."""
    kinds = [*CERTAIN, *itertools.product(TARGETS, (Kind.HANG, Kind.FLAP))]
    return _endless(source, kinds, (*PAIRS, *EMBEDDED_PAIRS))


def endless_embedded(source: random.Random) -> Iterator[Fault]:
    """Yield for ever what can befall a sidecar with embedded stores."""
    return _endless(source, OF_EMBEDDED_STORES, EMBEDDED_PAIRS)


def _endless(
    source: random.Random,
    kinds: Sequence[tuple[Target, Kind]],
    pairs: Sequence[Callable[[random.Random], Fault]],
) -> Iterator[Fault]:
    while True:
        if source.random() < PAIR_SHARE:
            yield source.choice(pairs)(source)
        else:
            yield fault(*source.choice(kinds), source)
