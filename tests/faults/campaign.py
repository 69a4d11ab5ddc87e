"""Writers and watchers at work while one fault after another happens, and what is found wrong after each."""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import ClientSession, TCPConnector
from typing_extensions import override

from tests.faults.auditor import Auditor
from tests.faults.embedded import LOST_SECONDS, EmbeddedWorld, embedded_world
from tests.faults.ledger import Ledger, Span
from tests.faults.patience import until, until_found
from tests.faults.plan import Fault, Kind, Target, seeded
from tests.faults.program import Sidecar
from tests.faults.readers import Readers
from tests.faults.telling import clock_time
from tests.faults.watchers import JobWatcher, Origin, Watcher, Watchers
from tests.faults.world import ORDINARY, Conditions, world
from tests.faults.writers import Writers

SAMPLE = 10
BEFORE_EMPTY = 40
BETWEEN = 80
"""Pushes to be acknowledged before the live store is emptied, and between two faults."""

SETTLE_SECONDS = 20.0
LEVEL_SECONDS = 10.0
"""Within this Redis has been told what SQL took, once all is in order."""

PROJECT_WATCHERS = 2
JOB_WATCHERS = 4


NAP = 3.0
"""A job that is left alone, is so for this many times as long as it takes to count as lost."""

NAPS_TO_WAIT_FOR = 5


