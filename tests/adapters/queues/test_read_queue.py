"""What is asked for while a call is under way is read together in the next one, and nobody harms anybody else."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from sidecar.adapters.queues.read_queue import READS_A_CALL, READS_WAITING, ReadQueue
from sidecar.core.errors import HistoryUnavailable, Overloaded, StoreRefused, StoreUnavailable


@dataclass
class Slow:
    """A store that answers when it is told to, with what it has at the beginning of the call."""

    has: dict[str, int] = field(default_factory=dict)
    calls: list[Sequence[str]] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, keys: Sequence[str]) -> dict[str, int]:
        self.calls.append(keys)
        found = {key: self.has[key] for key in keys if key in self.has}
        await self.may_answer.wait()
        for key in keys:
            if key in self.errors:
                raise self.errors[key]
        return found


@pytest.fixture
def slow() -> Slow:
    """Return a store."""
    return Slow()


@pytest.fixture
def queue(slow: Slow) -> ReadQueue[str, int]:
    """Return a queue before it."""
    return ReadQueue(slow.read, timeout_seconds=5.0)


async def asking(queue: ReadQueue[str, int], *keys: str) -> list[asyncio.Task[int | None]]:
    """Ask for each, and return when all have been asked for."""
    tasks = [asyncio.create_task(queue.get(key)) for key in keys]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_is_asked_for_during_a_call_is_read_in_one(slow: Slow, queue: ReadQueue[str, int]) -> None:
    slow.has = {"a": 1, "c": 3}
    first = await asking(queue, "a")
    rest = await asking(queue, "b", "c", "b", "a")
    slow.may_answer.set()
    assert await asyncio.gather(*first, *rest) == [1, None, 3, None, 1]
    assert slow.calls == [["a"], ["b", "c", "a"]]


async def test_nobody_is_told_what_was_read_before_they_asked(slow: Slow, queue: ReadQueue[str, int]) -> None:
    slow.has = {"a": 1}
    [early] = await asking(queue, "a")
    slow.has = {"a": 2}
    [late] = await asking(queue, "a")
    slow.may_answer.set()
    assert (await early, await late) == (1, 2)


async def test_a_call_has_a_bound(slow: Slow, queue: ReadQueue[str, int]) -> None:
    slow.may_answer.set()
    await asyncio.gather(*(queue.get(f"k{number}") for number in range(3 * READS_A_CALL)))
    assert [len(call) for call in slow.calls] == [READS_A_CALL] * 3


async def test_what_nobody_waits_for_any_more_is_not_read(slow: Slow, queue: ReadQueue[str, int]) -> None:
    first = await asking(queue, "a")
    gone, stays = await asking(queue, "b", "c")
    gone.cancel()
    slow.may_answer.set()
    await asyncio.gather(*first, stays)
    assert slow.calls == [["a"], ["c"]]


async def test_who_leaves_during_the_call_takes_nobody_along(slow: Slow, queue: ReadQueue[str, int]) -> None:
    slow.has = {"b": 2}
    first = await asking(queue, "a")
    gone, stays = await asking(queue, "b", "b")
    slow.may_answer.set()
    await asyncio.gather(*first)
    gone.cancel()
    assert await stays == 2


@pytest.mark.parametrize("error", [StoreRefused("written by a newer sidecar"), ValueError("no job at all")])
async def test_what_cannot_be_read_harms_nothing_beside_it(
    slow: Slow, queue: ReadQueue[str, int], error: Exception
) -> None:
    slow.has, slow.errors = {"b": 2, "d": 4}, {"c": error}
    slow.may_answer.set()
    answers = await asyncio.gather(*await asking(queue, "a", "b", "c", "d"), return_exceptions=True)
    assert answers == [None, 2, error, 4]


async def test_who_waits_for_a_store_that_is_away_waits_once(slow: Slow, queue: ReadQueue[str, int]) -> None:
    slow.errors = {"a": StoreUnavailable("away")}
    first = await asking(queue, "a")
    rest = await asking(queue, *(f"k{number}" for number in range(3 * READS_A_CALL)))
    slow.may_answer.set()
    answers = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert slow.calls == [["a"]]
    slow.has = {"b": 2}
    assert await queue.get("b") == 2


async def test_who_has_waited_too_long_is_told_so(slow: Slow) -> None:
    queue = ReadQueue(slow.read, timeout_seconds=0.01, error=HistoryUnavailable)
    first, second = [*await asking(queue, "a"), *await asking(queue, "b")]
    await asyncio.sleep(0.02)
    slow.may_answer.set()
    assert await first is None
    with pytest.raises(HistoryUnavailable, match="too long for its turn"):
        await second


async def test_more_than_can_wait_are_told_to_come_back(slow: Slow, queue: ReadQueue[str, int]) -> None:
    first = await asking(queue, "a")
    rest = await asking(queue, *["b"] * READS_WAITING)
    with pytest.raises(Overloaded):
        await queue.get("c")
    slow.may_answer.set()
    assert set(await asyncio.gather(*first, *rest)) == {None}
    assert await queue.get("c") is None


async def test_at_the_end_of_everything_nobody_is_left_waiting(queue: ReadQueue[str, int]) -> None:
    waiting = [*await asking(queue, "a"), *await asking(queue, "b")]
    [reading] = [task for task in asyncio.all_tasks() if task.get_name() == "read-together"]
    reading.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2
