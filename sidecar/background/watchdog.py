"""Looks after jobs that nothing is heard of, and says which of them are stuck.

It looks at those only whose time has come: a job is entered, with every change, under the moment at which the first of
its clocks will have run out. What a worker says meanwhile moves that moment; so little is due, however much there is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf
from typing import NamedTuple, Protocol

from sidecar.background.mistakes import tell_mistakes
from sidecar.core.errors import HistoryUnavailable, UnknownJob
from sidecar.core.job import StallReason
from sidecar.core.merge import Outcome, stall
from sidecar.core.stalls import Limits, Settling, again_at, calm_until, judged
from sidecar.core.view import View
from sidecar.history import Lease
from sidecar.ports import LiveStore

JOBS_A_TURN = 200
AGAIN_SECONDS = 3600.0
"""When a job is looked at again of which nothing more can be said."""

BLIND_SECONDS = 30.0
"""A pause between two evaluations that is longer than this, and than some intervals, was an outage of the observer."""

BLIND_INTERVALS = 3

KEPT_EVERY_SECONDS = 30.0
"""How often the history is told that jobs are looked at, for the day on which the live store loses its data."""

SWEEP_SECONDS = 60.0
"""How often all projects are gone through for what is due."""

JUST_AFTER_SECONDS = 1e-3


class Watch(NamedTuple):
    """What is remembered from one look to the next: when it was (Unix seconds), and what settles."""

    evaluated_at: float
    settling: Settling = Settling()


class Logbook(Protocol):
    """Where that is noted. Raises `StoreUnavailable`."""

    async def read(self) -> Watch | None:
        """Return what was noted last, None if nothing was."""
        ...

    async def write(self, watch: Watch) -> None:
        """Note another."""
        ...


class Due(NamedTuple):
    """A job whose time has come, and when that was (Unix seconds)."""

    view: View
    at: float


class Agenda(Protocol):
    """Which jobs are to be looked at when. Raises `StoreUnavailable`."""

    async def due(self, now: float, limit: int) -> list[Due]:
        """Return jobs whose time has come, the earliest of each project first, about so many."""
        ...

    async def postpone(self, times: Sequence[tuple[Due, float]]) -> None:
        """Look at jobs at another time, unless they are no longer due when they were read to be."""
        ...

    async def sweep(self) -> None:
        """Find every project in which a job is due, also where that was not noted when it came to be."""
        ...

    async def enrol(self, now: float) -> int:
        """Enter unfinished jobs that are not on the agenda, and all that are stuck, to be looked at now.

        Returns how many of them were not on it.
        """
        ...


class Watchdog:
    """One evaluator, of several sidecars the one that holds the lease."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports between which it stands
        self,
        agenda: Agenda,
        logbook: Logbook,
        kept: Logbook,
        live: LiveStore,
        lease: Lease,
        limits_of: Callable[[str], Limits],
        clock: Callable[[], float],
        interval_seconds: float,
    ) -> None:
        """Keep the ports; `limits_of` gives the limits of a job type, `clock` Unix seconds.

        `logbook` is beside the live jobs, `kept` in the history: it is asked where the other knows nothing.
        """
        self._agenda = agenda
        self._logbook = logbook
        self._kept = kept
        self._noted: Watch | None = None
        self._live = live
        self._lease = lease
        self._limits_of = limits_of
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._suspects: dict[tuple[str, str], StallReason] = {}
        self._is_in_charge = False
        self._swept_at = -inf

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Evaluate now and then, for ever; raises `StoreUnavailable`."""
        self._is_in_charge = False  # who was away knows no more what is on the agenda
        while True:
            await sleep(self._interval_seconds)
            was_in_charge, self._is_in_charge = self._is_in_charge, await self._lease.hold()
            if not self._is_in_charge:
                self._suspects.clear()
                continue
            if not was_in_charge:
                await self._agenda.enrol(self._clock())
                self._is_in_charge = await self._lease.hold()
            if self._is_in_charge:
                await self.evaluate()

    async def evaluate(self) -> None:
        """Look at every job whose time has come, as long as the lease holds. One that looks stuck twice in a row is."""
        now = self._clock()
        settling = await self._settling(now)
        if now - self._swept_at >= SWEEP_SECONDS:
            await self._agenda.sweep()
            self._swept_at = now
        suspects: dict[tuple[str, str], StallReason] = {}
        while due := await self._agenda.due(now, JOBS_A_TURN):
            postponed, changed = self._judge(due, now, settling, suspects)
            tell_mistakes(await self._live.update_many([(view.job.job_id, self._judging(now)) for view in changed]))
            await self._agenda.postpone(postponed)
            if not await self._lease.hold():
                self._is_in_charge = False
                self._suspects.clear()
                return
        self._suspects = suspects

    def _judge(
        self,
        due: Sequence[Due],
        now: float,
        settling: Settling,
        suspects: dict[tuple[str, str], StallReason],
    ) -> tuple[list[tuple[Due, float]], list[View]]:
        """Return when to look at each of these again, and those that are stuck, or are no more; note who looks so."""
        postponed: list[tuple[Due, float]] = []
        changed: list[View] = []
        for each in due:
            view = each.view
            limits, key = self._limits_of(view.job.job_type), (view.job.project, view.job.job_id)
            found, present = judged(view, now, limits), view.job.attempt.stall
            again = now + JUST_AFTER_SECONDS
            if found is None and present is not None:
                changed.append(view)
            elif found is None or (present is not None and found.reason is present.reason):
                again = max(again, again_at(view, limits, now) or now + AGAIN_SECONDS)
            elif (calm := calm_until(found, view, limits, settling)) > now:
                again = calm
            else:
                suspects[key] = found.reason
                if self._suspects.get(key) is found.reason:
                    changed.append(view)
            postponed.append((each, again))
        return postponed, changed

    async def _settling(self, now: float) -> Settling:
        """Note that jobs are looked at, and return what settles: after an outage of the observer for as long as it was.

        A live store that knows of no look is new, or has lost its data; the history, which fills it again, knows.
        """
        last = await self._logbook.read() or await self._remembered() or Watch(now)
        gap, settling = now - last.evaluated_at, last.settling
        if gap > max(BLIND_SECONDS, BLIND_INTERVALS * self._interval_seconds):
            settling = Settling(now, max(settling.until, now + gap))
        watch = Watch(now, settling)
        await self._logbook.write(watch)
        if self._noted is None or now - self._noted.evaluated_at >= KEPT_EVERY_SECONDS:
            with suppress(HistoryUnavailable):
                await self._kept.write(watch)
                self._noted = watch
        return settling

    async def _remembered(self) -> Watch | None:
        try:
            return await self._kept.read()
        except HistoryUnavailable:
            if self._noted is None:
                raise
            return self._noted

    def _judging(self, now: float) -> Callable[[View | None], Outcome]:
        """Return the change that says what a job is stuck at as it is by then, or that it is not."""

        def change(before: View | None) -> Outcome:
            if before is None:
                raise UnknownJob("the job is gone")
            return stall(before, judged(before, now, self._limits_of(before.job.job_type)), now)

        return change