class Place(Protocol):
    """A deployment and what can befall it."""

    @property
    def sidecars(self) -> Sequence[Sidecar]:
        """The sidecars."""
        ...

    @property
    def urls(self) -> list[str]:
        """Where clients go: to each of the sidecars, in the same order."""
        ...

    async def is_level(self) -> bool:
        """Whether SQL has nothing that Redis has yet to be told."""
        ...

    def harmed(self, fault: Fault) -> list[str]:
        """Return where those requests go that a fault strikes."""
        ...

    async def strike(self, fault: Fault, fallen: Callable[[], None] = ...) -> None:
        """Let a fault alone happen and be over; `fallen` is called when what was killed is dead."""
        ...


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that happened, how many requests were under way to what it struck, and when and how soon it was whole."""

    fault: Fault
    in_flight: int
    recovery_seconds: float
    over_at: str

    @override
    def __str__(self) -> str:
        """Tell it in a line."""
        whole = f"whole after {self.recovery_seconds:.1f} s at {self.over_at}"
        return f"{self.fault}: {self.in_flight} requests in flight, {whole}"


@dataclass(slots=True)
class Report:
    """What happened and what was wrong."""

    seed: int
    strikes: list[Strike] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    acknowledged: int = 0
    jobs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    lacking: int = 0
    late: int = 0
    told: Counter[str] = field(default_factory=Counter)
    complaints: str = ""

    @property
    def counts(self) -> Counter[tuple[Target, Kind]]:
        """How often each fault happened while requests were under way."""
        return Counter((each.fault.target, each.fault.kind) for each in self.strikes if each.in_flight)

    @override
    def __str__(self) -> str:
        """Tell all of it."""
        kinds = ", ".join(f"{kind} {target} {times}" for (target, kind), times in sorted(self.counts.items()))
        slowest = max(self.strikes, key=lambda each: each.recovery_seconds, default=None)
        lines = [
            f"FAULTS_SEED={self.seed}",
            f"{len(self.strikes)} faults: {kinds}",
            *map(str, self.strikes),
            f"acknowledged: {self.acknowledged} pushes of {self.jobs} jobs; answers: {dict(self.answers)}",
            f"streams: {dict(self.seen)}",
            f"timelines: {dict(self.told)}",
            f"slowest recovery: {slowest.recovery_seconds:.1f} s after {slowest.fault}" if slowest else "no faults",
            f"reads that lacked something while sidecars might disagree: {self.lacking} of {self.reads}",
            f"jobs that showed all of it only a moment after that: {self.late}",
            f"violations: {len(self.violations)}",
            *self.violations,
        ]
        return "\n".join(lines + (["the sidecar's complaints:", self.complaints] if self.violations else []))


class Campaign:
    """One deployment under work and faults."""

    def __init__(self, place: Place, session: ClientSession, seed: int, *, lost_seconds: float = math.inf) -> None:
        """Keep the place; if its sidecars lose jobs so soon, some are left alone for longer than that."""
        self.report = Report(seed)
        self._world = place
        self._session = session
        self._random = source = seeded(seed)
        self._ledger = Ledger(lost_seconds)
        self._writers = Writers(self._ledger, session, place.urls, source, nap_seconds=NAP * lost_seconds)
        self._auditor = Auditor(self._ledger, session, [each.url for each in place.sidecars])
        self._lost_seconds = lost_seconds
        self._watchers = Watchers([*self._project_watchers(), *self._job_watchers()])
        self._readers = Readers(self._ledger, session, place.urls, seeded(seed))

    def _project_watchers(self) -> Iterator[Watcher]:
        for number, origin in zip(range(PROJECT_WATCHERS), self._origins(), strict=False):
            yield Watcher(f"project watcher {number} of {origin.url}", self._ledger, self._session, origin)

    def _job_watchers(self) -> Iterator[JobWatcher]:
        jobs = self._writers.jobs
        for number, origin in zip(range(JOB_WATCHERS), self._origins(), strict=False):
            name = f"job watcher {number} of {origin.url}"
            yield JobWatcher(name, self._ledger, self._session, origin, jobs, number)

    def _origins(self) -> Iterator[Origin]:
        """Yield the sidecars in turn, for ever."""
        pairs = zip(self._world.urls, self._world.sidecars, strict=True)
        return itertools.cycle([Origin(url, sidecar.times_started) for url, sidecar in pairs])

    async def run(
        self, faults: Iterable[Fault], say: Callable[[str], None] = lambda _: None, most_pause_seconds: float = 0.0
    ) -> None:
        """Do all of it, and fill in the report, also when it breaks off; between faults is a pause of any length."""
        async with self._watchers, self._readers:
            self._writers.start()
            try:
                await self._writers.until_acknowledged(BETWEEN)
                for fault in faults:
                    await self._suffer(fault)
                    await asyncio.sleep(self._random.uniform(0, most_pause_seconds))
                    say(f"{fault}: {len(self.report.violations)} violations")
                await self._until_some_return()
            except (AssertionError, TimeoutError) as error:
                self.report.violations.append(f"broken off: {error!r}")
            finally:
                await self._writers.stop()
                await self._conclude()
        self._add_what_was_seen()

    async def _suffer(self, fault: Fault) -> None:
        lost = await self._lost(fault)
        in_flight = await self._volley(fault)
        outage = self._outage(fault)
        struck, _ = await asyncio.gather(self._strike_too(fault), self._world.strike(fault, lambda: _end(lost)))
        began = time.monotonic()
        await self._whole()
        recovery_seconds, over_at = time.monotonic() - began, clock_time()
        self.report.strikes += [
            Strike(each, count, recovery_seconds, over_at) for each, count in [(fault, in_flight), *struck]
        ]
        await self._writers.until_acknowledged(BETWEEN)
        if fault.can_part:
            await self._whole()  # again: one that was stopped finds only now that Redis did not answer it
            await self._until_level()
        outage.end()
        known = self._ledger.job_ids
        await self._audit(self._random.sample(known, min(SAMPLE, len(known))), f"after {fault}")

    async def _whole(self) -> None:
        for sidecar in self._world.sidecars:
            await sidecar.whole(self._session)

    async def _until_level(self) -> None:
        await until_found(self._world.is_level, LEVEL_SECONDS, lambda: "Redis has been told what SQL took")

    async def _volley(self, fault: Fault) -> int:
        """Let everybody push at once, and return how many requests are under way to what a fault is about to strike."""
        await self._writers.gather()
        return await self._writers.until_in_flight(self._world.harmed(fault))

    async def _strike_too(self, fault: Fault) -> list[tuple[Fault, int]]:
        """Let happen what strikes while this fault lasts, and return it with the requests that were in flight."""
        if fault.then is None:
            return []
        await asyncio.sleep(fault.gap_seconds)
        in_flight = await self._volley(fault.then)
        await self._world.strike(fault.then)
        return [(fault.then, in_flight)]

    def _outage(self, fault: Fault) -> Span:
        """Begin what a fault may excuse: one sidecar alone disagrees with nobody."""
        can_part = fault.can_part and len(self._world.sidecars) > 1
        return self._ledger.disagreement() if can_part else self._ledger.outage()

    async def _until_some_return(self) -> None:
        """Wait until a job has been lost, and is back: a fault puts off for a while that jobs count as lost."""
        members = self._watchers.members
        if math.isfinite(self._lost_seconds):
            seconds = NAPS_TO_WAIT_FOR * NAP * self._lost_seconds
            await until(lambda: any(each.seen["returned"] for each in members), seconds, "a job is lost, and returns")

    async def _lost(self, fault: Fault) -> Span | None:
        """Draw up which lines a lost disk may cost: of the live store those not yet recorded, of the history any.

        Of a push, what it says of its job is in the other store by then.
        """
        if fault.kind is not Kind.EMPTY or fault.target is Target.SIDECAR:
            return None
        if fault.target is Target.POSTGRES:
            await until(self._ledger.is_agreed, LEVEL_SECONDS, "no sidecar gives SQL alone what Redis did not answer")
            await self._until_level()
            return self._ledger.lines_lost(0.0)
        await self._writers.pause()
        await self._world.sidecars[0].recorded(self._session)
        lost = self._ledger.lines_lost(time.monotonic())
        self._writers.start()
        await self._writers.until_acknowledged(BEFORE_EMPTY)
        return lost

    async def _audit(self, job_ids: Iterable[str], when: str) -> None:
        self.report.violations += [f"{when}: {line}" for line in await self._auditor.audit(job_ids)]

    async def _conclude(self) -> None:
        report = self.report
        await self._audit(self._ledger.job_ids, "at the end")
        report.violations += await self._auditor.listed()
        report.violations += await self._watchers.settled(SETTLE_SECONDS)
        report.violations += self._writers.violations
        report.acknowledged, report.jobs = self._ledger.acknowledged, len(self._ledger.job_ids)
        report.answers = self._writers.answers
        report.late = self._auditor.late
        for types in self._auditor.told.values():
            report.told.update(types)
        report.complaints = "\n".join(sidecar.complaints() for sidecar in self._world.sidecars)

    def _add_what_was_seen(self) -> None:
        """Add what readers and watchers have noted, now that they have ended: one that broke down says so then."""
        report = self.report
        report.violations += [*self._watchers.violations, *self._readers.violations]
        for watcher in self._watchers.members:
            report.seen.update(watcher.seen)
        report.reads, report.lacking = self._readers.reads, self._readers.lacking


def _end(span: Span | None) -> None:
    if span is not None:
        span.end()


@asynccontextmanager
async def campaign(home: Path, seed: int, conditions: Conditions = ORDINARY) -> AsyncIterator[Campaign]:
    """Run a deployment to be led through faults while inside."""
    async with world(home, conditions) as place, ClientSession(connector=TCPConnector(limit=0)) as session:
        yield Campaign(place, session, seed)


@asynccontextmanager
async def embedded_campaign(home: Path, seed: int) -> AsyncIterator[tuple[Campaign, EmbeddedWorld]]:
    """Run a sidecar with embedded stores to be led through faults while inside."""
    async with embedded_world(home) as place, ClientSession(connector=TCPConnector(limit=0)) as session:
        yield Campaign(place, session, seed, lost_seconds=LOST_SECONDS), place
