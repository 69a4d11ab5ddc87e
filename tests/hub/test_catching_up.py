"""What was missed while the line was down, or another store served, is caught up on."""

import asyncio
import time
from dataclasses import replace

import pytest
from typing_extensions import override

from sidecar.core.errors import StoreUnavailable
from sidecar.hub.hub import Hub
from sidecar.hub.selection import EVERYTHING
from sidecar.ports import Cursor, Missed
from tests.adapters.updates import push, update
from tests.hub.client import Client, ended, meanwhile, watching
from tests.hub.hand import Hand


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
        async with meanwhile(hub.run()):
            assert (await client.until(2))[1] == b"<8/3 >"
            assert b"".join(await everything.until(2)).endswith(b"<8/3 1/4 >")


async def test_watcher_whose_place_is_of_another_epoch_is_told_everything(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False)
    hand.change(push(update(current=1)), is_heard=False)
    client.watcher.saw(Cursor("another", 1))
    async with watching(hub, client, None), meanwhile(hub.run()):
        assert await client.until(1) == [b"<1/1 >"]


async def test_watcher_that_reads_its_snapshot_while_the_line_is_down_is_told_to_read_on(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False)
    await hub.enter("default", EVERYTHING, client.watcher)
    async with meanwhile(hub.run()):
        await hub.until_listening()
        for _ in range(5):
            await asyncio.sleep(0)
        assert client.watcher.has_missed
        await hub.leave("default", EVERYTHING, client.watcher)


async def test_watcher_of_a_project_that_was_empty_hears_of_what_came_while_the_line_was_down(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False)
    client.watcher.saw(Cursor("", 0))
    async with watching(hub, client, None):
        hand.change(push(update(current=4)), is_heard=False)
        async with meanwhile(hub.run()):
            assert await client.until(1) == [b"<4/1 >"]


async def test_what_was_caught_up_on_is_not_told_again_when_its_word_arrives(hand: Hand) -> None:
    hub, client, everything = Hub(hand, hand, hand, hand, hand), Client(), Client(ends_with_job=False)
    hand.change(push(update(current=1)))
    client.watcher.saw(Cursor("e", 1), 1)
    everything.watcher.saw(Cursor("e", 1))
    async with watching(hub, client), watching(hub, everything, None):
        hand.change(push(update(current=2)))
        async with meanwhile(hub.run()):
            await client.until(1)
            await everything.until(1)
            hand.notices.put_nowait([hand.notice()])
            hand.change(push(update(current=3)))
            assert await client.until(2) == [b"<2/2 >", b"<3/3 >"]
            assert await everything.until(2) == [b"<2/2 >", b"<3/3 >"]


async def test_job_that_was_deleted_while_the_line_was_down_is_told_as_gone(hand: Hand) -> None:
    hub, client = Hub(hand, hand, hand, hand, hand), Client()
    client.watcher.saw(Cursor("e", 1), 1)
    async with watching(hub, client) as following, meanwhile(hub.run()):
        assert await ended(following) == "done"
        assert client.told == [b"<gone >"]


async def test_job_of_another_project_is_not_shown_to_who_asked_for_its_id(hand: Hand) -> None:
    hub, named, one = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False), Client()
    named.watcher.saw(Cursor("another", 1))
    one.watcher.saw(Cursor("another", 1), 1)
    hand.change(push(update("secret", project="theirs", current=42)), "secret", is_heard=False)
    async with watching(hub, named, "secret"), watching(hub, one, "secret"), meanwhile(hub.run()):
        assert await named.until(1) == await one.until(1) == [b"<gone >"]


async def test_watchers_of_two_epochs_are_both_brought_up_to_date(hand: Hand) -> None:
    hub, old, new = Hub(hand, hand, hand, hand, hand), Client(ends_with_job=False), Client(ends_with_job=False)
    old.watcher.saw(Cursor("e", 0))
    new.watcher.saw(Cursor("f", 9))
    async with watching(hub, old, None), watching(hub, new, None):
        hand.change(push(update(current=1)), is_heard=False)
        async with meanwhile(hub.run()):
            assert await old.until(1) == [b"<1/1 >"]
            assert await new.until(1) == [b"<1/1 >"]


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
    async with watching(hub, client, None), meanwhile(hub.run()):
        assert await client.until(1) == [b"<1/2 >"]
