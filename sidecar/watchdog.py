"""Looks after jobs that nothing is heard of, and says which of them are stuck.

It looks at those only whose time has come: a job is entered, with every change, under the moment at which the first of
its clocks will have run out. What a worker says meanwhile moves that moment; so little is due, however much there is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from sidecar.core.errors import HistoryUnavailable, UnknownJob
from sidecar.core.job import Stall, StallReason
from sidecar.core.merge import Outcome, stall
from sidecar.core.stalls import Limits, Settling, calm_until, judged, news_at
from sidecar.core.view import View
from sidecar.history import Lease
from sidecar.ports import LiveStore

JOBS_A_TURN = 200
AGAIN_SECONDS = 3600.0
"""When a job is looked at again of which nothing more can be said."""

OVERDUE_AGAIN_SECONDS = 60.0
"""And one that is overdue: how long such jobs take is learnt as others complete."""

BLIND_SECONDS = 30.0
"""A pause between two evaluations that is longer than this, and than some intervals, was an outage of the observer."""

BLIND_INTERVALS = 3

KEPT_EVERY_SECONDS = 30.0
"""How often the history is told that jobs are looked at, for the day on which the live store loses its data."""

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


class Agenda(Protocol):
    """Which jobs are to be looked at when. Raises `StoreUnavailable`."""

    async def due(self, now: float, limit: int) -> list[View]:
        """Return jobs whose time has come, the earliest of each project first, about so many."""
        ...

    async def postpone(self, times: Mapping[tuple[str, str], float]) -> None:
        """Look at jobs, by project and id, at another time, unless they have left the agenda."""
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

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Evaluate now and then, for ever; raises `StoreUnavailable`."""
        while True:
            await sleep(self._interval_seconds)
            was_in_charge, self._is_in_charge = self._is_in_charge, await self._lease.hold()
            if not self._is_in_charge:
                self._suspects.clear()
                continue
            if not was_in_charge:
                await self._agenda.enrol(self._clock())
            await self.evaluate()

    async def evaluate(self) -> None:
        """Look at every job whose time has come. One that looks stuck twice in a row is."""
        now = self._clock()
        settling = await self._settling(now)
        suspects: dict[tuple[str, str], StallReason] = {}
        while shown := await self._agenda.due(now, JOBS_A_TURN):
            times, changed = self._judge(shown, now, settling, suspects)
            await self._live.update_many([(view.job.job_id, self._judging(now)) for view in changed])
            await self._agenda.postpone(times)
            await self._lease.hold()
        self._suspects = suspects

    def _judge(
        self,
        shown: Sequence[View],
        now: float,
        settling: Settling,
        suspects: dict[tuple[str, str], StallReason],
    ) -> tuple[dict[tuple[str, str], float], list[View]]:
        """Return when to look at each of these again, and those that are stuck, or are no more; note who looks so."""
        times: dict[tuple[str, str], float] = {}
        changed: list[View] = []
        for view in shown:
            limits, key = self._limits_of(view.job.job_type), (view.job.project, view.job.job_id)
            found, present = judged(view, now, limits), view.job.attempt.stall
            times[key] = now + JUST_AFTER_SECONDS
            if found is None and present is not None:
                changed.append(view)
            elif found is None or (present is not None and found.reason is present.reason):
                times[key] = max(times[key], _again_at(found, news_at(view, limits), now))
            elif (calm := calm_until(found, view, limits, settling)) > now:
                times[key] = calm
            else:
                suspects[key] = found.reason
                if self._suspects.get(key) is found.reason:
                    changed.append(view)
        return times, changed

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


def _again_at(found: Stall | None, news_at: float | None, now: float) -> float:
    """Return when to look again at a job that is found to be as it is known to be."""
    if found is not None and found.reason is StallReason.OVERDUE:
        again = now + OVERDUE_AGAIN_SECONDS
        return again if news_at is None else min(news_at, again)
    return now + AGAIN_SECONDS if news_at is None else news_at
