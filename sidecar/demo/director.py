"""Has several jobs of every kind played at a time, one after another, by one loop."""

import heapq
import itertools
import math
import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from sidecar.demo.client import Away
from sidecar.demo.delivery import Delivery
from sidecar.demo.fates import Fate, fates, slow_now_and_then
from sidecar.demo.job import Job
from sidecar.demo.kinds import KINDS, LOCAL_INGEST, Kind
from sidecar.demo.reading import Reader
from sidecar.demo.story import Limits, Part

PLAYERS = (*KINDS, *KINDS)
JOBS = len(PLAYERS) + 1
"""One of each kind twice, and one more who is slow now and then."""

OPENING_JOBS = 10
"""As many of one kind complete in the beginning, so that a sidecar can tell how long they usually take."""

BATCH_SECONDS = 2.0
"""How often (in a story's seconds) those that share a process report together."""

BEGIN_SECONDS = 20.0
GAP_SECONDS = (2.0, 8.0)
LIMITS_AGE_SECONDS = 60.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 10.0


@dataclass(frozen=True)
class _Player:
    """Plays jobs of one kind one after another, as long as there are (numbered) fates."""

    number: int
    kind: Kind
    fates: Iterator[tuple[int, Fate]]
    dice: random.Random


@dataclass(order=True)
class _Turn:
    """When whose next report is due."""

    at: float
    number: int
    job: Job = field(compare=False)
    player: _Player = field(compare=False)


class Director:
    """The jobs that are played, by when each reports next. All times are those of the caller's monotonic clock."""

    def __init__(self, delivery: Delivery, reader: Reader, seed: int, speed: float, say: Callable[[str], None]) -> None:
        """Keep the parts; the first jobs begin with the first turn."""
        self._delivery, self._reader, self._seed, self._speed, self._say = delivery, reader, seed, speed, say
        self._run_id = secrets.token_hex(3)
        self._order = itertools.count(1)
        self._turns: list[_Turn] = []
        self._limits: Mapping[str, Limits] = {}
        self._limits_at = -math.inf
        self._not_before, self._retry_seconds = -math.inf, 0.0

    def turn(self, now: float) -> float:
        """Do what is due first, and return for how many seconds nothing will be.

        Raises `Refused` if it is not let in.
        """
        if now < self._not_before:
            return self._not_before - now
        try:
            self._refresh(now)
            self._report_next(now)
            self._reader.read(now)
        except Away as error:
            self._retreat(now, str(error))
            return self._retry_seconds
        if self._retry_seconds:
            self._say("the sidecar is there again")
        self._retry_seconds = 0.0
        return max(0.0, self._turns[0].at - now)

    def end_all(self) -> None:
        """End what still runs, if the sidecar is there to hear it."""
        self._delivery.end([turn.job for turn in self._turns])

    def _refresh(self, now: float) -> None:
        """Ask how long jobs may stall, so that some do it for longer; the first time, let jobs begin then."""
        if now >= self._limits_at + LIMITS_AGE_SECONDS:
            self._limits, self._limits_at = self._delivery.limits(), now
        if not self._turns:
            for player in players(self._seed):
                self._cast(player, now, player.dice.uniform(0, BEGIN_SECONDS))

    def _cast(self, player: _Player, now: float, after_seconds: float) -> None:
        """Let a player's next job begin in so many seconds of its story."""
        dealt = next(player.fates, None)
        if dealt is None:
            return
        number, fate = dealt
        part = Part(player.kind, fate, player.dice, lambda: self._limits_of(player.kind))
        job = Job(f"{player.kind.job_type}-{self._run_id}-{player.number}.{number}", part, self._speed)
        self._plan(job, player, now + after_seconds / self._speed)

    def _plan(self, job: Job, player: _Player, now: float) -> None:
        """Note when a job reports next; when its story is at its end, another takes its place."""
        seconds = job.advance()
        if seconds is None:
            self._cast(player, now, player.dice.uniform(*GAP_SECONDS))
            return
        at, grid = now + seconds, BATCH_SECONDS / self._speed
        self._queue(job, player, math.ceil(at / grid) * grid if job.kind.is_batched else at)

    def _queue(self, job: Job, player: _Player, at: float) -> None:
        heapq.heappush(self._turns, _Turn(at, next(self._order), job, player))

    def _limits_of(self, kind: Kind) -> Limits:
        """Return how long the clocks of a kind may run, in seconds of its story."""
        limits = self._limits.get(kind.job_type) or self._limits.get("default") or Limits()
        return Limits(*(seconds * self._speed for seconds in limits))

    def _report_next(self, now: float) -> None:
        """Deliver what is due first, if anything is; what could not be delivered stays due."""
        if self._turns[0].at > now:
            return
        group = self._due(now)
        try:
            self._delivery.report([turn.job for turn in group])
        finally:
            self._go_on(group, now)

    def _due(self, now: float) -> list[_Turn]:
        """Take the next turn that is due, or, if it is one of those that report together, all of them."""
        first = heapq.heappop(self._turns)
        if not first.job.kind.is_batched:
            return [first]
        together = [turn for turn in self._turns if turn.at <= now and turn.job.kind.is_batched]
        self._turns = [turn for turn in self._turns if turn not in together]
        heapq.heapify(self._turns)
        return [first, *together]

    def _go_on(self, group: Sequence[_Turn], now: float) -> None:
        for turn in group:
            if turn.job.is_answered:
                self._plan(turn.job, turn.player, now)
            else:
                self._queue(turn.job, turn.player, now)

    def _retreat(self, now: float, why: str) -> None:
        if not self._retry_seconds:
            self._say(f"the sidecar is away ({why}); waiting for it")
        self._retry_seconds = min(LONGEST_RETRY_SECONDS, max(FIRST_RETRY_SECONDS, 2 * self._retry_seconds))
        self._not_before = now + self._retry_seconds


def players(seed: int) -> Iterator[_Player]:
    """Yield who plays; each has dice of its own, so that a seed plays the same whoever is faster."""
    its: list[tuple[Kind, Iterator[Fate]]] = [
        (kind, map(itemgetter(place), fates(_dice(seed), len(PLAYERS)))) for place, kind in enumerate(PLAYERS)
    ]
    its.append((LOCAL_INGEST, slow_now_and_then()))
    its.extend((LOCAL_INGEST, iter([Fate.FINE])) for _ in range(OPENING_JOBS))
    for number, (kind, told) in enumerate(its, 1):
        yield _Player(number, kind, enumerate(told, 1), _dice(f"{seed} {number}"))


def _dice(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret
