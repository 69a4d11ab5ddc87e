"""What a snapshot showed is not told again, nor is anything older."""

import asyncio

from sidecar.core.view import view
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.hub import Hub
from sidecar.hub.selection import only
from sidecar.ports import Cursor, Stored
from tests.adapters.updates import push, update
from tests.hub.client import ROW, Client, watching
from tests.hub.hand import Hand


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
