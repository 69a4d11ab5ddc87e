"""What this process remembers: jobs as it was last acknowledged them, and in which projects ids are."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

from typing_extensions import override

from sidecar.adapters.redis.documents import TOMBSTONE_SECONDS, Held
from sidecar.core.job import Job
from sidecar.core.merge import united

JOBS_CACHED = 4_096
PROJECTS_CACHED = 16_384

REMEMBERED_SECONDS = TOMBSTONE_SECONDS / 2
"""A job that is remembered and is nowhere else any more: later than this it was deleted."""

UNRECORDED_SECONDS = 5.0
"""Longer than it takes to record a job, if all is well."""

WRITES_A_LINE = 1 << 24
"""A millionth of a chance that two lines of 48 bits pass for one, and more writes than anybody misses of a job."""

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """A bounded mapping that forgets what was set longest ago."""

    def __init__(self, most: int) -> None:
        """Keep at most `most` entries."""
        super().__init__()
        self._most = most

    @override
    def __setitem__(self, key: K, value: V) -> None:
        """Set and keep the bound."""
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class Memory:
    """The latest jobs as they were last written, and `projects` by job id: who finds one to be wrong takes it out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nothing; `clock` gives Unix seconds."""
        self._held: Recent[str, Held] = Recent(JOBS_CACHED)
        self.projects: Recent[str, str] = Recent(PROJECTS_CACHED)
        self._clock = clock
        self._changes = 0

    @property
    def mark(self) -> int:
        """How often anything was remembered so far."""
        return self._changes

    def keep(self, held: Held) -> None:
        """Remember a job as it stands in Redis now."""
        self._changes += 1
        self._held[held.job.job_id] = held

    def read(self, held: Held) -> None:
        """Remember a job that another process has just written, unless more is known of it.

        It may not be recorded yet: what was shown is shown again if Redis goes away now.
        """
        known = self.last_written(held.job.job_id)
        if known is None:
            is_news = held.job.updated_at > self._clock() - UNRECORDED_SECONDS
        else:
            is_news = known.cursor.epoch == held.cursor.epoch and known.cursor.rev < held.cursor.rev
        if is_news:
            self.keep(held)

    def last_written(self, job_id: str) -> Held | None:
        """Return a job as this process wrote it last, None if it is not remembered."""
        return self._held.get(job_id)

    def remembered(self) -> list[Held]:
        """Return what this process wrote last."""
        return list(self._held.values())

    def forget_all(self) -> None:
        """Remember nothing: the server may have lost what it had acknowledged."""
        self._held.clear()
        self.projects.clear()

    def forget(self, job_ids: Iterable[str]) -> None:
        """Remember nothing of jobs that have left."""
        for job_id in job_ids:
            self._held.pop(job_id, None)
            self.projects.pop(job_id, None)

    def newest(self, job_id: str, kept: Job | None) -> Job | None:
        """Return a job as it is kept elsewhere, and at least as new as this process was last acknowledged.

        One that is nowhere else, and was not heard of for long, was deleted.
        """
        held = self.last_written(job_id)
        if held is None:
            return kept
        if kept is not None:
            return united(held.view, kept, self._clock()).job
        return held.job if held.job.updated_at > self._clock() - REMEMBERED_SECONDS else None

    def lacked_by(self, found: Held) -> Job | None:
        """Return a job as this process was acknowledged it, if Redis lost it and has got it back from somewhere else.

        One that was created at another time was deleted in between.
        """
        known = self.last_written(found.job.job_id)
        is_other = (
            known is not None and known.job.created_at == found.job.created_at and not _is_same_line(known, found)
        )
        return known.job if known is not None and is_other else None


def _is_same_line(held: Held, other: Held) -> bool:
    """Whether one is an earlier state of the other: tags count on from one at random, until a job is written anew."""
    return abs(held.tag - other.tag) < WRITES_A_LINE
