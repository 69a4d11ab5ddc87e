"""The ports of the hub, that the test holds in its hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import Event, Job
from sidecar.core.view import view
from sidecar.ports import ChangeJob, Cursor, Gone, Listening, Missed, Notice, Page, Query, Stored, Written


class Hand:
    """A broker, its only line and a live store, moved by hand."""

    def __init__(self) -> None:
        """Begin with no jobs and a broker that can be reached."""
        self.jobs: dict[str, Job] = {}
        self.rev = 0
        self.heard: set[str] = set()
        self.reads = 0
        self.notices: asyncio.Queue[list[Notice] | StoreUnavailable] = asyncio.Queue(100)
        self.order: dict[str, int] = {}

    def change(self, change: ChangeJob, job_id: str = "job-1", *, is_heard: bool = True) -> Job:
        """Change a job and send word of it."""
        before = self.jobs.get(job_id)
        outcome = change(None if before is None else view(before))
        self.jobs[job_id] = outcome.job
        self.order[job_id] = self.rev = self.rev + 1
        if is_heard and outcome.job.project in self.heard:
            self.notices.put_nowait([self.notice(job_id)])
        return outcome.job

    def notice(self, job_id: str = "job-1") -> Notice:
        """Return the word of a job as it is."""
        shown = view(self.jobs[job_id])
        row = b'{"current":%d}' % (shown.current or 0)
        return Notice(shown.job.project, job_id, Cursor("e", self.rev), shown.job.version, shown.is_over, row)

    def forget(self, job_id: str = "job-1") -> None:
        """Delete a job and send word of it."""
        job = self.jobs.pop(job_id)
        self.order[job_id] = self.rev = self.rev + 1
        self.notices.put_nowait(
            [Notice(job.project, job_id, Cursor("e", self.rev), job.version + 1, is_end=True, row=None)]
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Listening]:
        """Be the broker."""
        self.heard.clear()
        yield self

    async def add(self, project: str) -> None:
        """Be the line."""
        self.heard.add(project)

    async def remove(self, project: str) -> None:
        """Be the line."""
        self.heard.discard(project)

    async def __aiter__(self) -> AsyncIterator[list[Notice]]:
        """Be the line."""
        while True:
            notices = await self.notices.get()
            if isinstance(notices, StoreUnavailable):
                raise notices
            yield notices

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Be the feed."""
        changed = sorted((at, job_id) for job_id, at in self.order.items() if at > rev and self._is_of(project, job_id))
        told = [
            Stored(view(self.jobs[job_id]), Cursor("e", at)) if job_id in self.jobs else Gone(job_id, Cursor("e", at))
            for at, job_id in changed[:limit]
        ]
        return Missed(Cursor("e", self.rev), tuple(told), is_more=len(changed) > limit)

    def _is_of(self, project: str, job_id: str) -> bool:
        return job_id not in self.jobs or self.jobs[job_id].project == project

    async def get(self, job_id: str) -> Stored | None:
        """Be the store."""
        self.reads += 1
        job = self.jobs.get(job_id)
        return None if job is None else Stored(view(job), Cursor("e", self.order[job_id]))

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def update_many(self, changes: Sequence[tuple[str, ChangeJob]]) -> list[Written | Exception]:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def page(self, query: Query) -> Page:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def projects(self) -> list[str]:
        """Be the feed, of which the hub asks no such thing."""
        raise NotImplementedError

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    is_away = False

    async def until_away(self) -> None:
        """Be the switch, which nobody turns."""
        await asyncio.Event().wait()

    async def until_back(self) -> None:
        """Be the switch."""
