"""What changes: the ports of who tells of it at once and of who tells what was missed, and what they tell."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sidecar.core.job import Event
from sidecar.ports.store import Cursor, Stored


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
