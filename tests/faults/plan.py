"""Which faults happen, in which order and for how long: drawn from a seed."""

import os
import random
from collections.abc import Iterator
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

CERTAIN = (Kind.KILL, Kind.STOP, Kind.EMPTY, Kind.CUT)
"""What every plan has for every target, as often as is wanted; of the other kinds it has one."""

OF_EMBEDDED_STORES = (
    (Target.SIDECAR, Kind.KILL),
    (Target.SIDECAR, Kind.STOP),
    (Target.REDIS, Kind.KILL),
    (Target.REDIS, Kind.STOP),
    (Target.BOTH, Kind.KILL),
)
"""What can befall a sidecar whose Valkey is its child, and whose SQLite is a file."""

OF_A_LINE = (Kind.CUT, Kind.HANG, Kind.FLAP)
"""What befalls the way to a target and not the target itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and how long it lasts (0: no longer than a restart takes)."""

    target: Target
    kind: Kind
    seconds: float

    @property
    def can_part(self) -> bool:
        """Whether one sidecar may think that Redis is away while another has it: a stopped one misses its answers."""
        return self.target is Target.REDIS or (self.target is Target.SIDECAR and self.kind is Kind.STOP)

    @override
    def __str__(self) -> str:
        """Tell it in a few words."""
        return f"{self.kind} {self.target}" + (f" for {self.seconds:.1f} s" if self.seconds else "")


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


def plan(source: random.Random, times: int) -> list[Fault]:
    """Return every certain kind of fault of every target so many times, and some others, in any order."""
    faults = [fault(target, kind, source) for target in TARGETS for kind in CERTAIN for _ in range(times)]
    faults += [fault(target, Kind.FLAP, source) for target in TARGETS]
    source.shuffle(faults)
    return faults


def embedded_plan(source: random.Random, times: int) -> list[Fault]:
    """Return every fault of a sidecar with embedded stores so many times, in any order."""
    faults = [fault(target, kind, source) for target, kind in OF_EMBEDDED_STORES for _ in range(times)]
    source.shuffle(faults)
    return faults


def endless(source: random.Random) -> Iterator[Fault]:
    """Yield faults of all kinds for ever."""
    while True:
        yield fault(source.choice(TARGETS), source.choice(list(Kind)), source)
