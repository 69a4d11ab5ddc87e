"""When a store counts as away, and what it takes to be back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from sidecar.adapters.failover import breaker
from sidecar.adapters.failover.breaker import Breaker
from sidecar.core.errors import HistoryUnavailable, StoreRefused, StoreUnavailable
from sidecar.tasks import ended

SOON = 5.0
BACK_SECONDS = 0.05


class Store:
    """Answers probes and is prepared as a test says; the last of the answers is given for ever."""

    def __init__(self, answers: Iterable[bool] = (True,), prepared: Iterable[bool] = (True,)) -> None:
        self._answers, self._prepared = list(answers), list(prepared)
        self.probes = 0
        self.told: list[str] = []

    async def probe(self) -> None:
        self.probes += 1
        self._say("answered", self._answers)

    async def prepare(self) -> None:
        self._say("prepared", self._prepared)

    def _say(self, what: str, answers: list[bool]) -> None:
        is_good = answers.pop(0) if len(answers) > 1 else answers[0]
        self.told.append(what if is_good else f"not {what}")
        if not is_good:
            raise StoreUnavailable(f"not {what}")


def opened(back_seconds: float = BACK_SECONDS) -> Breaker:
    """Return the breaker of a store that has just gone away."""
    mine = Breaker("Redis", back_seconds)
    mine.open("it is gone")
    return mine


def silent_for(mine: Breaker, seconds: float) -> None:
    """Let the last answer be so long ago."""
    mine._answered_at -= seconds


@asynccontextmanager
async def watched(mine: Breaker, probe: Callable[[], Awaitable[None]], prepare: breaker.Work) -> AsyncIterator[None]:
    """Let the breaker watch a store while inside."""
    task = asyncio.create_task(mine.watch(probe, prepare))
    try:
        yield
    finally:
        await ended(task)


async def test_store_is_there_at_first() -> None:
    mine = Breaker("Redis")
    mine.check()
    assert not mine.is_away
    await asyncio.wait_for(mine.until_back(), SOON)


async def test_store_is_away_after_some_failures() -> None:
    mine = Breaker("Redis")
    for _ in range(breaker.FAILURES - 1):
        mine.failed()
        assert not mine.is_away
    mine.failed()
    assert mine.is_away


async def test_answer_in_between_begins_the_count_anew() -> None:
    mine = Breaker("Redis")
    for _ in range(breaker.FAILURES * 2):
        mine.failed()
        mine.answered()
    assert not mine.is_away


async def test_one_failure_is_enough_after_a_long_silence() -> None:
    mine = Breaker("Redis")
    silent_for(mine, breaker.SILENT_SECONDS)
    mine.failed()
    assert mine.is_away


async def test_answer_ends_a_silence() -> None:
    mine = Breaker("Redis")
    silent_for(mine, breaker.SILENT_SECONDS)
    mine.answered()
    mine.failed()
    assert not mine.is_away


async def test_nobody_may_wait_for_a_store_that_is_away() -> None:
    with pytest.raises(StoreUnavailable, match="Redis is away"):
        opened().check()


async def test_error_is_that_of_the_store() -> None:
    mine = Breaker("SQL", error=HistoryUnavailable)
    mine.open("it is gone")
    with pytest.raises(HistoryUnavailable, match="SQL is away"):
        mine.check()


async def test_answer_alone_does_not_bring_a_store_back() -> None:
    mine = opened()
    mine.answered()
    assert mine.is_away


async def test_store_that_is_back_counts_its_failures_anew() -> None:
    mine = Breaker("Redis")
    for _ in range(breaker.FAILURES):
        mine.failed()
    mine.close()
    mine.failed()
    assert not mine.is_away


async def test_turns_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    mine = Breaker("Redis")
    mine.close()
    for _ in range(2):
        mine.open("it is gone")
    for _ in range(2):
        mine.close()
    assert [record.message for record in caplog.records] == ["a store is away", "a store is back"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_those_who_wait_hear_of_both_turns() -> None:
    mine = Breaker("Redis")
    away = asyncio.create_task(mine.until_away())
    await asyncio.sleep(0)
    assert not away.done()
    mine.open("it is gone")
    await asyncio.wait_for(away, SOON)
    back = asyncio.create_task(mine.until_back())
    await asyncio.sleep(0)
    assert not back.done()
    mine.close()
    await asyncio.wait_for(back, SOON)


async def test_store_that_answers_again_is_prepared_and_then_back() -> None:
    mine, store = opened(), Store()
    was_away: list[bool] = []

    async def prepare() -> None:
        was_away.append(mine.is_away)
        await store.prepare()

    async with watched(mine, store.probe, prepare):
        await asyncio.wait_for(mine.until_back(), SOON)
    assert was_away == [True]
    assert store.told == ["answered", "prepared"]


async def test_store_has_to_answer_every_probe_for_a_while() -> None:
    mine, store = opened(back_seconds=breaker.PROBE_SECONDS * 1.2), Store(answers=(True, False, True))
    async with watched(mine, store.probe, store.prepare):
        await asyncio.wait_for(mine.until_back(), SOON)
    assert store.told == ["answered", "not answered", "answered", "answered", "prepared"]


async def test_store_that_goes_away_while_it_is_prepared_has_to_answer_again() -> None:
    mine, store = opened(), Store(prepared=(False, True))
    async with watched(mine, store.probe, store.prepare):
        await asyncio.wait_for(mine.until_back(), SOON)
    assert store.told == ["answered", "not prepared", "answered", "prepared"]


async def test_store_that_refuses_while_it_is_prepared_stays_away() -> None:
    mine, store = opened(), Store()
    refusals = [StoreRefused("full")]

    async def prepare() -> None:
        if refusals:
            assert mine.is_away
            raise refusals.pop()

    async with watched(mine, store.probe, prepare):
        await asyncio.wait_for(mine.until_back(), SOON)
    assert store.probes == 2


async def test_silent_store_is_found_out_without_any_call() -> None:
    mine, store = Breaker("Redis", BACK_SECONDS), Store(answers=(False,))
    silent_for(mine, breaker.SILENT_SECONDS)
    async with watched(mine, store.probe, store.prepare):
        await asyncio.wait_for(mine.until_away(), SOON)
    assert "prepared" not in store.told


async def test_store_that_needs_no_preparation_is_passed_by() -> None:
    mine, store = opened(), Store()
    async with watched(mine, store.probe, mine.pass_by):
        await asyncio.wait_for(mine.until_back(), SOON)
    mine.check()
