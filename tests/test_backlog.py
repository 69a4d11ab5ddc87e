"""What was missed, read once for all who ask at the same time."""

import asyncio
from collections.abc import Sequence

import pytest
from typing_extensions import override

from sidecar.core.errors import StoreUnavailable
from sidecar.core.job import Event
from sidecar.hub.backlog import JOBS_A_READ, LOOKS, Backlogs
from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.selection import EVERYTHING
from sidecar.ports import Cursor, Gone, Missed


class Slow:
    """A feed that answers when it is let."""

    def __init__(self) -> None:
        """Begin with a feed that hangs."""
        self.reads: list[tuple[str, int]] = []
        self.answers: asyncio.Queue[Missed | StoreUnavailable] = asyncio.Queue(10)

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Be the feed."""
        assert limit == JOBS_A_READ
        self.reads.append((project, rev))
        answer = await self.answers.get()
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    async def projects(self) -> list[str]:
        """Be the feed, whose projects nobody asks for here."""
        raise NotImplementedError

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Be the feed, whose timelines nobody asks for here."""
        raise NotImplementedError


class Nobody:
    """An audience that was told nothing."""

    def show(self, project: str, changes: Sequence[Broadcast]) -> None:
        """Be shown something."""

    def is_ahead(self, project: str, changes: Sequence[Broadcast]) -> bool:
        """Know nothing."""
        del project, changes
        return False


class Ahead(Nobody):
    """An audience that was told more than the first reads say."""

    def __init__(self, reads: int) -> None:
        """Be ahead of so many reads."""
        self.reads = reads

    @override
    def is_ahead(self, project: str, changes: Sequence[Broadcast]) -> bool:
        """Know more, for a while."""
        self.reads -= 1
        return self.reads >= 0


def missed(rev: int) -> Missed:
    """Return a deletion at a rev."""
    cursor = Cursor("e", rev)
    return Missed(cursor, (Gone(f"job-{rev}", cursor),), is_more=False)


async def asking(backlogs: Backlogs, count: int, rev: int = 0) -> list["asyncio.Task[object]"]:
    """Let some ask at once, and return when they have."""
    tasks = [asyncio.create_task(_rev(backlogs, rev)) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def _rev(backlogs: Backlogs, rev: int) -> object:
    return (await backlogs.after("p", rev)).cursor.rev


async def test_who_asks_during_a_read_shares_the_next_one() -> None:
    feed = Slow()
    backlogs = Backlogs(feed, Nobody())
    first = await asking(backlogs, 3)
    later = await asking(backlogs, 50)
    feed.answers.put_nowait(missed(1))
    feed.answers.put_nowait(missed(2))
    assert await asyncio.gather(*first) == [1] * 3
    assert await asyncio.gather(*later) == [2] * 50
    assert feed.reads == [("p", 0)] * 2


async def test_who_asks_for_something_else_waits_for_nobody() -> None:
    feed = Slow()
    backlogs = Backlogs(feed, Nobody())
    await asking(backlogs, 1)
    other = await asking(backlogs, 1, rev=5)
    assert feed.reads == [("p", 0), ("p", 5)]
    feed.answers.put_nowait(missed(7))
    feed.answers.put_nowait(missed(8))
    assert await other[0] in {7, 8}


async def test_failure_is_told_to_all_who_shared_it_and_to_no_other() -> None:
    feed = Slow()
    backlogs = Backlogs(feed, Nobody())
    first = await asking(backlogs, 2)
    later = await asking(backlogs, 2)
    feed.answers.put_nowait(StoreUnavailable("away"))
    feed.answers.put_nowait(missed(3))
    for task in first:
        with pytest.raises(StoreUnavailable):
            await task
    assert await asyncio.gather(*later) == [3, 3]


async def test_who_goes_away_harms_nobody() -> None:
    feed = Slow()
    backlogs = Backlogs(feed, Nobody())
    tasks = await asking(backlogs, 3)
    tasks[0].cancel()
    feed.answers.put_nowait(missed(4))
    assert await asyncio.gather(*tasks[1:]) == [4, 4]
    again = await asking(backlogs, 1)
    feed.answers.put_nowait(missed(5))
    assert await again[0] == 5


async def test_bytes_are_made_once_for_each_form() -> None:
    encoded: list[Broadcast] = []

    def encode(change: Broadcast) -> bytes:
        encoded.append(change)
        return b"x"

    feed = Slow()
    feed.answers.put_nowait(missed(1))
    backlog = await Backlogs(feed, Nobody()).after("p", 0)
    form = Form(encode, lambda data: b"<%s>" % data, b"", is_whole=False)
    assert [backlog.framed(form, EVERYTHING, None) for _ in range(3)] == [[b"<x>"]] * 3
    assert backlog.framed(form, EVERYTHING, 9) == []
    assert len(encoded) == 1


async def test_store_that_lacks_what_was_told_is_read_again_until_it_has_that() -> None:
    feed = Slow()
    for rev in (1, 2):
        feed.answers.put_nowait(missed(rev))
    assert (await Backlogs(feed, Ahead(1)).after("p", 0)).cursor.rev == 2


async def test_what_was_told_is_not_waited_for_for_ever() -> None:
    feed = Slow()
    feed.answers = asyncio.Queue()
    for rev in range(1, LOOKS + 2):
        feed.answers.put_nowait(missed(rev))
    assert (await Backlogs(feed, Ahead(1_000), 0.0).after("p", 0)).cursor.rev == LOOKS
