"""Clients that are behind, too far behind, silent or gone."""

import asyncio

import pytest

from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.hub import Hub
from sidecar.hub.watcher import CLIENT_BYTES, MAILBOX_BYTES, EndedError, Watcher
from sidecar.ports import Cursor
from tests.adapters.updates import finish, push, update
from tests.hub.client import ROW, Client, ended, framed, meanwhile, watching
from tests.hub.hand import Hand


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
    async with watching(hub, silent, "other"), watching(hub, told, None), meanwhile(hub.beat(0.15)):
        while not silent.told:
            hand.change(push(update(current=hand.rev)))
            await asyncio.sleep(0.01)
    assert silent.told[0] == b"ping"
    assert b"ping" not in told.told


async def test_client_that_has_gone_is_noticed(hub: Hub) -> None:
    client = Client()
    async with watching(hub, client) as following:
        client.is_closed = True
        async with meanwhile(hub.beat(0.05)):
            assert await ended(following) == "client"
