"""A backup of SQL: into whatever it is put, nothing is taken back, and out of any database come the same bytes."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sqlalchemy import event

from sidecar.adapters.sql.backup import SqlBackup, head, job_line, parsed
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import STAGES
from sidecar.backup import exported, imported
from sidecar.ports import ChangeJob
from sidecar.settings import Settings
from tests.adapters.databases import database, database_url, postgres
from tests.adapters.updates import NOON, push, update
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.servers.postgres import Postgres

__all__ = ["database", "database_url", "postgres"]

JOB_IDS = ("b", "B", "a-1", "a_1", "a.1", "A1", "a1", "job-10", "job-2", "job-2:x", "Zed", "zed")
"""Which sort in another order in English than by their bytes."""

STAGES_OF_ALL = ("load", "Load", "éclair", "zip")


def exact(job_id: str, *, attempts: int = 1, rows: int = 1) -> list[tuple[str, ChangeJob]]:
    """Return changes that bring a job to an attempt, in each of which all stages run and end."""
    changes: list[tuple[str, ChangeJob]] = []
    for attempt in range(1, attempts + 1):
        now = NOON + 100 * attempt
        for number, stage in enumerate((*STAGES_OF_ALL, "last")):
            told = update(job_id, attempt=attempt, stage=stage, items={"rows": rows + number})
            changes.append((job_id, push(told, now + number)))
    return changes


async def filled(database: Database, *changes: list[tuple[str, ChangeJob]]) -> None:
    """Apply changes one after another."""
    live = SqlLive(database, lambda: NOON)
    for job_id, change in (each for some in changes for each in some):
        await live.update(job_id, change)


async def taken(database: Database) -> bytes:
    """Return a backup of a database."""
    backup = SqlBackup(database)
    parts = [head()]
    async for jobs in backup.jobs():
        parts += [job_line(job) for job in jobs]
    return b"".join(parts + [lines async for lines in backup.others()])


async def put(database: Database, backup: bytes) -> None:
    """Put a backup into a database."""
    lines = [parsed(line, number) for number, line in enumerate(backup.splitlines(), 1)]
    for start in range(1, len(lines), 3):  # as small parts as can be told apart
        await SqlBackup(database).put(lines[start : start + 3])


async def reached(database: Database, job_id: str = "job-1") -> list[tuple[object, object, object]]:
    """Return what is told of each attempt of a job."""
    told = await SqlHistory(database).attempts(job_id)
    return [(each["attempt"], each["status"], each["items"]) for each in told]


async def stage_ends(database: Database, attempt: int) -> dict[str, float]:
    """Return when the stages of an attempt of a job ended."""
    async with database.reading() as connection:
        rows = (await connection.execute(STAGES.select().where(STAGES.c.attempt == attempt))).all()
    return {row.stage: row.finished_at for row in rows}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, timeout_seconds=5.0)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Database]:
    """Return another empty database."""
    async with opened(f"sqlite:///{tmp_path}/other.db") as database:
        yield database


def onward(attempt: int, stage: str, rows: int, now: float) -> list[tuple[str, ChangeJob]]:
    """Return the change that brings an attempt of a job on to a stage, and so ends the one before."""
    return [("job-1", push(update(attempt=attempt, stage=stage, items={"rows": rows}), now))]


async def test_older_backup_takes_nothing_back(database: Database) -> None:
    await filled(database, exact("job-1"), onward(2, "load", 10, NOON + 200), onward(2, "solve", 20, NOON + 210))
    older = await taken(database)
    await filled(database, onward(2, "store", 30, NOON + 220), onward(2, "check", 80, NOON + 230))
    newer = await taken(database)
    await put(database, older)
    assert await taken(database) == newer
    assert (await reached(database))[1] == (2, "running", {"rows": 80})
    assert await stage_ends(database, 2) == {"load": NOON + 210, "solve": NOON + 220, "store": NOON + 230}
    await filled(database, onward(3, "load", 1, NOON + 300))
    newest = await taken(database)
    for backup in (older, newer, older):
        await put(database, backup)
        assert await taken(database) == newest
    assert [each[2] for each in await reached(database)] == [{"rows": 5}, {"rows": 80}, {"rows": 1}]


async def test_newer_backup_brings_the_later_word_of_former_attempts(database: Database, other: Database) -> None:
    await filled(other, onward(1, "load", 10, NOON + 200), onward(1, "solve", 20, NOON + 210))
    await put(database, await taken(other))
    await filled(other, onward(1, "store", 30, NOON + 220), onward(2, "load", 1, NOON + 300))
    await put(database, await taken(other))
    assert await taken(database) == await taken(other)
    assert await reached(database) == [(1, "running", {"rows": 30}), (2, "running", {"rows": 1})]
    assert await stage_ends(database, 1) == {"load": NOON + 210, "solve": NOON + 220}


async def test_backup_put_twice_is_there_once(database: Database, other: Database) -> None:
    await filled(other, *(exact(job_id, attempts=2) for job_id in JOB_IDS))
    backup = await taken(other)
    await put(database, backup)
    await put(database, backup)
    assert await taken(database) == backup


async def test_from_sqlite_to_postgresql_and_back_every_byte_is_the_same(
    tmp_path: Path, other: Database, postgres: Postgres
) -> None:
    await postgres.ready()
    await filled(other, *(exact(job_id, attempts=2, rows=number) for number, job_id in enumerate(JOB_IDS)))
    first = await taken(other)
    async with opened(await postgres.database("backup")) as between:
        await put(between, first)
        second = await taken(between)
    async with opened(f"sqlite:///{tmp_path}/third.db") as last:
        await put(last, second)
        third = await taken(last)
    ids = [json.loads(line)["job_id"] for line in first.splitlines()[1 : 1 + len(JOB_IDS)]]
    assert ids == sorted(JOB_IDS)
    assert first == second == third


async def test_postgresql_is_asked_to_sort_by_bytes_whatever_its_language(postgres: Postgres) -> None:
    await postgres.ready()
    asked: list[str] = []
    async with opened(await postgres.database("backup")) as database:
        event.listen(database._engine.sync_engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
        await taken(database)
    orders = [re.sub(r"\s+", " ", statement.partition("ORDER BY")[2]).strip() for statement in asked]
    assert [order for order in orders if order] == [
        'jobs.job_id COLLATE "C"',
        'timeline.job_id COLLATE "C", timeline.number',
        'attempts.job_id COLLATE "C", attempts.attempt',
        'stage_durations.job_id COLLATE "C", stage_durations.attempt, stage_durations.stage COLLATE "C"',
    ]


async def test_export_ends_while_workers_go_on_pushing(tmp_path: Path, database_url: str) -> None:
    valkey = Valkey(tmp_path / "valkey")
    sidecar = Sidecar(tmp_path / "sidecar", redis_url=valkey.url, database_url=database_url)
    lines = [{"job_id": f"job-{n % 10}", "event": {"type": "note", "details": {"text": "x" * 100}}} for n in range(100)]
    settings = Settings(redis_url=valkey.url, database_url=database_url, data_dir=tmp_path / "export")

    async def push_on(client: ClientSession) -> None:
        while True:
            async with client.post(f"{sidecar.url}/v1/updates", json=lines) as response:
                assert response.status == 200

    try:
        for server in (valkey, sidecar):
            server.start()
            await server.ready()
        async with ClientSession() as client, asyncio.timeout(60):
            pushing = [asyncio.create_task(push_on(client)) for _ in range(3)]
            async with client.post(f"{sidecar.url}/v1/jobs/before", json={"current": 7}) as response:
                assert response.status == 200
            try:
                async with aclosing(exported(settings)) as parts:
                    backup = b"".join([part async for part in parts])
                assert not any(task.done() for task in pushing)
            finally:
                for task in pushing:
                    task.cancel()
                await asyncio.gather(*pushing, return_exceptions=True)
    finally:
        sidecar.kill()
        valkey.kill()
    empty = Settings(data_dir=tmp_path / "copy")
    assert await imported(empty, backup.splitlines()) == 11
    assert b'"job_id":"before"' in backup
