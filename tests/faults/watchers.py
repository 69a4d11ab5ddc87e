"""Readers of event streams, who come back when they are cut off and note what must never be seen."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, StreamReader
from typing_extensions import override

from tests.faults.jobs import FINISHED, PROJECT, Job
from tests.faults.ledger import Ledger
from tests.faults.patience import until
from tests.faults.telling import clock_time

AGAIN_SECONDS = 0.2
SILENT_SECONDS = 8.0
"""Longer than the sidecar's heartbeat: a stream that says less is dead."""

PATH_OF_PROJECT = f"/v1/events?project={PROJECT}&view=brief"


class Message(NamedTuple):
    """One event of a stream."""

    event: str
    id: str | None
    data: dict[str, Any]


class Origin(NamedTuple):
    """A sidecar as those who watch know it: where it is reached, and how often it has been started by now."""

    url: str
    lives: Callable[[], int]


class Watcher:
    """Follows streams of one sidecar one after another; what it knows of jobs outlives every connection.

    Which versions it has seen counts as long as that sidecar lives: nothing older may follow, whoever reconnects. That
    nothing is undone, and no percent goes back, holds for ever.
    """

    def __init__(self, name: str, ledger: Ledger, session: ClientSession, origin: Origin) -> None:
        self.violations: list[str] = []
        self.seen: Counter[str] = Counter()
        self.finished: set[tuple[str, int]] = set()
        """Jobs whose end it has heard of, by attempt."""

        self.reset_at = -1.0
        """When a stream that began anew was last complete: it need not tell of what had finished before."""

        self._name = name
        self._ledger = ledger
        self._session = session
        self._origin = origin
        self._life = 0
        self._last_id: str | None = None
        self._is_anew = False
        self._versions: dict[str, int] = {}
        self._percents: dict[tuple[str, int], float] = {}
        self._lost: set[str] = set()

    async def run(self) -> None:
        """Follow for ever."""
        await self.follow(PATH_OF_PROJECT)

    async def follow(self, path: str) -> None:
        """Follow one stream, over as many connections as it takes, until it is over for good."""
        self._last_id = None
        while True:
            try:
                if await self._connected(path):
                    return
            except (ClientError, OSError, TimeoutError) as error:
                self.seen[type(error).__name__] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    def lacking(self) -> list[str]:
        """Return the jobs of whose end it should have heard and has not."""
        return [
            job_id
            for (job_id, attempt), at in self._ledger.ends().items()
            if (job_id, attempt) not in self.finished and at > self.reset_at
        ]

    async def _connected(self, path: str) -> bool:
        """Read one connection to its end; true if there will never be more."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        timeout = ClientTimeout(total=None, sock_connect=SILENT_SECONDS, sock_read=SILENT_SECONDS)
        async with self._session.get(f"{self._origin.url}{path}", headers=headers, timeout=timeout) as response:
            if response.status == 204:
                return True
            if response.status != 200:
                self._wrong(f"{path} was answered {response.status}: {await response.text()}")
                return False
            await self._read(response)
        return False

    async def _read(self, response: ClientResponse) -> None:
        if (life := self._origin.lives()) != self._life:  # one that begins anew may know less than the one before
            self._versions.clear()
            self._life = life
        async for message in messages(response.content):
            self.seen[message.event] += 1
            self._take(message)
            self._last_id = message.id or self._last_id

    def _take(self, message: Message) -> None:
        match message.event:
            case "connected":
                self._is_anew = not message.data["recovered"]
            case "synced":
                if self._is_anew:
                    self.reset_at = time.monotonic()
            case "progress":
                self._look(message.data)
            case "done":
                self._look(message.data["job"])
                self.finished.add((message.data["job_id"], message.data["job"]["attempt"]))
            case "gone":
                self._wrong(f"{message.data['job_id']} is told to be gone")
            case _:
                pass

    def _look(self, row: dict[str, Any]) -> None:
        job_id, version, percent = row["job_id"], row["version"], row["percent"] or 0.0
        key = job_id, row["attempt"]
        if version < self._versions.get(job_id, 0):
            self._wrong(f"{job_id} at {row['cursor']}: version {version} after {self._versions[job_id]}")
        if percent < self._percents.get(key, 0.0):
            self._wrong(f"{job_id} at {row['cursor']}: {percent} percent after {self._percents[key]}")
        if key in self.finished and row["status"] not in FINISHED:
            self._wrong(f"{job_id} at {row['cursor']}: {row['status']} after it was finished")
        self._versions[job_id], self._percents[key] = version, percent
        self._note_silence(job_id, is_lost=row["status"] == "lost")

    def _note_silence(self, job_id: str, *, is_lost: bool) -> None:
        """Count jobs that have become lost, and those that are back."""
        if is_lost and job_id not in self._lost:
            self.seen["lost"] += 1
            self._lost.add(job_id)
        elif not is_lost and job_id in self._lost:
            self.seen["returned"] += 1
            self._lost.discard(job_id)

    def _wrong(self, what: str) -> None:
        self.violations.append(f"{clock_time()}: {self._name}: {what}")


class JobWatcher(Watcher):
    """Follows the stream of one job to its end, then that of the job in its place."""

    def __init__(  # noqa: PLR0913, PLR0917 - a watcher, and what it follows
        self, name: str, ledger: Ledger, session: ClientSession, origin: Origin, jobs: Sequence[Job], place: int
    ) -> None:
        super().__init__(name, ledger, session, origin)
        self._jobs = jobs
        self._place = place
        self._followed: set[tuple[str, int]] = set()

    @override
    async def run(self) -> None:
        while True:
            job = self._jobs[self._place]
            self._followed.add((job.job_id, job.attempt))
            while self._jobs[self._place] is job or self._lacks(job):
                await self.follow(f"/v1/jobs/{job.job_id}/events")
                await self._until_replaced(job)

    async def _until_replaced(self, job: Job) -> None:
        """Wait until another job is to be followed, or this one has ended unheard: another attempt ended its stream."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if self._jobs[self._place] is not job or self._lacks(job):
                return

    def _lacks(self, job: Job) -> bool:
        key = job.job_id, job.attempt
        return key not in self.finished and self._ledger.has_ended(*key)

    @override
    def lacking(self) -> list[str]:
        """Return the job that it follows, if that has ended unseen, and earlier ones whose stream was over too soon."""
        return [key[0] for key in self._ledger.ends() if key in self._followed and key not in self.finished]


class Watchers:
    """Some of them, at work while inside."""

    def __init__(self, members: Sequence[Watcher]) -> None:
        self.members = members
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(member.run()) for member in self.members]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self.members[0].violations.extend(repr(end) for end in ended if isinstance(end, Exception))

    @property
    def violations(self) -> list[str]:
        """What any of them has seen that must not be."""
        return [line for member in self.members for line in member.violations]

    async def settled(self, seconds: float) -> list[str]:
        """Wait until all have heard of every end; return who has not."""
        with suppress(AssertionError):
            await until(lambda: not any(member.lacking() for member in self.members), seconds, "all have heard")
        lacking = {member: member.lacking() for member in self.members}
        return [
            f"{type(member).__name__} {index}: never told of the end of {', '.join(jobs)}"
            for index, (member, jobs) in enumerate(lacking.items())
            if jobs
        ]


async def messages(content: StreamReader) -> AsyncIterator[Message]:
    """Yield the events of a stream; what was begun when it breaks off is none."""
    fields: dict[str, str] = {}
    async for raw in content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield Message(fields.get("event", "message"), fields.get("id"), json.loads(fields["data"]))
            fields = {}
