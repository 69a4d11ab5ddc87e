"""What the changes of one job that wait together come to."""

import asyncio

from sidecar.adapters.queues.decision import decided
from sidecar.adapters.queues.pending import Change, MovedError, Slot, Together
from sidecar.adapters.redis.combiner import admit_all
from sidecar.ports import Written
from tests.adapters.updates import push, update


async def abandoned() -> tuple[Slot, list[int]]:
    """Return an answer that nobody waits for any more, and what notes that its place is given back."""
    given_back: list[int] = []
    together = Together(lambda: given_back.append(1))
    slot, waiting = together.slot(), asyncio.create_task(together.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return slot, given_back


async def test_job_that_is_no_longer_there_is_told_to_whoever_still_waits() -> None:
    def future() -> asyncio.Future[Written]:
        return asyncio.get_running_loop().create_future()

    gone, waiting = future(), future()
    gone.cancel()
    left, given_back = await abandoned()
    answers: tuple[asyncio.Future[Written] | Slot, ...] = (gone, waiting, left)
    changes = [Change("p", "j", push(update("j")), is_entered=False, answer=answer, due=0.0) for answer in answers]
    assert decided("p", None, changes, admit_all).outcomes == []
    assert isinstance(waiting.exception(), MovedError)
    assert len(given_back) == 1
