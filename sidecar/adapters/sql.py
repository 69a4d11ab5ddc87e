"""History in SQL: the timeline of every job, for as long as the job is not deleted. An embedded SQLite."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, Text, delete, event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sidecar.core.errors import StartError, StoreUnavailable
from sidecar.core.job import Event
from sidecar.ports import Line

TIMEOUT_SECONDS = 5.0

TABLES = MetaData()
TIMELINE = Table(
    "timeline",
    TABLES,
    Column("job_id", String(128), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("event_id", String, nullable=False),
    Column("type", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("details", Text, nullable=False),
)
RECORDED = Table(
    "recorded",
    TABLES,
    Column("project", String(64), primary_key=True),
    Column("position", String, nullable=False),
)


class SqliteHistory:
    """`History` in a SQLite file (WAL, every commit synced); `open` before use, `close` after."""

    def __init__(self, path: Path) -> None:
        """Prepare the engine; nothing is opened yet."""
        self._path = path
        self._engine: AsyncEngine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=2, max_overflow=0)
        event.listen(self._engine.sync_engine, "connect", _set_up)
        event.listen(self._engine.sync_engine, "begin", _begin)

    async def open(self) -> None:
        """Create what is missing; raises `StartError` when the file cannot be used."""
        try:
            async with self._connected() as connection:
                await connection.run_sync(TABLES.create_all)
        except StoreUnavailable as error:
            await self.close()
            raise StartError(f"the history in {self._path} cannot be used: {error}") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the file can be read."""
        async with self._connected() as connection:
            await connection.execute(select(RECORDED.c.project).limit(1))

    async def position(self, project: str) -> str | None:
        """Return up to where the project's outbox is recorded."""
        async with self._connected() as connection:
            found = await connection.execute(select(RECORDED.c.position).where(RECORDED.c.project == project))
            return found.scalar_one_or_none()

    async def record(self, project: str, lines: Sequence[Line], position: str) -> None:
        """Keep lines and the position after them in one transaction; a line recorded before is left as it is."""
        row = {"project": project, "position": position}
        async with self._connected() as connection:
            for is_deletion, told in groupby(lines, lambda line: line.event.type == "deleted"):
                if is_deletion:
                    gone = [line.job_id for line in told]
                    await connection.execute(delete(TIMELINE).where(TIMELINE.c.job_id.in_(gone)))
                else:
                    await connection.execute(insert(TIMELINE).on_conflict_do_nothing(), [_row(line) for line in told])
            moved = insert(RECORDED).values(row).on_conflict_do_update(index_elements=["project"], set_=row)
            await connection.execute(moved)

    async def read(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's recorded events numbered above `after`, oldest first."""
        mine = select(TIMELINE).where(TIMELINE.c.job_id == job_id, TIMELINE.c.number > after)
        async with self._connected() as connection:
            found = await connection.execute(mine.order_by(TIMELINE.c.number).limit(limit))
            return [
                Event(row.event_id, row.number, row.type, row.at, row.attempt, json.loads(row.details)) for row in found
            ]

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction with a deadline, and turn the library's errors into ours."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            told = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise StoreUnavailable(f"the history does not answer: {told or type(error).__name__}") from error


def _row(line: Line) -> dict[str, Any]:
    told = line.event
    return {
        "job_id": line.job_id,
        "number": told.number,
        "event_id": told.id,
        "type": told.type,
        "at": told.at,
        "attempt": told.attempt,
        "details": json.dumps(dict(told.details), ensure_ascii=False, separators=(",", ":")),
    }


def _set_up(connection: Any, _: object) -> None:
    """Let SQLAlchemy alone begin transactions: the driver would do so only before the first write."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
