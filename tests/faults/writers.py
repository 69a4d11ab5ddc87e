"""Workers that push until told to stop, and send the same again until it is answered."""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.faults.jobs import Fate, Job, Push, after, new_job, next_push
from tests.faults.ledger import Ledger
from tests.faults.patience import until

WRITERS = 4
LANES = 8
"""What each of them has under way at once, at most."""

JOBS = 50
LONG_JOBS = 3
LONG_SHARE = 0.3
"""Of the jobs, so many are long and get such a share of the pushes."""

NAPS = 5
PAUSE_SECONDS = 0.2
VOLLEY_SECONDS = 0.04
"""Within this all of a volley has been answered, if nothing happens."""

BATCH_SHARE = 0.1
BATCH = (2, 4)
"""How much of what is sent are several pushes in one request, and how many these are."""

AGAIN_SECONDS = 0.2
REQUEST_SECONDS = 5.0
STOP_SECONDS = 30.0


Answer = tuple[int, Any]
"""The status of an answer, and what it says."""


class Writers:
    """All of them, their jobs, and what they were answered."""

    def __init__(
        self,
        ledger: Ledger,
        session: ClientSession,
        urls: Sequence[str],
        random: Random,
        *,
        nap_seconds: float = math.inf,
    ) -> None:
        """Keep what they need; of the short jobs a fifth is left alone for `nap_seconds`, each fifth in turn."""
        self._nap_seconds = nap_seconds
        self._in_flight: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.violations: list[str] = []
        self._ledger = ledger
        self._session = session
        self._urls = urls
        self._random = random
        self._numbers = itertools.count(1)
        self.jobs = [self._new_job(place) for place in range(JOBS)]
        self._seqs = {f"writer-{number}": itertools.count(1) for number in range(WRITERS)}
        self._lanes: list[asyncio.Task[None]] = []
        self._busy = 0
        self._may_push = asyncio.Event()
        self._is_over = False

    def start(self) -> None:
        """Begin, or go on after `pause`."""
        self._may_push.set()
        self._lanes = self._lanes or [
            asyncio.create_task(self._lane(writer)) for writer in self._seqs for _ in range(LANES)
        ]

    async def pause(self, seconds: float = STOP_SECONDS) -> None:
        """Return when everything is answered and nothing more is sent until `start`."""
        self._may_push.clear()
        await until(lambda: not self._busy, seconds, "every push is answered")

    async def gather(self) -> None:
        """Let everybody wait, and then push at the same moment."""
        self._may_push.clear()
        await asyncio.sleep(PAUSE_SECONDS)
        self._may_push.set()
        await asyncio.sleep(self._random.uniform(0, VOLLEY_SECONDS))

    async def until_in_flight(self, urls: Sequence[str] | None = None) -> int:
        """Wait until requests are under way to these addresses, or to any, and return how many."""

        def in_flight() -> int:
            return sum(self._in_flight[url] for url in (self._urls if urls is None else urls))

        await until(lambda: in_flight() > 0, STOP_SECONDS, "requests are under way")
        return in_flight()

    async def until_acknowledged(self, more: int, seconds: float = STOP_SECONDS) -> None:
        """Wait until so many more pushes are acknowledged."""
        wanted = self._ledger.acknowledged + more
        await until(lambda: self._ledger.acknowledged >= wanted, seconds, f"{more} more pushes are acknowledged")

    async def stop(self) -> None:
        """Let what is under way be answered, give up what is not in time, and end."""
        try:
            await self.pause()
        except AssertionError:
            self.violations.append(f"{self._busy} pushes are not answered though everything is up")
        self._is_over = True
        for lane in self._lanes:
            lane.cancel()
        ended = await asyncio.gather(*self._lanes, return_exceptions=True)
        self.violations += [repr(end) for end in ended if isinstance(end, Exception)]

    async def _lane(self, writer: str) -> None:
        while True:
            await self._may_push.wait()
            self._busy += 1
            try:
                await self._push(writer)
            finally:
                self._busy -= 1
            await asyncio.sleep(self._random.uniform(0, PAUSE_SECONDS))

    async def _push(self, writer: str) -> None:
        if self._random.random() < BATCH_SHARE:
            pushes = [self._next_push(writer) for _ in range(self._random.randint(*BATCH))]
            for push in pushes:
                push.has_key = False  # one key would be that of all of them
        else:
            pushes = [self._next_push(writer)]
        await self._until_answered(pushes)

    def _next_push(self, writer: str) -> Push:
        push = next_push(self.jobs[self._place()], writer, next(self._seqs[writer]), self._random)
        self._ledger.opened(push)
        push.first_sent_at = time.monotonic()
        return push

    def _place(self) -> int:
        """Return the place of a job to push to."""
        if self._random.random() < LONG_SHARE:
            return self._random.randrange(LONG_JOBS)
        sleeping = time.monotonic() // self._nap_seconds % NAPS
        awake = [place for place in range(JOBS) if place < LONG_JOBS or place % NAPS != sleeping]
        return self._random.choice(awake if self._nap_seconds < math.inf else range(JOBS))

    async def _until_answered(self, pushes: Sequence[Push]) -> None:
        """Send together what nobody has answered, until everything is answered."""
        while True:
            fates = await self._sent(pushes)
            for push, fate in zip(pushes, fates, strict=True):
                if fate is not None:
                    self._answered(push, fate)
            pushes = [push for push, fate in zip(pushes, fates, strict=True) if fate is None]
            if not pushes:
                return
            await asyncio.sleep(AGAIN_SECONDS)

    def _answered(self, push: Push, fate: Fate) -> None:
        self._ledger.answered(push, fate)
        if push.is_end:
            place = self.jobs.index(push.job)
            self.jobs[place] = after(push, next(self._numbers), self._random, is_long=place < LONG_JOBS)

    def _new_job(self, place: int) -> Job:
        return new_job(next(self._numbers), self._random, is_long=place < LONG_JOBS)

    async def _sent(self, pushes: Sequence[Push]) -> list[Fate | None]:
        """Send once and return what became of each, None if it has to be sent again."""
        for push in pushes:
            push.tries += 1
            push.sent_at = time.monotonic()
        url = self._random.choice(self._urls)
        self._in_flight[url] += 1
        try:
            answers = await self._asked(url, pushes)
        except (ClientError, OSError, TimeoutError) as error:
            self.answers[type(error).__name__] += 1
            return [None] * len(pushes)
        else:
            return [self._understood(push, *answer) for push, answer in zip(pushes, answers, strict=True)]
        finally:
            self._in_flight[url] -= 1

    async def _asked(self, url: str, pushes: Sequence[Push]) -> list[Answer]:
        """Send one push, or several as a batch, and return the answer to each."""
        first, is_alone = pushes[0], len(pushes) == 1
        many = [{**push.body, "job_id": push.job.job_id} for push in pushes]
        async with self._session.post(
            url + (f"/v1/jobs/{first.job.job_id}" if is_alone else "/v1/updates"),
            json=first.body if is_alone else many,
            headers=first.headers,
            timeout=ClientTimeout(REQUEST_SECONDS),
        ) as response:
            answer: Any = await response.json() if response.status == 200 else await response.text()
        if is_alone or response.status != 200:
            return [(response.status, answer)] * len(pushes)
        self.answers["batch"] += 1
        return [(200 if "applied" in result else result["status"], result) for result in answer["results"]]

    def _understood(self, push: Push, status: int, answer: Any) -> Fate | None:
        if status != 200:
            self.answers[str(status)] += 1
            if status != 503:
                self.violations.append(f"{push.job.job_id}: {push.body} was answered {status}: {answer}")
                return Fate.OPEN
            return None
        self.answers[answer["reason"]] += 1
        fate = self._fate(push, answer["reason"], is_applied=answer["applied"])
        if fate is Fate.OPEN:
            self.violations.append(f"{push.job.job_id}: {push.body} at try {push.tries} was answered {answer}")
        return fate

    def _fate(self, push: Push, reason: str, *, is_applied: bool) -> Fate:
        """Return what an answer means; OPEN if it makes no sense."""
        has_ended = self._ledger.has_end(push.job.job_id, push.job.attempt)
        is_stale = self._ledger.latest(push.job.job_id) > push.job.attempt
        match reason:
            case "applied" | "out_of_order" if is_applied:
                return Fate.KEPT
            case "out_of_order" if not push.sums and push.event_id is None:
                return Fate.KEPT
            case "duplicate" if not is_applied:  # also at once, if Redis took it, did not answer, and SQL was asked
                return Fate.DOUBTFUL if has_ended and not push.is_end else Fate.KEPT
            case "late" if has_ended and not is_applied:
                return Fate.LATE
            case "stale_attempt" if is_stale and not is_applied:
                return Fate.STALE
            case _:
                return Fate.OPEN
