"""How the tables come to be: made once, whoever begins; the rows of the first release stay; all equals the schema."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, inspect, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from sidecar.adapters.sql.archive import SqlArchive
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.tables import TABLES
from sidecar.core.errors import HistoryUnavailable
from sidecar.ports import Cursor
from tests.adapters.updates import NOON, push, update

FIRST_RELEASE = (
    """CREATE TABLE timeline (job_id VARCHAR(128) NOT NULL, number BIGINT NOT NULL, event_id VARCHAR NOT NULL,
    type VARCHAR(64) NOT NULL, at FLOAT NOT NULL, attempt INTEGER NOT NULL, details TEXT NOT NULL,
    PRIMARY KEY (job_id, number))""",
    "CREATE TABLE recorded (project VARCHAR(64) NOT NULL, position VARCHAR NOT NULL, PRIMARY KEY (project))",
    """INSERT INTO timeline VALUES ('job-1', 1, 'created', 'created', 1700000000.25, 1, '{"project":"uni"}'),
    ('job-1', 2, '1:started', 'started', 1700000001.5, 1, '{}'),
    ('job-1', 3, '1/w/2:event', 'warning', 1700000002, 1, '{"n":[1,2]}'),
    ('job-1', 4, '1:started', 'started', 1700000001.5, 1, '{}'),
    ('job-2', 1, 'created', 'created', 1700000003, 1, '{"project":"uni"}')""",
    "INSERT INTO recorded VALUES ('uni', '1700000003000-0')",
)

OPEN = """
import asyncio, sys
from sidecar.adapters.sql.database import Database

async def main():
    database = Database(sys.argv[1], timeout_seconds=20)
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    sys.stdin.readline()
    await database.open()
    await database.ping()
    await database.close()

asyncio.run(main())
"""
"""A process that opens a database as soon as it is told to."""


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """Return the same database as another process has it; it is not opened."""
    other = Database(database_url, timeout_seconds=5.0)
    yield other
    await other.close()


async def run(url: str, *statements: str) -> None:
    """Run statements without the product."""
    driver = "sqlite+aiosqlite" if url.startswith("sqlite") else "postgresql+asyncpg"
    engine = create_async_engine(make_url(url).set(drivername=driver))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


def looked_at(connection: Connection, metadata: MetaData) -> dict[str, Any]:
    """Return what a database has of the tables: columns, keys, constraints and indexes."""
    found = inspect(connection)
    return {
        name: {
            "columns": {
                column["name"]: (
                    column["type"].as_generic().__class__.__name__,
                    getattr(column["type"], "precision", None),
                    column["nullable"],
                    str(column["default"] or "").strip("'\"").partition("'::")[0],
                )
                for column in found.get_columns(name)
            },
            "order": [column["name"] for column in found.get_columns(name)],
            "key": found.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted((each["name"], each["column_names"]) for each in found.get_unique_constraints(name)),
            "indexes": sorted(
                (
                    each["name"],
                    each["column_names"],
                    bool(each["unique"]),
                    sorted(map(str, each["dialect_options"].values())),
                )
                for each in found.get_indexes(name)
                if "duplicates_constraint" not in each
            ),
        }
        for name in sorted(metadata.tables)
    }


def without_types(table: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a table but the types of its columns: SQLite keeps text of any type."""
    return {**table, "columns": {name: column[2:] for name, column in table["columns"].items()}}


async def made_by_migrations(database: Database) -> dict[str, Any]:
    async with database.reading() as connection:
        return await connection.run_sync(looked_at, TABLES)


async def dropped(database: Database) -> None:
    """Drop every table while it is open."""
    async with database.writing() as connection:
        for name in [*TABLES.tables, "alembic_version"]:
            await connection.execute(text(f"DROP TABLE {name}"))


async def test_opening_makes_the_tables(database: Database) -> None:
    async with database.reading() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert set(names) == {*TABLES.tables, "alembic_version"}


async def test_tables_equal_the_schema(database: Database) -> None:
    migrated = await made_by_migrations(database)
    async with database.writing() as connection:
        await connection.run_sync(TABLES.drop_all)
        await connection.run_sync(TABLES.create_all)
    created = await made_by_migrations(database)
    assert migrated.keys() == created.keys()
    for name in created:
        assert migrated[name] == created[name], name


