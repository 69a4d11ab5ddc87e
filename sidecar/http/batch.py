"""Many updates at once: each with its own answer, none harmed by another."""

import asyncio
import logging
from dataclasses import dataclass, field

from sidecar.core.errors import SidecarError
from sidecar.core.job import Json, Update
from sidecar.http import answers, bodies, problem, updates
from sidecar.http.bodies import Line
from sidecar.http.middleware import rejection
from sidecar.http.services import Services
from sidecar.tracker import MayUse, Pushed

logger = logging.getLogger(__name__)

LINES_A_TURN = 100
"""Lines parsed, or answers written, before others get a turn of the event loop."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch under way; `results` are the answers so far, by place."""

    services: Services
    may: MayUse
    request_id: str
    key: str | None
    results: dict[int, Json] = field(default_factory=dict)

    async def push(self, lines: list[Line]) -> list[Json]:
        """Return an answer or a problem for each line, in order."""
        good = await self._parse(lines)
        pushed = await self.services.tracker.push_many(list(good.values()), self.may)
        for number, (index, each) in enumerate(zip(good, pushed, strict=True)):
            self._answer(index, each, good[index].job_type)
            await _breathe(number)
        return [self.results[index] for index in range(len(lines))]

    async def _parse(self, lines: list[Line]) -> dict[int, Update]:
        """Return the good updates by place, having refused the others."""
        good: dict[int, Update] = {}
        for index, line in enumerate(lines):
            await _breathe(index)
            try:
                good[index] = self._update(index, line)
            except SidecarError as error:
                self._refuse(index, error, bodies.named_type(line))
        return good

    def _update(self, index: int, line: Line) -> Update:
        report = bodies.report_of_line(line, self.services.max_update_bytes)
        key = None if self.key is None else f"{self.key}:{index}"
        return updates.update(report, job_id=report.job_id, key=key)

    def _answer(self, index: int, pushed: Pushed | Exception, job_type: str | None) -> None:
        match pushed:
            case Pushed():
                self.results[index] = answers.pushed(pushed.written, pushed.next_update_after_seconds)
            case SidecarError():
                self._refuse(index, pushed, job_type)
            case _:
                logger.error("an update of a batch met a mistake of ours", exc_info=pushed)
                self.services.metrics.rejected("unavailable", job_type)
                self.results[index] = problem.unexpected(self.request_id)

    def _refuse(self, index: int, error: SidecarError, job_type: str | None) -> None:
        self.services.metrics.rejected(rejection(problem.status_of(error)), job_type)
        self.results[index] = problem.document(error, self.request_id)


async def _breathe(number: int) -> None:
    if number % LINES_A_TURN == LINES_A_TURN - 1:
        await asyncio.sleep(0)
