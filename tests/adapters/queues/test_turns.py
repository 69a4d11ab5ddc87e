"""So many calls go to a store at a time; the rest wait, within bounds, and nobody takes the store to be away."""

import asyncio
import time

import pytest
from sqlalchemy import text

from sidecar.adapters.failover.breaker import Breaker
from sidecar.adapters.queues.turns import CALLS_WAITING, Turns
from sidecar.adapters.sql.database import READERS, Database
from sidecar.core.errors import HistoryBusy, HistoryUnavailable, Overloaded


class Crowd:
    """Takes turns, and notes how many of it were inside at most."""

    def __init__(self, turns: Turns) -> None:
        """Begin with nobody inside."""
        self.turns = turns
        self.may_leave = asyncio.Event()
        self.inside = self.most = 0

    async def come(self) -> None:
        async with self.turns.taken():
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.may_leave.wait()
            self.inside -= 1


async def test_so_many_are_inside_at_a_time() -> None:
    crowd = Crowd(Turns(3, call_seconds=5.0))
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(crowd.come())
        await asyncio.sleep(0.01)
        crowd.may_leave.set()
    assert crowd.most == 3


async def test_who_gets_no_turn_in_time_is_told_so() -> None:
    crowd = Crowd(Turns(1, call_seconds=0.01, error=HistoryBusy))
    first = asyncio.create_task(crowd.come())
    await asyncio.sleep(0)
    with pytest.raises(HistoryBusy, match=r"within 0\.05 s"):
        await crowd.come()
    crowd.may_leave.set()
    await first
    await crowd.come()  # the turn that was not taken is not lost


async def test_a_turn_is_given_back_by_who_fails_and_not_kept_by_who_leaves() -> None:
    turns = Turns(1, call_seconds=5.0)
    crowd = Crowd(turns)
    first, waiting = asyncio.create_task(crowd.come()), asyncio.create_task(crowd.come())
    await asyncio.sleep(0)
    waiting.cancel()
    crowd.may_leave.set()
    await first
    with pytest.raises(ValueError, match="mine"):
        async with turns.taken():
            raise ValueError("mine")
    async with asyncio.timeout(1):
        await crowd.come()


async def test_more_than_can_wait_are_told_to_come_back() -> None:
    crowd = Crowd(Turns(1, call_seconds=5.0))
    tasks = [asyncio.create_task(crowd.come()) for _ in range(1 + CALLS_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await crowd.come()
    crowd.may_leave.set()
    await asyncio.gather(*tasks)
    await crowd.come()


async def test_a_crowd_is_served_in_turn_and_sql_is_not_taken_to_be_away(database_url: str) -> None:
    breaker = Breaker("SQL", error=HistoryUnavailable)
    database = Database(database_url, 1.0, breaker)
    await database.open()

    async def read() -> None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))
            await asyncio.sleep(0.25)

    began = time.monotonic()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        crowd = [tasks.create_task(read()) for _ in range(6 * READERS)]
        await asyncio.sleep(0.1)
        await database.ping()  # whoever looks whether it is there need not wait
        async with database.writing() as connection:
            await connection.execute(text("SELECT 1"))
        assert not all(task.done() for task in crowd)
    assert time.monotonic() > began + 1.0  # the last ones have waited for longer than a call may take
    assert not breaker.is_away
    await database.close()


async def test_who_waits_for_sql_that_goes_away_does_not_wait_for_it_again(database_url: str) -> None:
    breaker = Breaker("SQL", error=HistoryUnavailable)
    database = Database(database_url, 5.0, breaker)
    await database.open()
    may_leave = asyncio.Event()

    async def hold() -> None:
        async with database.reading():
            await may_leave.wait()

    async def read() -> None:
        async with database.reading():
            pytest.fail("nobody should ask")

    async with asyncio.timeout(10):
        holding = [asyncio.create_task(hold()) for _ in range(READERS)]
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        breaker.open("it is cut off")
        may_leave.set()
        with pytest.raises(HistoryUnavailable, match="SQL is away"):
            await waiting
        await asyncio.gather(*holding)
    await database.close()
