"""Clients that come and go at random, on either transport, while jobs start and finish: nobody misses an end."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientSession, WSMsgType

from sidecar.core.job import Json
from tests.http.conftest import Event, EventStream
from tests.http.test_watch_project import rev
from tests.http.test_websocket import Socket
from tests.running import push, running

CONNECTS = 1_000
CLIENTS = 20
SLOTS = 60
STEPS = 8
"""Updates from the beginning of a job, or of an attempt, to its end."""

UPDATES_A_TURN = 10
TURN_SECONDS = 0.02
LONGEST_SECONDS = 0.8
LAST_SECONDS = 60.0

Next = Callable[[], Awaitable[Event | None]]
"""Returns the next event of a connection, None at its end."""


@dataclass
class Work:
    """What the workers have pushed: the rev of each attempt's end, and of those that were the last of their job."""

    chance: random.Random
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    final: dict[tuple[str, int], int] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    updates: int = 0

    async def push(self, client: ClientSession, is_enough: Callable[[], bool]) -> None:
        """Push 500 updates a second, or what the machine can, until it is enough; then end whatever still runs."""
        jobs = [self._jobs(slot, is_enough) for slot in range(SLOTS)]
        updates = [await anext(job) for job in jobs]
        turns = asyncio.get_running_loop().time
        due = turns()
        while jobs:
            some = sorted(self.chance.sample(range(len(jobs)), min(UPDATES_A_TURN, len(jobs))), reverse=True)
            revs = await self._push(client, [updates[index] for index in some])
            for index, at in zip(some, revs, strict=True):  # the last first, as those at their end are taken out
                try:
                    updates[index] = await jobs[index].asend(at)
                except StopAsyncIteration:
                    del jobs[index], updates[index]
            due += TURN_SECONDS
            await asyncio.sleep(due - turns())

    async def _push(self, client: ClientSession, updates: list[dict[str, Json]]) -> list[int]:
        self.updates += len(updates)
        async with client.post("/v1/updates", json=updates) as response:
            assert response.status == 200, await response.text()
            results = (await response.json())["results"]
        assert all(result["applied"] for result in results), results
        return [rev(result["cursor"]) for result in results]

    async def _jobs(self, slot: int, is_enough: Callable[[], bool]) -> AsyncGenerator[dict[str, Json], int]:
        """Yield one update after another and take its rev; jobs follow one another, some in several attempts."""
        number = 0
        while not is_enough():
            job_id, attempts = f"job-{slot}-{number}", self.chance.randint(1, 2)
            self.running.append(job_id)
            for attempt in range(1, attempts + 1):
                for current in range(STEPS):
                    yield {"job_id": job_id, "attempt": attempt, "current": current, "total": STEPS}
                status = self.chance.choice(["completed", "failed"])
                self.ends[job_id, attempt] = yield {"job_id": job_id, "attempt": attempt, "status": status}
            self.final[job_id, attempts] = self.ends[job_id, attempts]
            self.running.remove(job_id)
            number += 1


@asynccontextmanager
async def stream(client: ClientSession, watch: dict[str, Json], cursor: str | None) -> AsyncIterator[Next]:
    """Watch over Server-Sent Events; no events at all if there is nothing more to tell."""
    if "job_id" in watch:
        path, query = f"/v1/jobs/{watch['job_id']}/events", {}
    else:
        some = {"job_id": ",".join(watch.get("job_ids", ())), "status": ",".join(watch.get("status", ()))}
        path, query = "/v1/events", {"project": watch["project"], **{name: text for name, text in some.items() if text}}
    headers = {} if cursor is None else {"Last-Event-ID": cursor}
    async with client.get(path, params=query, headers=headers) as response:
        assert response.status in (200, 204)
        events = EventStream(response.content)

        async def following() -> Event | None:
            try:
                return await events.next()
            except EOFError:
                return None

        yield following


@asynccontextmanager
async def socket(client: ClientSession, watch: dict[str, Json], cursor: str | None) -> AsyncIterator[Next]:
    """Watch over a WebSocket."""
    async with client.ws_connect("/v1/ws") as opened:
        await Socket(opened).send(watch=watch, after=cursor)

        async def following() -> Event | None:
            while (message := await opened.receive(timeout=10)).type is WSMsgType.TEXT:
                frame = message.json()
                if frame["event"] != "ping":
                    return Event(frame["event"], frame["data"], frame["cursor"])
            return None

        yield following


