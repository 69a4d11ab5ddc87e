"""The hub against ports that the test holds in its hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import Event, Job
from sidecar.core.view import view
from sidecar.hub import MAILBOX_BYTES, Broadcast, EndedError, Hub, Watcher
from sidecar.ports import ChangeJob, Cursor, Listening, Notice, Page, Query, Stored, Written
from tests.adapters.updates import finish, push, update


class Hand:
    """A broker, its only line and a live store, moved by hand."""

    def __init__(self) -> None:
        """Begin with no jobs and a broker that can be reached."""
        self.jobs: dict[str, Job] = {}
        self.rev = 0
        self.projects: set[str] = set()
        self.reads = 0
        self.notices: asyncio.Queue[Notice | StoreUnavailable] = asyncio.Queue(100)

    def change(self, change: ChangeJob, job_id: str = "job-1", *, is_heard: bool = True) -> Job:
        """Change a job and send word of it."""
        before = self.jobs.get(job_id)
        outcome = change(None if before is None else view(before))
        self.jobs[job_id] = outcome.job
        self.rev += 1
        if is_heard and outcome.job.project in self.projects:
            version = outcome.job.version
            self.notices.put_nowait(Notice(outcome.job.project, job_id, Cursor("e", self.rev), version, {}))
        return outcome.job

    def forget(self, job_id: str = "job-1") -> None:
        """Delete a job and send word of it."""
        job = self.jobs.pop(job_id)
        self.rev += 1
        self.notices.put_nowait(Notice(job.project, job_id, Cursor("e", self.rev), job.version + 1, None))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Listening]:
        """Be the broker."""
        self.projects.clear()
        yield self

    async def add(self, project: str) -> None:
        """Be the line."""
        self.projects.add(project)

    async def remove(self, project: str) -> None:
        """Be the line."""
        self.projects.discard(project)

    async def __aiter__(self) -> AsyncIterator[Notice]:
        """Be the line."""
        while True:
            notice = await self.notices.get()
            if isinstance(notice, StoreUnavailable):
                raise notice
            yield notice

    async def get(self, job_id: str) -> Stored | None:
        """Be the store."""
        self.reads += 1
        job = self.jobs.get(job_id)
        return None if job is None else Stored(view(job), Cursor("e", self.rev))

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def page(self, query: Query) -> Page:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Be the store, of which the hub only reads."""
        raise NotImplementedError


def encode(broadcast: Broadcast) -> bytes:
    """Encode as little as will do."""
    return b"gone" if broadcast.view is None else b"%d" % broadcast.view.job.version


def current(broadcast: Broadcast) -> object:
    """Return what the test counts with."""
    return None if broadcast.view is None else broadcast.view.current


@pytest.fixture
def hand() -> Hand:
    """Return the world as the hub sees it."""
    return Hand()


@pytest.fixture
async def hub(hand: Hand) -> AsyncIterator[Hub]:
    """Return a hub that listens."""
    hub = Hub(hand, hand)
    running = asyncio.create_task(hub.run())
    await asyncio.wait_for(hub.until_listening(), 2)
    yield hub
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def take(watcher: Watcher, count: int = 1) -> list[Broadcast]:
    """Return the next broadcasts."""
    taken: list[Broadcast] = []
    async with asyncio.timeout(2):
        while len(taken) < count:
            taken += await watcher.take(2)
    return taken


async def test_watcher_hears_a_change(hub: Hub, hand: Hand) -> None:
    async with hub.watch("default", "job-1", encode) as watcher:
        hand.change(push(update(current=3)))
        assert [current(b) for b in await take(watcher)] == [3]


async def test_watchers_of_other_jobs_hear_nothing(hub: Hub, hand: Hand) -> None:
    async with hub.watch("default", "job-1", encode) as mine, hub.watch("default", "job-2", encode) as other:
        hand.change(push(update(current=3)))
        await take(mine)
        assert await other.take(0.01) == []


