"""How a watcher learns that its job is over or gone."""

from sidecar.hub.broadcast import Form
from sidecar.hub.hub import Hub
from tests.adapters.updates import finish, push, update
from tests.hub.client import Client, ended, framed, watching
from tests.hub.hand import Hand


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


async def test_deleted_job_is_told_as_gone(hub: Hub, hand: Hand) -> None:
    client = Client()
    async with watching(hub, client) as following:
        hand.change(push(update()))
        await client.until(1)
        hand.forget()
        assert await ended(following) == "done"
    assert client.told[1] == b"<gone >"


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
