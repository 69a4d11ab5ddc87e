"""What the sidecar needs of the world: interfaces, their guarantees and their errors."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from typing_extensions import override

from sidecar.core.job import Event, Job
from sidecar.core.merge import Outcome
from sidecar.core.stalls import Settling
from sidecar.core.view import View

ChangeJob = Callable[[View | None], Outcome]
"""Decides what becomes of a job, told how it looks (None: there is none yet).

Pure; called again when somebody was faster.
"""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A position in a project's order of changes; comparable only within one epoch. Written `EPOCH-REV`."""

    epoch: str
    rev: int

    @override
    def __str__(self) -> str:
        """Return the form that clients see."""
        return f"{self.epoch}-{self.rev}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A job as a store holds it, and where in its project's order it last changed."""

    view: View
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Written:
    """What a change came to, and the job's cursor after it."""

    outcome: Outcome
    cursor: Cursor


class Order(StrEnum):
    """How a list of jobs is sorted; ties are broken by id."""

    NEWEST_CREATED = "-created_at"
    OLDEST_CREATED = "created_at"
    NEWEST_UPDATED = "-updated_at"
    OLDEST_UPDATED = "updated_at"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the sort value (Unix seconds) and id of its last job."""

    at: float
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which jobs to list. `may_see` tells whether the reader may see a project; None in a filter means any."""

    may_see: Callable[[str], bool]
    project: str | None = None
    job_type: str | None = None
    statuses: frozenset[str] = frozenset()
    active: bool | None = None
    stalled: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    parent_id: str | None = None
    updated_since: float | None = None
    order: Order = Order.NEWEST_CREATED
    limit: int = 100
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs in the asked order; `next` is where the following page begins, None at the end.

    A page may be shorter than its limit and still have a next: a store bounds how much it reads for one. `cursor`
    is the project's position before the page was read, if one project was asked for.
    """

    jobs: tuple[Stored, ...]
    next: Place | None
    cursor: Cursor | None


class LiveStore(Protocol):
    """What is true now of every job.

    Every method raises `StoreUnavailable` when the store does not answer within its deadline and `StoreRefused`
    when it answers but takes no writes. Implementations pass `tests/contract_live_store.py`.
    """

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply `change` to the job atomically and durably; errors of `change` pass through and store nothing.

        Nothing is written if the outcome's job is the one passed in. With a new version the project's rev rises
        by one and every listener hears of it, in the order of the revs; with the same one neither happens.
        Events go to the outbox in either case.
        """
        ...

    async def update_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Apply changes of many jobs, each as `update` does, in as few calls as can be; those of one job in order.

        Returns for each what came of it, or the error that `update` would have raised.
        """
        ...

    async def get(self, job_id: str) -> Stored | None:
        """Return the job, at least as new as any update acknowledged before the call."""
        ...

    async def page(self, query: Query) -> Page:
        """Return jobs that match, in order; paging repeats none and misses none that did not change meanwhile."""
        ...

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget the job and tell the listeners; False if there was none. `check` may refuse by raising."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many jobs there are over all projects by (type, status), and of these the stuck ones by (type, reason).

    `settling` tells since when and until when hardly any is said to be stuck, as the watchdog was away.
    """

    jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    stalled: Mapping[tuple[str, str], int] = field(default_factory=dict)
    settling: Settling = field(default_factory=Settling)


class Census(Protocol):
    """Counts kept beside the jobs, so that nobody reads every job to count them. Raises `StoreUnavailable`."""

    async def counts(self) -> Counts:
        """Return how many jobs there are."""
        ...

    async def outstanding(self, limit: int) -> list[View]:
        """Return at most so many unfinished jobs: those that are stuck, then those longest without progress."""
        ...


@dataclass(frozen=True, slots=True)
class Gone:
    """A job that was deleted, and where in its project's order."""

    job_id: str
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Missed:
    """What has changed of a project, each job once, in ascending rev; `cursor` is where the project stood then.

    Whoever followed the other store, or another epoch, has seen everything up to the rev `base`. Up to the rev `cut`
    changes may be missing: finished jobs and deletions are not kept for ever. `lost` are the ids of jobs that changed
    and are not there, though nobody deleted them: the store has lost them, and nobody is told that they are gone.
    `unread` are those that this release cannot read, and their revs.
    """

    cursor: Cursor
    changes: tuple[Stored | Gone, ...]
    is_more: bool
    base: int = 0
    cut: int = 0
    lost: tuple[str, ...] = ()
    unread: tuple[tuple[str, int], ...] = ()


class Feed(Protocol):
    """What happened lately, for whoever was away. Raises `StoreUnavailable`."""

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Return at most about `limit` jobs that changed last, or were deleted lately, after `rev` (0: all)."""
        ...

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's events numbered above `after`, oldest first, as far as the outbox still has them."""
        ...

    async def projects(self) -> list[str]:
        """Return every project that ever had a job."""
        ...