async def test_opening_again_changes_nothing(database: Database, other: Database) -> None:
    live = SqlLive(database, lambda: NOON)
    await live.update("job-1", push(update(current=3)))
    before = await made_by_migrations(database)
    await database.open()
    await other.open()
    assert await made_by_migrations(other) == before
    stored = await SqlLive(other, lambda: NOON).get("job-1")
    assert stored is not None
    assert stored.view.current == 3


@pytest.mark.parametrize("turn", range(3))
async def test_sidecars_that_open_at_once_all_succeed(database_url: str, turn: int) -> None:
    del turn
    many = [Database(database_url, timeout_seconds=5.0) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in many))
    for each in many:
        await each.ping()
        await each.close()


async def test_processes_that_open_at_once_all_succeed(database_url: str) -> None:
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", OPEN, database_url, stdin=pipe, stdout=pipe, stderr=pipe
        )
        for _ in range(3)
    ]
    for each in processes:
        assert each.stdout is not None
        await asyncio.wait_for(each.stdout.readline(), 30)
    answers = await asyncio.wait_for(asyncio.gather(*(each.communicate(b"go\n") for each in processes)), 60)
    assert [(each.returncode, err.decode()) for each, (_, err) in zip(processes, answers, strict=True)] == [(0, "")] * 3


async def test_rows_of_the_first_release_stay(database_url: str, other: Database) -> None:
    await run(database_url, *FIRST_RELEASE)
    await other.open()
    history = SqlHistory(other)
    events = await history.timeline("job-1", 0, 10)
    assert [(each.number, each.id, each.type, each.at) for each in events] == [
        (1, "created", "created", 1_700_000_000.25),
        (2, "1:started", "started", 1_700_000_001.5),
        (3, "1/w/2:event", "warning", 1_700_000_002),
    ]
    assert (events[0].details, events[2].details) == ({"project": "uni"}, {"n": [1, 2]})
    assert len(await history.timeline("job-2", 0, 10)) == 1


async def test_recorder_of_the_first_release_is_gone_on_with(database_url: str, other: Database) -> None:
    await run(database_url, *FIRST_RELEASE)
    await other.open()
    recorded = await SqlArchive(other, lambda: NOON).recorded("uni")
    assert (recorded.position, recorded.cursor) == ("1700000003000-0", Cursor("", 0))


async def test_database_of_the_first_release_equals_the_schema(database_url: str, other: Database) -> None:
    await run(database_url, *FIRST_RELEASE)
    await other.open()
    migrated = await made_by_migrations(other)
    async with other.writing() as connection:
        await connection.run_sync(TABLES.drop_all)
        await connection.run_sync(TABLES.create_all)
    created = await made_by_migrations(other)
    for name in created:
        assert without_types(migrated[name]) == without_types(created[name]), name


async def test_interrupted_migration_leaves_the_database_as_it_was(database_url: str, other: Database) -> None:
    await run(database_url, *FIRST_RELEASE, "CREATE TABLE stage_durations (mine TEXT)")
    with pytest.raises(HistoryUnavailable):
        await other.open()
    await run(database_url, "DROP TABLE stage_durations")
    await other.open()
    assert len(await SqlHistory(other).timeline("job-1", 0, 10)) == 3


async def test_emptied_database_is_revived(database: Database) -> None:
    await dropped(database)
    with pytest.raises(HistoryUnavailable):
        await database.ping()
    await database.revive()
    live = SqlLive(database, lambda: NOON)
    await live.update("job-1", push(update(current=3)))
    assert await live.get("job-1") is not None


async def test_reviving_what_is_there_changes_nothing(database: Database) -> None:
    live = SqlLive(database, lambda: NOON)
    await live.update("job-1", push(update(current=3)))
    await database.revive()
    assert await live.get("job-1") is not None


async def test_database_whose_tables_stay_away_is_not_called_revived(database: Database) -> None:
    async with database.writing() as connection:
        for name in TABLES.tables:
            await connection.execute(text(f"DROP TABLE {name}"))
    with pytest.raises(HistoryUnavailable):
        await database.revive()
