"""The history over a real SQLite file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.adapters.redis_link import RedisLink
from sidecar.adapters.redis_live import RedisLive
from sidecar.adapters.redis_outbox import RedisOutbox
from sidecar.adapters.sql import SqliteHistory
from sidecar.background import record
from sidecar.core.errors import StartError, StoreUnavailable
from sidecar.core.job import Event
from sidecar.history import Line
from tests.adapters.updates import finish, push, update


def line(number: int, kind: str = "progress", job_id: str = "job-1") -> Line:
    return Line(f"{number}-0", job_id, Event(f"id-{number}", number, kind, 1.5, 1, {"text": "é\n'"}))


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    history = SqliteHistory(tmp_path / "history.db")
    await history.open()
    yield history
    await history.close()


async def test_what_is_recorded_is_read_back_exactly(history: SqliteHistory) -> None:
    lines = [line(number) for number in range(1, 6)]
    await history.record("p", lines, "5-0")
    assert await history.read("job-1", 0, 100) == [one.event for one in lines]
    assert [event.number for event in await history.read("job-1", 2, 2)] == [3, 4]
    assert await history.read("job-2", 0, 100) == []


async def test_recording_again_changes_nothing(history: SqliteHistory) -> None:
    for _ in range(2):
        await history.record("p", [line(1), line(2)], "2-0")
    assert len(await history.read("job-1", 0, 100)) == 2


async def test_position_moves_with_the_lines_or_not_at_all(history: SqliteHistory, tmp_path: Path) -> None:
    assert await history.position("p") is None
    await history.record("p", [line(1)], "1-0")
    assert await history.position("p") == "1-0"
    with sqlite3.connect(tmp_path / "history.db") as other:
        other.execute("create trigger full before insert on timeline begin select raise(abort, 'disk is full'); end")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await history.record("p", [line(2)], "2-0")
    assert await history.position("p") == "1-0"
    assert await history.position("other") is None


async def test_deleted_event_forgets_what_came_before_it(history: SqliteHistory) -> None:
    await history.record("p", [line(1), line(2), line(3, "deleted"), line(1, "created")], "4-0")
    assert [event.type for event in await history.read("job-1", 0, 100)] == ["created"]


async def test_history_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        history = SqliteHistory(tmp_path / "history.db")
        await history.open()
        await history.record("p", [line(1)], "1-0")
        assert len(await history.read("job-1", 0, 100)) == 1
        await history.close()


async def test_concurrent_records_all_count(history: SqliteHistory) -> None:
    await asyncio.gather(*(history.record(f"p{n}", [line(n, job_id=f"job-{n}")], f"{n}-0") for n in range(1, 21)))
    assert [await history.position(f"p{n}") for n in range(1, 21)] == [f"{n}-0" for n in range(1, 21)]


async def test_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"this is no database, whatever it says" * 100)
    with pytest.raises(StartError, match=r"history\.db"):
        await SqliteHistory(tmp_path / "history.db").open()


class EnoughError(Exception):
    """Ends a loop that would go on for ever."""


async def test_recorder_moves_everything_from_the_outbox(
    store: RedisLive, link: RedisLink, history: SqliteHistory
) -> None:
    for project in ("one", "two"):
        await store.update(project, push(update(project, project=project, stage="load")))
        await store.update(project, finish(project))
    expected = {project: await store.timeline(project, 0, 100) for project in ("one", "two")}

    async def stop(seconds: float) -> None:
        assert seconds > 0
        raise EnoughError

    for _ in range(2):
        with pytest.raises(EnoughError):
            await record(RedisOutbox(link), history, sleep=stop)
    for project, events in expected.items():
        assert events
        assert await history.read(project, 0, 100) == events