class Notice(NamedTuple):
    """Word that a job changed: its brief row as JSON without the cursor, None when it is gone.

    `is_end` tells that the attempt is over for good, or the job gone.
    """

    project: str
    job_id: str
    cursor: Cursor
    version: int
    is_end: bool
    row: bytes | None


class Listening(Protocol):
    """An open connection to the broker, listening to the projects that were added."""

    async def add(self, project: str) -> None:
        """Listen to a project; on return every later change of it will be heard."""
        ...

    async def remove(self, project: str) -> None:
        """Stop listening to a project."""
        ...

    def __aiter__(self) -> AsyncIterator[list[Notice]]:
        """Yield whatever has arrived, at least one notice, those of one project in ascending rev.

        Raises `StoreUnavailable` when the line breaks.
        """
        ...


class Broker(Protocol):
    """Carries word of changes to every replica."""

    def connect(self) -> AbstractAsyncContextManager[Listening]:
        """Open a line; it hears nothing until a project is added. Raises `StoreUnavailable`."""
        ...


class Switch(Protocol):
    """Which store serves: the live one, unless it is away."""

    @property
    def is_away(self) -> bool:
        """Whether the live store is away, and SQL serves."""
        ...

    async def until_away(self) -> None:
        """Wait until the live store is away."""
        ...

    async def until_back(self) -> None:
        """Wait until the live store serves."""
        ...


Exemplar = Mapping[str, str] | None
"""The ids that lead from an observation to its span, None if there is none."""


@dataclass(frozen=True, slots=True)
class Durability:
    """What a Redis is set to do with what it has acknowledged: settings by name, as far as it tells.

    `is_safe`: nothing is lost when it crashes or is out of memory; None if that cannot be told.
    """

    settings: Mapping[str, str]
    is_safe: bool | None


class Metrics(Protocol):
    """What is counted, as verbs. Cheap, never raises, never blocks."""

    def pushed(self, job_type: str, result: str) -> None:
        """Count an update by what became of it (a `Reason`, or `rejected`)."""
        ...

    def rejected(self, reason: str, job_type: str | None = None) -> None:
        """Count a refused request: validation, auth, rate_limited, too_large, conflict or unavailable.

        `job_type` is what it named, None if nobody could read that.
        """
        ...

    def job_started(self, job_type: str) -> None:
        """Count a job, or an attempt of one, whose work began."""
        ...

    def job_finished(self, job_type: str, outcome: str, seconds: float | None) -> None:
        """Count an attempt that ended or was lost, and how long it took if it ever began."""
        ...

    def eta_missed(self, job_type: str, ratio: float) -> None:
        """Record how far the ETA that a job gave half way was from the truth, as a multiple of what was left."""
        ...

    def items_counted(self, job_type: str, item: str, number: float) -> None:
        """Count items of a kind that were worked off."""
        ...

    def stage_finished(
        self, job_type: str, stage: str, outcome: str, seconds: float, exemplar: Exemplar = None
    ) -> None:
        """Record how long a stage took."""
        ...

    def request_began(self) -> None:
        """Count a request that is under way; streams are reported here too, until they begin."""
        ...

    def request_ended(self) -> None:
        """Count it no more."""
        ...

    def request_finished(self, method: str, route: str, code: int, seconds: float, exemplar: Exemplar = None) -> None:
        """Record a finished HTTP request by its route template; streams are not reported here."""
        ...

    def stream_opened(self, transport: str) -> None:
        """Count a stream that opened (`sse` or `websocket`)."""
        ...

    def stream_closed(self, transport: str, reason: str, seconds: float) -> None:
        """Count a stream that ended, and how long it was open.

        The reason is client, done, slow_consumer, lifetime, expired, shutdown or error.
        """
        ...

    def stream_resumed(self, result: str) -> None:
        """Count how a watch began: it was `replayed` what it had missed, or given the state.

        That is a `snapshot` for who has heard nothing, `unknown_cursor` for who has, of which we know nothing.
        """
        ...

    def stream_missed(self) -> None:
        """Count a stream read for which the live store held nothing."""
        ...

    def fell_back(self, operation: str, surface: str, reason: str) -> None:
        """Count an operation that SQL served because Redis could not: it is unavailable, or has lost a job (miss)."""
        ...

    def recorded(self, lines: int) -> None:
        """Count timeline lines that were recorded."""
        ...

    def outbox(self, lines: int, size_bytes: int, limit_bytes: int, oldest_at: float | None) -> None:
        """Note what waits to be recorded, of how much that may, and since when (Unix seconds)."""
        ...

    def sample_dropped(self) -> None:
        """Count a progress sample that found no room in the outbox."""
        ...

    def store_answered(self, store: str, operation: str, seconds: float) -> None:
        """Record how long a store (redis, sql) took to answer."""
        ...

    def store_failed(self, store: str, operation: str, kind: str) -> None:
        """Count an operation that a store did not do: it was unavailable or busy, or refused."""
        ...

    def loop_lagged(self, seconds: float) -> None:
        """Note by how much the event loop was late lately, at worst."""
        ...

    def loop_crashed(self, loop: str) -> None:
        """Count the crash of a supervised loop."""
        ...
