"""Many updates at once: each with its own answer, none harmed by another."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sidecar.core.errors import SidecarError, Unavailable
from sidecar.core.job import Json, Update
from sidecar.http import answers, bodies, problem, wire
from sidecar.http.bodies import Line
from sidecar.http.middleware import rejection
from sidecar.http.services import Services
from sidecar.tracker import MayUse, Pushed

AT_ONCE = 64
"""Jobs of one batch that are worked on at the same time."""

LINES_A_TURN = 100
"""Lines parsed before others get a turn of the event loop."""

Chain = list[tuple[int, Update]]
"""The updates of one job, in order, each with its place in the batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch under way: the updates of one job go one after another, jobs side by side."""

    services: Services
    may: MayUse
    request_id: str
    key: str | None
    results: dict[int, Json] = field(default_factory=dict)
    outages: list[Unavailable] = field(default_factory=list)

    async def push(self, lines: list[Line]) -> list[Json]:
        """Return an answer or a problem for each line, in order."""
        chains = iter((await self._parse(lines)).values())
        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(self._work(chains))
        return [self.results[index] for index in range(len(lines))]

    async def _parse(self, lines: list[Line]) -> dict[str, Chain]:
        chains: dict[str, Chain] = {}
        for index, line in enumerate(lines):
            if index % LINES_A_TURN == LINES_A_TURN - 1:
                await asyncio.sleep(0)
            try:
                update = self._update(index, line)
            except SidecarError as error:
                self._refuse(index, error)
            else:
                chains.setdefault(update.job_id, []).append((index, update))
        return chains

    def _update(self, index: int, line: Line) -> Update:
        report = bodies.report_of_line(line, self.services.max_update_bytes)
        key = None if self.key is None else f"{self.key}:{index}"
        return wire.update(report, job_id=report.job_id, key=key)

    async def _work(self, chains: Iterator[Chain]) -> None:
        for chain in chains:
            await self._push_one_by_one(chain)

    async def _push_one_by_one(self, chain: Iterable[tuple[int, Update]]) -> None:
        for index, update in chain:
            try:
                pushed = await self._tried(update)
            except SidecarError as error:
                self._refuse(index, error)
            else:
                self.results[index] = answers.pushed(pushed.written, pushed.next_update_after_seconds)

    async def _tried(self, update: Update) -> Pushed:
        """Push one update; once the store was away, the rest is refused without waiting for it each time."""
        if self.outages:
            raise self.outages[0]
        try:
            return await self.services.tracker.push(update, self.may)
        except Unavailable as error:
            self.outages.append(error)
            raise

    def _refuse(self, index: int, error: SidecarError) -> None:
        self.services.metrics.rejected(rejection(problem.status_of(error)))
        self.results[index] = problem.document(error, self.request_id)