async def test_each_change_is_read_and_encoded_once_for_all(hub: Hub, hand: Hand) -> None:
    encoded = []

    def counting(broadcast: Broadcast) -> bytes:
        encoded.append(broadcast)
        return b"x"

    async with hub.watch("default", "job-1", counting) as one, hub.watch("default", "job-1", counting) as two:
        hand.change(push(update(current=3)))
        await take(one)
        await take(two)
    assert (len(encoded), hand.reads) == (1, 1)


async def test_watcher_that_is_behind_gets_the_newest_only(hub: Hub, hand: Hand) -> None:
    async with hub.watch("default", "job-1", encode) as watcher, hub.watch("default", "job-1", encode) as quick:
        for number in range(1, 6):
            hand.change(push(update(current=number)))
            await take(quick)
        assert [current(b) for b in await take(watcher)] == [5]


async def test_end_of_an_attempt_is_kept_while_newer_states_come(hub: Hub, hand: Hand) -> None:
    async with hub.watch("default", "job-1", encode) as watcher, hub.watch("default", "job-1", encode) as quick:
        for change in (push(update()), finish(), push(update(attempt=2, current=1)), push(update(current=2))):
            hand.change(change)
            await take(quick)
        taken = await take(watcher, 2)
        assert [(b.is_end, b.cursor.rev) for b in taken] == [(True, 2), (False, 4)]


async def test_nothing_older_than_the_snapshot_is_sent(hub: Hub, hand: Hand) -> None:
    async with hub.watch("default", "job-1", encode) as watcher, hub.watch("default", "job-1", encode) as quick:
        hand.change(push(update(current=1)))
        await take(quick)
        snapshot = await hand.get("job-1")
        assert snapshot is not None
        watcher.saw(snapshot.view.job.version)
        hand.change(push(update(current=2)))
        assert [current(b) for b in await take(watcher)] == [2]


async def test_deleted_job_is_told_as_gone(hub: Hub, hand: Hand) -> None:
    async with hub.watch("default", "job-1", encode) as watcher:
        hand.change(push(update()))
        await take(watcher)
        hand.forget()
        assert [b.view for b in await take(watcher)] == [None]


async def test_what_was_missed_while_the_line_was_down_is_caught_up(hand: Hand) -> None:
    hub = Hub(hand, hand)
    hand.change(push(update(current=1)))
    async with hub.watch("default", "job-1", encode) as watcher:
        watcher.saw(1)
        hand.change(push(update(current=7)), is_heard=False)
        running = asyncio.create_task(hub.run())
        assert [current(b) for b in await take(watcher)] == [7]
        hand.notices.put_nowait(StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            await running
        assert not hub.is_listening
        hand.change(push(update(current=8)), is_heard=False)
        running = asyncio.create_task(hub.run())
        assert [current(b) for b in await take(watcher)] == [8]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_project_is_listened_to_only_while_somebody_watches(hub: Hub, hand: Hand) -> None:
    async with hub.watch("one", "a", encode):
        async with hub.watch("one", "b", encode):
            assert hand.projects == {"one"}
        assert hand.projects == {"one"}
    assert hand.projects == set()


async def test_close_ends_every_stream_now_and_later(hub: Hub) -> None:
    async with hub.watch("default", "job-1", encode) as watcher:
        hub.close()
        with pytest.raises(EndedError, match="shutdown"):
            await watcher.take(1)
    async with hub.watch("default", "job-1", encode) as watcher:
        with pytest.raises(EndedError, match="shutdown"):
            await watcher.take(1)


async def test_mailbox_beyond_its_bytes_ends_the_stream() -> None:
    watcher = Watcher(lambda _: b"x" * (MAILBOX_BYTES // 3))
    shown = None
    for attempt in range(1, 5):
        outcome = finish()(push(update(attempt=attempt))(shown).view)
        shown = outcome.view
        watcher.put(Broadcast("job-1", Cursor("e", attempt), outcome.view))
    with pytest.raises(EndedError, match="slow_consumer"):
        await watcher.take(1)
