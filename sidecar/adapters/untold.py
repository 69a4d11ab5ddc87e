"""What SQL took while Redis gave no answer, and Redis has yet to be told: needed if SQL is away when Redis returns."""

from collections.abc import Iterable

from sidecar.core.job import Job

JOBS_REMEMBERED = 4_096


class Untold:
    """Jobs as SQL took them last from this process.

    `is_whole` tells whether that is all: a deletion, and what is more than can be remembered, only SQL can tell.
    """

    def __init__(self, most: int = JOBS_REMEMBERED) -> None:
        """Begin with nothing; at most `most` jobs are remembered."""
        self._most = most
        self._jobs: dict[str, Job] = {}
        self._changes = 0
        self.is_whole = True

    @property
    def jobs(self) -> list[Job]:
        """All of them."""
        return list(self._jobs.values())

    @property
    def mark(self) -> int:
        """How often anything was taken so far."""
        return self._changes

    def took(self, job: Job) -> None:
        """Remember a job that SQL took."""
        self._changes += 1
        self._jobs.pop(job.job_id, None)
        self._jobs[job.job_id] = job
        if len(self._jobs) > self._most:
            del self._jobs[next(iter(self._jobs))]
            self.is_whole = False

    def deleted(self, job_id: str) -> None:
        """Note that SQL took a deletion."""
        self._changes += 1
        self._jobs.pop(job_id, None)
        self.is_whole = False

    def told(self, jobs: Iterable[Job]) -> None:
        """Forget what Redis was told, unless SQL has taken more of it since."""
        for job in jobs:
            if self._jobs.get(job.job_id) is job:
                del self._jobs[job.job_id]

    def told_all(self, mark: int) -> None:
        """Forget all that was taken up to a mark, if nothing was after it."""
        if mark == self._changes:
            self._jobs.clear()
            self.is_whole = True
