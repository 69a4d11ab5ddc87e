"""What is kept beyond the live store: the ports of who records it and of who reads it, and what passes through them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.core.job import Event, Job, Json
from sidecar.ports import Cursor, Gone, Stored


@dataclass(frozen=True, slots=True)
class Line:
    """A timeline event of a job, and its position in its project's outbox."""

    position: str
    job_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class UnreadLine:
    """A line in the outbox that this release cannot read."""

    position: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a project stands: its place in the order of changes, and the newest position in its outbox ("": none).

    `is_whole`: the server has been brought up to date since it was started. Before that it may lack what is recorded.
    """

    cursor: Cursor
    position: str
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Backlogged:
    """What waits to be recorded: timeline lines, the bytes of all, and when the oldest was written (Unix seconds)."""

    lines: int
    size_bytes: int
    oldest_at: float | None


class Outbox(Protocol):
    """What waits to be recorded. Raises `StoreUnavailable`."""

    async def standings(self) -> Mapping[str, Standing]:
        """Return where every project stands."""
        ...

    async def waiting(self, project: str, position: str, limit: int) -> list[Line | UnreadLine]:
        """Return at most `limit` timeline lines after the position ("": from the beginning), oldest first.

        Those that cannot be read are also kept aside, beyond a `trim`, until `take_up`.
        """
        ...

    async def trim(self, project: str, position: str) -> None:
        """Forget the lines up to and including the position: they are recorded."""
        ...

    async def take_up(self) -> None:
        """Let what was kept aside wait once more: this release may be able to read it."""
        ...

    async def backlog(self, finished_before: float | None = None) -> Backlogged:
        """Return how much waits over all projects.

        The documents of jobs that finished before (Unix seconds), and so wait as well, count among the bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """Up to where a project is recorded: its place in the order of changes, and the position in its outbox."""

    cursor: Cursor
    position: str


BEGINNING = Recorded(Cursor("", 0), "")
"""Nothing is recorded yet."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Part of a project to be recorded: timeline lines, oldest first, and jobs as they stand, in ascending rev.

    The jobs were read after the lines.
    """

    lines: Sequence[Line]
    changes: Sequence[Stored | Gone]


class SupersededError(Exception):
    """Somebody else has recorded meanwhile: nothing was written."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A job of which SQL has something that Redis does not; `stamp` tells whether it has changed since."""

    job: Job
    stamp: bytes


@dataclass(frozen=True, slots=True)
class Buried:
    """A job that was deleted in SQL and not yet in Redis; `created_at` tells it from a later one of the same id."""

    job_id: str
    project: str
    created_at: float


class Archive(Protocol):
    """The recorder's side of SQL. Raises `StoreUnavailable`."""

    async def recorded(self, project: str) -> Recorded:
        """Return up to where a project is recorded."""
        ...

    async def record(self, project: str, batch: Batch, before: Recorded, after: Recorded) -> None:
        """Join the batch in and move from one position to the next, all or nothing; repeating it changes nothing.

        Raises `SupersededError` unless the project is recorded up to `before`.
        """
        ...

    async def ahead(self, limit: int, job_ids: Collection[str] | None = None) -> tuple[list[Ahead], list[Buried]]:
        """Return jobs and deletions that Redis has yet to be told of, of all jobs or of some: deletions first.

        A job whose id was deleted before is held back until that has been `told`.
        """
        ...

    async def has(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those of the jobs that are kept here in this version."""
        ...

    async def told(self, jobs: Sequence[Ahead], buried: Sequence[Buried]) -> None:
        """Note that Redis has been told; a job that changed meanwhile stays ahead."""
        ...

    async def forget(self, finished_before: float, limit: int) -> int:
        """Remove at most `limit` jobs that finished before (Unix seconds), with all that is known of them.

        Returns how many were found: less than `limit` if there are no more.
        """
        ...


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took (seconds)."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class TypeStats:
    """How the finished jobs of a type went; `duration` is that of the completed ones, None without any."""

    job_type: str
    finished: int
    completed: int
    duration: Durations | None
    stages: Mapping[str, Durations]


class History(Protocol):
    """What is kept beyond the live store. Raises `StoreUnavailable`."""

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's recorded events numbered above `after`, oldest first."""
        ...

    async def recorded(self, job_id: str, event_ids: Sequence[str]) -> tuple[int, set[str]]:
        """Return the last number of the job's timeline, and those of the events that are in it."""
        ...

    async def attempts(self, job_id: str) -> list[Mapping[str, Json]]:
        """Return what each recorded attempt had reached, the first one first."""
        ...

    async def stats(self, may_see: Callable[[str], bool], asked: "StatsQuery") -> list[TypeStats]:
        """Return statistics of the finished jobs of every type, by name."""
        ...


@dataclass(frozen=True, slots=True)
class StatsQuery:
    """Which finished jobs count; None means any. `since` is the earliest end (Unix seconds)."""

    project: str | None = None
    job_type: str | None = None
    since: float | None = None


class Lease(Protocol):
    """Lets one of several sidecars do a work: a hint, as two may believe for a moment that they hold it."""

    async def hold(self) -> bool:
        """Take the lease or keep it, for some seconds; false if somebody else has it. Raises `StoreUnavailable`."""
        ...


class Sweep(Protocol):
    """What leaves the live store in time. Raises `StoreUnavailable`."""

    async def finished(self, project: str, before: float, offset: int, limit: int) -> list[Job]:
        """Return jobs that finished before (Unix seconds), the earliest first, from the offset on."""
        ...

    async def silent(self, project: str, before: float, offset: int, limit: int) -> list[Job]:
        """Return unfinished jobs that made no progress since (Unix seconds), from the offset on."""
        ...

    async def expire(self, project: str, jobs: Sequence[Job]) -> int:
        """Let jobs go that are still in the version that was read; return how many."""
        ...

    async def listening(self, now: float, most_seconds: float) -> float:
        """Note that workers can be heard; return until when silence counts for nothing (see `calm_until`)."""
        ...

    async def bury(self, project: str, now: float, recorded_rev: int) -> None:
        """Remove tombstones whose time has come and whose deletion is recorded."""
        ...
