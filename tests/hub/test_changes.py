"""What watchers are told of changes as they come."""

from contextlib import AsyncExitStack

from sidecar.hub.broadcast import Broadcast, Form
from sidecar.hub.hub import Hub
from sidecar.hub.selection import EVERYTHING, only
from tests.adapters.updates import finish, push, update
from tests.hub.client import ROW, WHOLE, Client, framed, watching
from tests.hub.hand import Hand


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


async def test_watcher_that_never_entered_may_leave(hub: Hub) -> None:
    await hub.leave("default", only("job-1"), Client().watcher)
    await hub.leave("default", EVERYTHING, Client().watcher)


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


async def test_project_is_listened_to_only_while_somebody_watches(hub: Hub, hand: Hand) -> None:
    async with watching(hub, Client(), "a", "one"):
        async with watching(hub, Client(), "b", "one"), watching(hub, Client(), None, "one"):
            assert hand.heard == {"one"}
        assert hand.heard == {"one"}
    assert hand.heard == set()


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
