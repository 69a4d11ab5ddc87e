"""The hub against ports that the test holds in its hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from typing_extensions import override

from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import Event, Job
from sidecar.core.view import view
from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.hub import Hub
from sidecar.hub.selection import EVERYTHING, Selection, only
from sidecar.hub.traffic import Traffic
from sidecar.hub.watcher import CLIENT_BYTES, MAILBOX_BYTES, EndedError, Watcher
from sidecar.ports import ChangeJob, Cursor, Gone, Listening, Missed, Notice, Page, Query, Stored, Written
from tests.adapters.updates import finish, push, update


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


def whole(change: Broadcast) -> bytes:
    """Encode as little of a whole job as will do."""
    if change.view is None:
        return b"gone "
    return b"%s%d/%d " % (b"end:" if change.is_end else b"", change.view.current or 0, change.cursor.rev)


def row(change: Broadcast) -> bytes:
    """Encode a row: what came, if it came encoded."""
    if change.row is not None:
        return change.row
    return b"gone" if change.view is None else b"{%d}" % (change.view.current or 0)


def framed(data: bytes) -> bytes:
    """Frame what is written at once."""
    return b"<%s>" % data


WHOLE = Form(whole, framed, b"ping", is_whole=True)
ROW = Form(row, framed, b"ping", is_whole=False)


class Client:
    """An outlet, and what a watcher through it has been told."""

    def __init__(self, form: Form = WHOLE, *, ends_with_job: bool = True) -> None:
        """Begin with a client that reads everything at once."""
        self.told: list[bytes] = []
        self.is_closed = False
        self.written_at = 0.0
        self.traffic = Traffic()
        self.held_bytes = 0
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.watcher = Watcher(form, self, ends_with_job=ends_with_job)
        self._arrived = asyncio.Event()

    def write(self, data: bytes) -> bool:
        """Be the connection."""
        self.told.append(data)
        self.written_at = asyncio.get_running_loop().time()
        self._arrived.set()
        return self.is_reading.is_set()

    async def drain(self) -> None:
        """Be the connection, whose patience is short."""
        async with asyncio.timeout(0.2):
            await self.is_reading.wait()

    async def until(self, count: int) -> list[bytes]:
        """Wait for so many writes and return them all."""
        async with asyncio.timeout(2):
            while len(self.told) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.told


def selected(job_id: str | None) -> Selection:
    """Return the selection of one job, or of all."""
    return EVERYTHING if job_id is None else only(job_id)


@asynccontextmanager
async def watching(
    hub: Hub, client: Client, job_id: str | None = "job-1", project: str = "default"
) -> AsyncIterator[asyncio.Task[None]]:
    """Let a client watch, as a stream does, and end with the block."""
    await hub.enter(project, selected(job_id), client.watcher)
    following = asyncio.create_task(client.watcher.follow())
    await asyncio.sleep(0)
    try:
        yield following
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await hub.leave(project, selected(job_id), client.watcher)


async def ended(following: asyncio.Task[None]) -> str:
    """Return the reason for which a watcher ended."""
    with pytest.raises(EndedError) as error:
        await asyncio.wait_for(following, 2)
    return error.value.reason


@pytest.fixture
def hand() -> Hand:
    """Return the world as the hub sees it."""
    return Hand()


@pytest.fixture
async def hub(hand: Hand) -> AsyncIterator[Hub]:
    """Return a hub that listens."""
    hub = Hub(hand, hand, hand, hand, hand)
    running = asyncio.create_task(hub.run())
    await asyncio.wait_for(hub.until_listening(), 2)
    yield hub
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_watcher_hears_a_change(hub: Hub, hand: Hand) -> None:
    client = Client()
    async with watching(hub, client):
        hand.change(push(update(current=3)))
        assert await client.until(1) == [b"<3/1 >"]


async def test_watcher_of_rows_is_told_what_came_and_nothing_is_read(hub: Hub, hand: Hand) -> None:
    client = Client(ROW)
    async with watching(hub, client):
        hand.change(push(update(current=3)))
        assert await client.until(1) == [b'<{"current":3}>']
    assert hand.reads == 0


async def test_watchers_of_other_jobs_hear_nothing(hub: Hub, hand: Hand) -> None:
    mine, other = Client(), Client()
    async with watching(hub, mine), watching(hub, other, "job-2"):
        hand.change(push(update(current=3)))
        await mine.until(1)
    assert other.told == []


async def test_watcher_of_a_project_hears_of_all_its_jobs_and_of_their_ends(hub: Hub, hand: Hand) -> None:
    client = Client(ROW, ends_with_job=False)
    async with watching(hub, client, None) as following:
        hand.change(push(update("a", current=1)), "a")
        hand.change(finish("a"), "a")
        hand.change(push(update("b", current=2)), "b")
        hand.forget("b")
        assert (await client.until(4))[-2:] == [b'<{"current":2}>', b"<gone>"]
        assert not following.done()


async def test_each_change_is_read_and_encoded_once_for_all(hub: Hub, hand: Hand) -> None:
    encoded = []

    def counting(change: Broadcast) -> bytes:
        encoded.append(change)
        return b"x"

    form = Form(counting, framed, b"ping", is_whole=True)
    clients = [Client(form) for _ in range(3)]
    async with watching(hub, clients[0]), watching(hub, clients[1]), watching(hub, clients[2]):
        hand.change(push(update(current=3)))
        for client in clients:
            await client.until(1)
    assert (len(encoded), hand.reads) == (1, 1)


async def test_changes_that_arrive_together_leave_in_one_write_the_newest_of_each_job(hub: Hub, hand: Hand) -> None:
    client = Client(WHOLE, ends_with_job=False)
    async with watching(hub, client, None):
        notices = []
        for job_id, number in (("a", 1), ("b", 1), ("a", 2)):
            hand.change(push(update(job_id, current=number)), job_id, is_heard=False)
            notices.append(hand.notice(job_id))
        hand.notices.put_nowait(notices)
        assert await client.until(1) == [b"<1/2 2/3 >"]
    assert (client.traffic.sent, client.traffic.coalesced) == (2, 1)


async def test_no_end_of_an_attempt_is_joined_away(hub: Hub, hand: Hand) -> None:
    client = Client(ROW, ends_with_job=False)
    async with watching(hub, client, None):
        notices = []
        for change in (push(update(current=1)), finish(), push(update(attempt=2, current=5))):
            hand.change(change, is_heard=False)
            notices.append(hand.notice())
        hand.notices.put_nowait(notices)
        assert await client.until(1) == [b'<{"current":1}{"current":5}>']


async def test_watcher_that_is_behind_gets_the_newest_only(hub: Hub, hand: Hand) -> None:
    slow, quick = Client(), Client()
    slow.is_reading.clear()
    async with watching(hub, slow), watching(hub, quick):
        for number in range(1, 6):
            hand.change(push(update(current=number)))
            await quick.until(number)
        assert slow.told == [b"<1/1 >"]
        slow.is_reading.set()
        assert await slow.until(2) == [b"<1/1 >", b"<5/5 >"]
        hand.change(push(update(current=6)))
        assert await slow.until(3) == [b"<1/1 >", b"<5/5 >", b"<6/6 >"]
    assert (slow.traffic.sent, slow.traffic.coalesced) == (3, 3)
    assert (quick.traffic.sent, quick.traffic.coalesced) == (6, 0)


async def test_watcher_that_is_behind_hears_of_every_end_in_ascending_rev(hub: Hub, hand: Hand) -> None:
    slow, quick = Client(ends_with_job=False), Client(ends_with_job=False)
    slow.is_reading.clear()
    async with watching(hub, slow, None), watching(hub, quick, None):
        changes = (push(update()), push(update(current=1)), finish(), push(update(attempt=2)), push(update(current=2)))
        for number, change in enumerate(changes, 1):
            hand.change(change)
            await quick.until(number)
        slow.is_reading.set()
        assert (await slow.until(2))[1] == b"<end:1/3 2/5 >"


async def test_client_that_takes_nothing_for_too_long_is_ended(hub: Hub, hand: Hand) -> None:
    client = Client()
    client.is_reading.clear()
    async with watching(hub, client) as following:
        hand.change(push(update(current=1)))
        assert await ended(following) == "slow_consumer"


async def test_end_of_the_job_ends_its_watcher_once_it_has_been_told(hub: Hub, hand: Hand) -> None:
    quick, slow = Client(), Client()
    slow.is_reading.clear()
    async with watching(hub, quick) as one, watching(hub, slow) as other:
        hand.change(push(update(current=1)))
        await slow.until(1)
        hand.change(finish())
        assert await ended(one) == "done"
        slow.is_reading.set()
        assert await ended(other) == "done"
    assert quick.told[-1] == slow.told[-1] == b"<end:1/2 >"


async def test_nothing_older_than_the_snapshot_is_told(hub: Hub, hand: Hand) -> None:
    client, quick = Client(), Client()
    await hub.enter("default", only("job-1"), client.watcher)
    async with watching(hub, quick):
        hand.change(push(update(current=1)))
        await quick.until(1)
        snapshot = await hand.get("job-1")
        assert snapshot is not None
        client.watcher.saw(snapshot.cursor, snapshot.view.job.version)
        hand.change(push(update(current=2)))
        await quick.until(2)
        following = asyncio.create_task(client.watcher.follow())
        assert await client.until(1) == [b"<2/2 >"]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await hub.leave("default", only("job-1"), client.watcher)
    assert hand.heard == set()


async def test_watcher_that_never_entered_may_leave(hub: Hub) -> None:
    await hub.leave("default", only("job-1"), Client().watcher)
    await hub.leave("default", EVERYTHING, Client().watcher)


async def test_change_that_the_snapshot_shows_already_is_not_told_when_it_arrives_late(hub: Hub, hand: Hand) -> None:
    client, quick = Client(), Client()
    hand.change(push(update(current=1)))
    late = hand.notice()
    client.watcher.saw(late.cursor, late.version)
    async with watching(hub, client), watching(hub, quick):
        hand.notices.put_nowait([late])
        await quick.until(1)
        hand.change(push(update(current=2)))
        assert await client.until(1) == [b"<2/2 >"]


async def test_deleted_job_is_told_as_gone(hub: Hub, hand: Hand) -> None:
    client = Client()
    async with watching(hub, client) as following:
        hand.change(push(update()))
        await client.until(1)
        hand.forget()
        assert await ended(following) == "done"
    assert client.told[1] == b"<gone >"


async def test_what_was_missed_while_the_line_was_down_is_caught_up(hand: Hand) -> None:
    hub, client, everything = Hub(hand, hand, hand, hand, hand), Client(), Client(ends_with_job=False)
    hand.change(push(update(current=1)))
    client.watcher.saw(Cursor("e", 1), 1)
    everything.watcher.saw(Cursor("e", 1))
    async with watching(hub, client), watching(hub, everything, None):
        hand.change(push(update(current=7)), is_heard=False)
        running = asyncio.create_task(hub.run())
        assert await client.until(1) == await everything.until(1) == [b"<7/2 >"]
        hand.notices.put_nowait(StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            await running
        assert not hub.is_listening
        hand.change(push(update(current=8)), is_heard=False)
        hand.change(push(update("other", current=1)), "other", is_heard=False)
        running = asyncio.create_task(hub.run())
        assert (await client.until(2))[1] == b"<8/3 >"
        assert b"".join(await everything.until(2)).endswith(b"<8/3 1/4 >")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_watcher_whose_place_is_of_another_epoch_is_told_everything(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False)
    hand.change(push(update(current=1)), is_heard=False)
    client.watcher.saw(Cursor("another", 1))
    async with watching(hub, client, None):
        running = asyncio.create_task(hub.run())
        assert await client.until(1) == [b"<1/1 >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_watcher_that_reads_its_snapshot_while_the_line_is_down_is_told_to_read_on(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False)
    await hub.enter("default", EVERYTHING, client.watcher)
    running = asyncio.create_task(hub.run())
    await hub.until_listening()
    for _ in range(5):
        await asyncio.sleep(0)
    assert client.watcher.has_missed
    await hub.leave("default", EVERYTHING, client.watcher)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_watcher_of_a_project_that_was_empty_hears_of_what_came_while_the_line_was_down(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False)
    client.watcher.saw(Cursor("", 0))
    async with watching(hub, client, None):
        hand.change(push(update(current=4)), is_heard=False)
        running = asyncio.create_task(hub.run())
        assert await client.until(1) == [b"<4/1 >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_was_caught_up_on_is_not_told_again_when_its_word_arrives(hand: Hand) -> None:
    hub, client, everything = Hub(hand, hand, hand, hand, hand), Client(), Client(ends_with_job=False)
    hand.change(push(update(current=1)))
    client.watcher.saw(Cursor("e", 1), 1)
    everything.watcher.saw(Cursor("e", 1))
    async with watching(hub, client), watching(hub, everything, None):
        hand.change(push(update(current=2)))
        running = asyncio.create_task(hub.run())
        await client.until(1)
        await everything.until(1)
        hand.notices.put_nowait([hand.notice()])
        hand.change(push(update(current=3)))
        assert await client.until(2) == [b"<2/2 >", b"<3/3 >"]
        assert await everything.until(2) == [b"<2/2 >", b"<3/3 >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_job_that_was_deleted_while_the_line_was_down_is_told_as_gone(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client()
    client.watcher.saw(Cursor("e", 1), 1)
    async with watching(hub, client) as following:
        running = asyncio.create_task(hub.run())
        assert await ended(following) == "done"
        assert client.told == [b"<gone >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_end_that_the_next_attempt_has_overtaken_is_told_by_its_row(hub: Hub, hand: Hand) -> None:
    client = Client(Form(lambda c: b"%d " % c.cursor.rev if c.view else (c.row or b""), framed, b"", is_whole=True))
    async with watching(hub, client) as following:
        hand.change(push(update(current=1)), is_heard=False)
        hand.change(finish(), is_heard=False)
        over = hand.notice()
        hand.change(push(update(attempt=2, current=5)), is_heard=False)
        hand.notices.put_nowait([over, hand.notice()])
        assert await ended(following) == "done"
    assert client.told == [b'<{"current":1}>']


async def test_job_of_another_project_is_not_shown_to_who_asked_for_its_id(hand: Hand) -> None:
    hub, named, one = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False), Client()
    named.watcher.saw(Cursor("another", 1))
    one.watcher.saw(Cursor("another", 1), 1)
    hand.change(push(update("secret", project="theirs", current=42)), "secret", is_heard=False)
    async with watching(hub, named, "secret"), watching(hub, one, "secret"):
        running = asyncio.create_task(hub.run())
        assert await named.until(1) == await one.until(1) == [b"<gone >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_id_that_another_project_has_taken_is_not_read_for_a_change_from_before(hub: Hub, hand: Hand) -> None:
    client = Client(ends_with_job=False)
    async with watching(hub, client, None):
        hand.change(push(update(current=1)), is_heard=False)
        before = hand.notice()
        hand.forget()
        gone = hand.notices.get_nowait()
        hand.change(push(update(project="theirs", current=42)))
        hand.notices.put_nowait([before])
        hand.notices.put_nowait(gone)
        assert await client.until(1) == [b"<gone >"]


async def test_end_is_told_once_and_in_its_own_place(hub: Hub, hand: Hand) -> None:
    everything, one = Client(ends_with_job=False), Client()
    async with watching(hub, everything, None), watching(hub, one) as following:
        hand.change(push(update(current=1)), is_heard=False)
        before = hand.notice()
        hand.change(finish(), is_heard=False)
        hand.notices.put_nowait([before])
        hand.notices.put_nowait([hand.notice()])
        assert await ended(following) == "done"
        assert one.told == await everything.until(1) == [b"<end:1/2 >"]


async def test_whole_job_that_was_read_for_two_changes_is_told_once_to_who_watches_it_alone(
    hub: Hub, hand: Hand
) -> None:
    client = Client()
    async with watching(hub, client):
        notices = []
        for number in (1, 2):
            hand.change(push(update(current=number)), is_heard=False)
            notices.append(hand.notice())
        for notice in notices:
            hand.notices.put_nowait([notice])
        hand.change(push(update(current=3)), is_heard=False)
        hand.notices.put_nowait([hand.notice()])
        hand.change(push(update(current=4)))
        await client.until(1)
        while not client.told[-1].startswith(b"<4/"):
            await client.until(len(client.told) + 1)
    assert len(client.told) == len({told.partition(b"/")[0] for told in client.told})


async def test_newcomer_whose_snapshot_was_older_than_what_others_read_hears_the_newest(hub: Hub, hand: Hand) -> None:
    early, newcomer = Client(), Client()
    async with watching(hub, early):
        await hub.enter("default", only("job-1"), newcomer.watcher)
        notices = []
        for number in (1, 2, 3):
            hand.change(push(update(current=number)), is_heard=False)
            notices.append(hand.notice())
        hand.notices.put_nowait([notices[0]])
        assert await early.until(1) == [b"<3/1 >"]
        newcomer.watcher.saw(notices[1].cursor, notices[1].version)
        following = asyncio.create_task(newcomer.watcher.follow())
        hand.notices.put_nowait([notices[1]])
        hand.notices.put_nowait([notices[2]])
        assert await newcomer.until(1) == [b"<3/3 >"]
        assert early.told == [b"<3/1 >"]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await hub.leave("default", only("job-1"), newcomer.watcher)


async def test_watchers_of_two_epochs_are_both_brought_up_to_date(hand: Hand) -> None:
    hub, old, new = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False), Client(ends_with_job=False)
    old.watcher.saw(Cursor("e", 0))
    new.watcher.saw(Cursor("f", 9))
    async with watching(hub, old, None), watching(hub, new, None):
        hand.change(push(update(current=1)), is_heard=False)
        running = asyncio.create_task(hub.run())
        assert await old.until(1) == [b"<1/1 >"]
        assert await new.until(1) == [b"<1/1 >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Away(Hand):
    """The same while SQL serves, which takes all that is there to have been told already."""

    is_away = True

    @override
    async def until_back(self) -> None:
        await asyncio.Event().wait()

    @override
    async def since(self, project: str, rev: int, limit: int) -> Missed:
        found = await super().since(project, rev, limit)
        return replace(found, base=found.cursor.rev)


async def test_what_redis_took_last_is_told_when_sql_begins_to_serve() -> None:
    away, client = Away(), Client(ends_with_job=False)
    hub = Hub(away, away, away, away, away)
    for job_id, ago in (("long-ago", 60.0), ("lately", 0.5)):
        away.change(push(update(job_id, current=1), time.time() - ago), job_id, is_heard=False)
    async with watching(hub, client, None):
        running = asyncio.create_task(hub.run())
        assert await client.until(1) == [b"<1/2 >"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_one_was_shown_is_told_by_another_store_to_all_but_that_one(hub: Hub, hand: Hand) -> None:
    shown, others = Client(ROW, ends_with_job=False), Client(ROW, ends_with_job=False)
    hand.change(push(update(current=1)), is_heard=False)
    here = Stored(view(hand.jobs["job-1"]), Cursor("before", 7))
    shown.watcher.saw(Cursor("before", 7))
    others.watcher.saw(Cursor("before", 6))
    async with watching(hub, shown, None), watching(hub, others, None):
        hub.show("default", [Broadcast.of(here)])
        hand.notices.put_nowait([hand.notice()])
        assert await others.until(1) == [b'<{"current":1}>']
        hand.change(push(update(current=2)))
        assert await shown.until(1) == [b'<{"current":2}>']


async def test_project_is_listened_to_only_while_somebody_watches(hub: Hub, hand: Hand) -> None:
    async with watching(hub, Client(), "a", "one"):
        async with watching(hub, Client(), "b", "one"), watching(hub, Client(), None, "one"):
            assert hand.heard == {"one"}
        assert hand.heard == {"one"}
    assert hand.heard == set()


async def test_mailbox_beyond_its_bytes_ends_the_watcher() -> None:
    client = Client(Form(lambda _: b"x" * (MAILBOX_BYTES // 3), framed, b"ping", is_whole=True))
    for number in range(1, 5):
        change = Broadcast(f"job-{number}", Cursor("e", number))
        client.watcher.tell(b"", [change])
    with pytest.raises(EndedError, match="slow_consumer"):
        await client.watcher.follow()


async def test_mailboxes_of_one_client_have_a_bound_together() -> None:
    client = Client(Form(lambda _: b"x" * (MAILBOX_BYTES // 2), framed, b"ping", is_whole=True))
    watchers = [Watcher(client.watcher.form, client, ends_with_job=False) for _ in range(9)]
    for watcher in watchers[:8]:
        watcher.tell(b"", [Broadcast("job-1", Cursor("e", 1))])
    assert client.held_bytes == CLIENT_BYTES
    watchers[8].tell(b"", [Broadcast("job-1", Cursor("e", 1))])
    with pytest.raises(EndedError, match="slow_consumer"):
        await watchers[8].follow()
    for watcher in watchers:
        watcher.end("client")
    assert client.held_bytes == 0


async def test_silent_watcher_is_pinged_and_one_that_hears_is_not(hub: Hub, hand: Hand) -> None:
    silent, told = Client(), Client(ROW, ends_with_job=False)
    async with watching(hub, silent, "other"), watching(hub, told, None):
        beating = asyncio.create_task(hub.beat(0.15))
        while not silent.told:
            hand.change(push(update(current=hand.rev)))
            await asyncio.sleep(0.01)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    assert silent.told[0] == b"ping"
    assert b"ping" not in told.told


async def test_client_that_has_gone_is_noticed(hub: Hub) -> None:
    client = Client()
    async with watching(hub, client) as following:
        client.is_closed = True
        beating = asyncio.create_task(hub.beat(0.05))
        assert await ended(following) == "client"
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def test_watchers_of_many_forms_hear_of_a_burst_in_turns(hub: Hub, hand: Hand) -> None:
    clients = [Client(ROW if number % 2 else WHOLE, ends_with_job=False) for number in range(2_500)]
    async with AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(watching(hub, client, None))
        hand.change(push(update(current=1)))
        hand.change(push(update(current=2)))
        for client in clients:
            await client.until(1)
            while not client.told[-1].endswith((b"2/2 >", b'{"current":2}>')):
                await client.until(len(client.told) + 1)
