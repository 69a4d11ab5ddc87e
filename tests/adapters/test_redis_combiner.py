"""Many updates in one call, over a real Valkey."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.queues.flush_queue import CHANGES_IN_FLIGHT
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.core.errors import Unavailable
from sidecar.core.job import Reason
from sidecar.ports import ChangeJob, Written
from tests.adapters.updates import NOON, push, update

QUICK_SECONDS = 1.0


@pytest.fixture
async def impatient(valkey: EmbeddedValkey) -> AsyncIterator[RedisLive]:
    """Return a store that gives up soon."""
    link = RedisLink(valkey.url, QUICK_SECONDS)
    yield RedisLive(link, lambda: NOON)
    await link.close()


@asynccontextmanager
async def hanging(link: RedisLink) -> AsyncIterator[None]:
    """Let the server answer nobody."""
    process_id = (await link.commands.info("server"))["process_id"]
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def adding(job_id: str, seq: int, writer: str = "w") -> ChangeJob:
    """Return a change that adds one."""
    return push(update(job_id, writer=writer, seq=seq, add_current=1))


async def current(store: RedisLive, job_id: str) -> object:
    stored = await store.get(job_id)
    return None if stored is None else stored.view.current


async def test_changes_of_one_job_that_wait_together_are_stored_once(store: RedisLive) -> None:
    answers = await store.update_many([("j", adding("j", seq)) for seq in range(100)])
    written = [answer for answer in answers if isinstance(answer, Written)]
    assert [each.outcome.view.current for each in written] == list(range(1, 101))
    assert {each.cursor.rev for each in written} == {1}


async def test_single_updates_that_arrive_during_a_call_go_out_in_the_next(store: RedisLive) -> None:
    await store.update("j", adding("j", 0))
    answers = await asyncio.gather(*(store.update("j", adding("j", seq)) for seq in range(1, 200)))
    assert len({answer.cursor.rev for answer in answers}) <= 3
    assert await current(store, "j") == 200


async def test_callers_beyond_what_may_be_in_flight_wait_and_are_then_refused(
    impatient: RedisLive, link: RedisLink
) -> None:
    await impatient.update("j", adding("j", 0))
    count = CHANGES_IN_FLIGHT + 500
    async with hanging(link), asyncio.timeout(20 * QUICK_SECONDS):
        pushes = (impatient.update("j", adding("j", seq)) for seq in range(1, count))
        answers = await asyncio.gather(*pushes, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    again = await asyncio.gather(*(impatient.update("j", adding("j", seq)) for seq in range(count, count + 50)))
    assert {answer.outcome.reason for answer in again} == {Reason.APPLIED}


async def test_batches_beyond_what_may_be_in_flight_end_too(impatient: RedisLive, link: RedisLink) -> None:
    await impatient.update_many([(f"j{n}", adding(f"j{n}", 0)) for n in range(20)])
    async with hanging(link), asyncio.timeout(20 * QUICK_SECONDS):
        batches = [[(f"j{n % 20}", adding(f"j{n % 20}", n + 1)) for n in range(1_000)] for _ in range(12)]
        answers = await asyncio.gather(*map(impatient.update_many, batches))
    assert all(isinstance(answer, Unavailable) for part in answers for answer in part)
    again = await impatient.update_many(batches[0][:20])  # few: nobody waits for long
    assert all(isinstance(answer, Written) for answer in again)


async def test_batches_that_have_to_wait_for_room_lose_no_answer(store: RedisLive) -> None:
    batches = [[(f"j{n % 5}", adding(f"j{n % 5}", n, f"w{b}")) for n in range(1_000)] for b in range(12)]
    answers = await asyncio.gather(*map(store.update_many, batches))
    assert all(isinstance(answer, Written) for part in answers for answer in part)
    assert [await current(store, f"j{n}") for n in range(5)] == [12 * 200] * 5
    await store.update_many(batches[0])


async def test_callers_that_go_away_give_their_places_back(impatient: RedisLive, link: RedisLink) -> None:
    for job_id in ("j", "k"):
        await impatient.update(job_id, adding(job_id, 0))
    async with hanging(link):
        alone = [asyncio.create_task(impatient.update("j", adding("j", seq))) for seq in range(CHANGES_IN_FLIGHT)]
        await _gone(alone)
        batch = [("j", adding("j", seq)) for seq in range(CHANGES_IN_FLIGHT // 8)]
        await _gone([asyncio.create_task(impatient.update_many(batch)) for _ in range(8)])
    await asyncio.gather(*(impatient.update("k", adding("k", seq)) for seq in range(1, 500)))
    assert await current(impatient, "k") == 500


async def _gone(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Let tasks begin, and go away."""
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
