"""A past that a test makes up."""

from collections.abc import Mapping, Sequence

from sidecar.core.usual import Run


class Past:
    """`Past` of runs by job type."""

    def __init__(self, runs: Mapping[str, Sequence[Run]] | None = None) -> None:
        self.runs: dict[str, Sequence[Run]] = dict(runs or {})
        self.queued: dict[str, float] = {}
        self.asked: list[tuple[str, int]] = []

    async def recent(self, job_type: str, successes: int) -> list[Run]:
        self.asked.append((job_type, successes))
        return list(self.runs[job_type])

    async def last_successes(self) -> Mapping[str, float]:
        return {job_type: float(number) for number, job_type in enumerate(self.runs, 1)}

    async def oldest_queued(self) -> Mapping[str, float]:
        return self.queued
