"""What SQL took while Redis gave no answer, and Redis has yet to be told, as far as this process knows.

The recorder tells Redis of all that SQL has, half a second later as a rule. This is for who comes before that: whoever
asks Redis for a job, or pushes to it, and a return of Redis while SQL is away.
"""

from collections.abc import Iterable
from typing import TypeVar

from sidecar.core.job import Job
from sidecar.history import Buried
from sidecar.ports import Gone, Missed

T = TypeVar("T")

JOBS_REMEMBERED = 4_096


class Untold:
    """Jobs as SQL took them last from this process, and its deletions.

    `is_whole` tells whether that is all: what is more than can be remembered only SQL can tell.
    """

    def __init__(self, most: int = JOBS_REMEMBERED) -> None:
        """Begin with nothing; at most `most` jobs, and as many deletions, are remembered."""
        self._most = most
        self._jobs: dict[str, Job] = {}
        self._deleted: dict[str, Buried] = {}
        self._seen: dict[str, Job] = {}
        self._changes = 0
        self.is_whole = True

    @property
    def jobs(self) -> list[Job]:
        """All jobs; a deletion of an earlier one of the same id comes before it."""
        return list(self._jobs.values())

    @property
    def deleted(self) -> list[Buried]:
        """All deletions."""
        return list(self._deleted.values())

    @property
    def seen(self) -> list[Job]:
        """Jobs that others gave SQL, as watchers were told them here: what was shown must not step back."""
        return [job for job_id, job in self._seen.items() if job_id not in self._jobs and job_id not in self._deleted]

    @property
    def mark(self) -> int:
        """How often anything was taken so far."""
        return self._changes

    @property
    def is_empty(self) -> bool:
        """Whether Redis has been told everything, or only more than can be remembered is left."""
        return not self._jobs and not self._deleted

    @property
    def ids(self) -> list[str]:
        """The ids of all jobs and deletions."""
        return list(self._jobs | self._deleted)

    def ids_among(self, job_ids: Iterable[str]) -> list[str]:
        """Return those of the ids of which something is untold, each once."""
        if self.is_empty:
            return []
        return [job_id for job_id in dict.fromkeys(job_ids) if job_id in self._jobs or job_id in self._deleted]

    def jobs_of(self, job_ids: Iterable[str]) -> list[Job]:
        """Return the jobs of some ids."""
        return [self._jobs[job_id] for job_id in job_ids if job_id in self._jobs]

    def deleted_of(self, job_ids: Iterable[str]) -> list[Buried]:
        """Return the deletions of some ids."""
        return [self._deleted[job_id] for job_id in job_ids if job_id in self._deleted]

    def saw(self, missed: Missed) -> None:
        """Remember jobs of which SQL has something that Redis does not, as many as can be."""
        for change in missed.changes:
            if isinstance(change, Gone):
                self._seen.pop(change.job_id, None)
            elif change.cursor.rev > missed.base:
                job = change.view.job
                self._seen.pop(job.job_id, None)
                self._seen[job.job_id] = job
        while len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]

    def took(self, job: Job) -> None:
        """Remember a job that SQL took."""
        self._changes += 1
        self._put(self._jobs, job.job_id, job)

    def took_deletion(self, job: Job) -> None:
        """Remember that SQL took the deletion of a job."""
        self._changes += 1
        self._jobs.pop(job.job_id, None)
        self._seen.pop(job.job_id, None)
        self._put(self._deleted, job.job_id, Buried(job.job_id, job.project, job.created_at))

    def told(self, jobs: Iterable[Job], deleted: Iterable[Buried]) -> None:
        """Forget what Redis was told, unless SQL has taken more of it since."""
        for job in jobs:
            if self._jobs.get(job.job_id) is job:
                del self._jobs[job.job_id]
            if self._seen.get(job.job_id) is job:
                del self._seen[job.job_id]
        for gone in deleted:
            if self._deleted.get(gone.job_id) is gone:
                del self._deleted[gone.job_id]

    def told_all(self, mark: int) -> None:
        """Forget all that was taken up to a mark, if nothing was after it."""
        if mark == self._changes:
            self._jobs.clear()
            self._deleted.clear()
            self._seen.clear()
            self.is_whole = True

    def _put(self, kept: dict[str, T], job_id: str, taken: T) -> None:
        kept.pop(job_id, None)
        kept[job_id] = taken
        if len(kept) > self._most:
            del kept[next(iter(kept))]
            self.is_whole = False
