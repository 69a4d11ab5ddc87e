"""What is true now of every job: the port of the live store, and what passes through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from typing_extensions import override

from sidecar.core.job import Job
from sidecar.core.merge import Outcome
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
    when it answers but takes no writes. Implementations pass `tests/adapters/contract_live_store.py`.
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


@dataclass(frozen=True, slots=True)
class Durability:
    """What a Redis is set to do with what it has acknowledged: settings by name, as far as it tells.

    `is_safe`: nothing is lost when it crashes or is out of memory; None if that cannot be told.
    """

    settings: Mapping[str, str]
    is_safe: bool | None