@dataclass
class Reader:
    """A client that is cut off and comes back with the cursor that it has; it checks all that it hears."""

    watch: dict[str, Json]
    cursor: str | None = None
    place: int = -1
    began: int | None = None
    is_over: bool = False
    ended: set[tuple[str, int]] = field(default_factory=set)
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    percents: dict[tuple[str, int], float] = field(default_factory=dict)

    async def connect(self, server: ClientSession, work: Work, *, is_last: bool = False) -> None:
        """Connect once, by either transport, and read until the cut, or the end.

        When nothing changes any more, the last connection is read until the state is complete.
        """
        transport, seconds = work.chance.choice([stream, socket]), work.chance.uniform(0.01, LONGEST_SECONDS)
        cut_at = asyncio.get_running_loop().time() + (LAST_SECONDS if is_last else seconds)
        heard: list[Event] = []
        async with transport(server, self.watch, self.cursor) as following:
            try:
                async with asyncio.timeout_at(cut_at):
                    while not self.is_over and (event := await following()) is not None:
                        heard.append(event)
                        self._hear(event, is_first=len(heard) == 1)
                        if is_last and event.name == "synced":
                            self.is_over = True
                    self.is_over = self.is_over or "job_id" in self.watch
            except TimeoutError:
                assert not is_last, self
        self._check(heard, work)

    def _hear(self, event: Event, *, is_first: bool) -> None:
        assert is_first == (event.name == "connected"), event
        if event.name == "connected":
            assert self.cursor is not None or not event.data["recovered"], (self, event)
            if not event.data["recovered"]:
                self.place = -1  # a store that was slow to answer: the full state comes once more
            if self.began is None and event.data["cursor"]:
                self.began = rev(event.data["cursor"])
        elif event.name == "synced":
            assert rev(event.data["cursor"]) >= self.place
            self._reach(event.data["cursor"])
            self.began = self.place if self.began is None else self.began
        else:
            assert event.name in ("progress", "done"), event
            self._hear_of_job(event)

    def _reach(self, cursor: str) -> None:
        self.cursor, self.place = cursor, rev(cursor)

    def _hear_of_job(self, event: Event) -> None:
        job = event.data["job"] if event.name == "done" else event.data
        job_id, attempt, version = job["job_id"], job["attempt"], job["version"]
        assert event.id is not None
        assert rev(event.id) > self.place, "no event is older than one before it"
        self._reach(event.id)
        # The same version may come once more after a cut: a whole job may be told newer than the cursor beside it.
        assert (attempt, version) >= self.versions.get(job_id, (0, 0)), "no version goes back"
        self.versions[job_id] = attempt, version
        assert job["percent"] >= self.percents.get((job_id, attempt), 0), "no percent goes back within an attempt"
        self.percents[job_id, attempt] = job["percent"]
        if event.name == "done":
            self.ended.add((job_id, attempt))
            self.is_over = job_id == self.watch.get("job_id")

    def _check(self, heard: list[Event], work: Work) -> None:
        """Every end from when the state was complete up to the last event of one connection must have been told."""
        synced = [number for number, event in enumerate(heard) if event.name == "synced"]
        if not synced or heard[-1].id is None:
            return
        first, last = rev(heard[synced[0]].data["cursor"]), rev(heard[-1].id)
        due = {end for end, at in work.ends.items() if first < at <= last and self._wants(end[0])}
        assert due <= self.ended, (self.watch, due - self.ended)

    def _wants(self, job_id: str) -> bool:
        return "job_id" not in self.watch and job_id in self.watch.get("job_ids", (job_id,))

    def missed(self, work: Work) -> set[tuple[str, int]]:
        """Return the last ends of jobs that were never told, though they came after the first connection."""
        since = self.began
        if since is None:
            assert "job_id" in self.watch, self
            return set()
        return {end for end, at in work.final.items() if at > since and self._wants(end[0])} - self.ended


async def test_nobody_who_watches_on_misses_an_end_however_often_cut_off(tmp_path: Path) -> None:
    async with running(tmp_path / "data", store_timeout_seconds=10) as sidecar, ClientSession(sidecar.url) as client:
        await push(client, "", "first", current=1)  # a project without jobs stands nowhere
        await watch_all(client)


async def watch_all(server: ClientSession) -> None:
    """Let clients come and go while jobs start and finish; then look whether each has heard of every end."""
    chance = random.Random(20_261_123)  # noqa: S311 - a test's chance
    work, connects, readers = Work(chance), 0, list[Reader]()

    def is_enough() -> bool:
        return connects >= CONNECTS and len(work.ends) >= 2 * SLOTS

    def new(kind: int) -> Reader:
        """Return a reader of one job, of all, of some by name, or of those in a status."""
        names = [f"job-{slot}-{number}" for slot in range(0, SLOTS, 3) for number in range(30)]
        watches: list[dict[str, Json]] = [
            {"job_id": chance.choice(work.running or ["job-0-0"])},
            {"project": "default"},
            {"project": "default", "job_ids": names},
            {"project": "default", "status": ["running"]},
        ]
        readers.append(Reader(watches[kind]))
        return readers[-1]

    async def client(kind: int) -> None:
        nonlocal connects
        reader = new(kind)
        while connects < CONNECTS:
            connects += 1
            await reader.connect(server, work)
            if reader.is_over:
                reader = new(kind)

    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        pushing = tasks.create_task(work.push(server, is_enough))
        clients = [tasks.create_task(client(number % 4)) for number in range(CLIENTS)]
        await asyncio.wait({pushing, *clients})
    seconds = asyncio.get_running_loop().time() - began
    print(f"{connects} connects, {work.updates} updates, {len(work.ends)} ends in {seconds:.1f} s")  # noqa: T201 - how hard it was
    for reader in readers:
        if not reader.is_over:
            await reader.connect(server, work, is_last=True)
    assert [missed for reader in readers if (missed := reader.missed(work))] == []
    for reader in readers:
        if "job_id" in reader.watch:
            assert reader.ended, reader.watch
