"""The connection to SQL: an engine, a deadline on everything, our own errors, and the migrations."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from math import inf
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, delete, event, insert, make_url, select, text
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sidecar.adapters.failover.breaker import Breaker
from sidecar.adapters.queues.turns import Turns
from sidecar.adapters.sql.tables import RECORDED, WATCH
from sidecar.core.errors import HistoryBusy, HistoryRefused, HistoryUnavailable, StoreUnavailable

logger = logging.getLogger(__name__)

READERS = 4
WRITERS = 2
CONNECTIONS = READERS + WRITERS + 1
"""One is for whoever looks whether SQL is there, however busy it is."""

LOCKED = "database is locked"
AGAIN_SECONDS = 0.05

MIGRATION_SECONDS = 60.0
MIGRATION_LOCK = 0x5EC0DE
"""Taken in PostgreSQL while migrating, so that of two sidecars that start at once one waits for the other."""

GRACE_SECONDS = 0.5
"""What a call may take beyond its deadline until it is given up altogether."""

READING = "sidecar_is_reading"

TRIAL = "trial"
"""Names the row that is written only to see whether it can be."""

TRIAL_SECONDS = 2.0
"""Who has tried to write in so short a time knows better: there may be room for a small row alone."""


class Database:
    """A SQLite file or a PostgreSQL database; `open` before use, `close` after.

    Two sidecars may open the same at once.
    """

    def __init__(self, url: str, timeout_seconds: float, breaker: Breaker | None = None) -> None:
        """Prepare the engine for `sqlite:///PATH` or `postgresql://...`; nothing is opened yet."""
        self.timeout_seconds = timeout_seconds
        self._breaker = breaker
        self._engine = _engine(url, timeout_seconds)
        self._reads = Turns(READERS, timeout_seconds, HistoryBusy)
        self._writes = Turns(WRITERS, timeout_seconds, HistoryBusy)
        self._tried_at = -inf
        self.takes_writes = True
        """Whether the last write was taken: a full disk is read from as ever, and a replica too."""

    @property
    def is_postgresql(self) -> bool:
        """Which of the two it is."""
        return self._engine.dialect.name == "postgresql"

    async def open(self) -> None:
        """Create or migrate what has to be; raises `StoreUnavailable`.

        Several that open a new SQLite at once get in each other's way when they switch it to WAL, for which it waits
        for nobody: those try again.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.timeout_seconds
        while True:
            try:
                return await self._migrated(MIGRATION_SECONDS)
            except HistoryUnavailable as error:
                if LOCKED not in str(error) or clock() > deadline:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)

    async def _migrated(self, seconds: float) -> None:
        async with self._connected(seconds, is_reading=False) as connection:
            if self.is_postgresql:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            await connection.run_sync(_migrate)

    async def revive(self) -> None:
        """Raise `StoreUnavailable` unless the tables can be read, made anew if need be.

        If the last write was not taken, and nobody has tried since, a small one is: nobody may dare to before one is.
        """
        try:
            await self.ping()
        except HistoryUnavailable:
            await self._migrated(self.timeout_seconds)
            await self.ping()
        if not self.takes_writes and time.monotonic() - self._tried_at > TRIAL_SECONDS:
            with suppress(HistoryUnavailable):
                await self._try_to_write()

    async def _try_to_write(self) -> None:
        async with self._connected(self.timeout_seconds, is_reading=False) as connection:
            await connection.execute(delete(WATCH).where(WATCH.c.name == TRIAL))
            now = time.time()
            row = {"name": TRIAL, "evaluated_at": now, "settling_since": now, "settling_until": now}
            await connection.execute(insert(WATCH).values(row))
        self._wrote()

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def ping(self) -> None:
        """Raise `StoreUnavailable` unless the tables can be read."""
        async with self._connected(self.timeout_seconds, is_reading=True) as connection:
            await connection.execute(select(RECORDED.c.project).limit(1))

    @asynccontextmanager
    async def reading(self, seconds: float | None = None) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that only reads; it may take so many seconds, else as long as any call."""
        async with self._guarded(seconds or self.timeout_seconds, is_reading=True) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, seconds: float | None = None) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that writes; it may take so many seconds, else as long as any call."""
        async with self._guarded(seconds or self.timeout_seconds, is_reading=False) as connection:
            yield connection

    @asynccontextmanager
    async def _guarded(self, seconds: float, *, is_reading: bool) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction when it is this call's turn; only from then on it counts how long SQL takes."""
        self._check()
        async with (self._reads if is_reading else self._writes).taken():
            self._check()
            try:
                async with self._connected(seconds, is_reading=is_reading) as connection:
                    yield connection
            except HistoryRefused:
                raise
            except StoreUnavailable as error:
                if self._breaker is not None:
                    self._breaker.failed()
                if not is_reading:
                    self._failed_to_write(error)
                raise
        if self._breaker is not None:
            self._breaker.answered()
        if not is_reading:
            self._wrote()

    def _wrote(self) -> None:
        if not self.takes_writes:
            self.takes_writes = True
            logger.warning("SQL takes writes again")

    def _failed_to_write(self, error: StoreUnavailable) -> None:
        self._tried_at = time.monotonic()
        if self.takes_writes:
            self.takes_writes = False
            logger.warning("SQL takes no writes", extra={"fields": {"error": str(error)}})

    def _check(self) -> None:
        if self._breaker is not None:
            self._breaker.check()

    @asynccontextmanager
    async def _connected(self, seconds: float, *, is_reading: bool) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction with a deadline, and turn the library's errors into ours."""
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS), self._engine.connect() as connection:
                await connection.execution_options(**{READING: is_reading})
                async with _cut_after(seconds, connection), connection.begin():
                    yield connection
        except TimeoutError as error:
            raise HistoryUnavailable(f"SQL did not answer within {seconds:g} s") from error
        except (IntegrityError, DataError) as error:
            logger.exception("SQL refuses what it is told, by a mistake of ours")
            raise HistoryRefused("SQL refuses what it is told") from error
        except (SQLAlchemyError, OSError) as error:
            told = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise HistoryUnavailable(f"SQL is away: {told or type(error).__name__}") from error


@asynccontextmanager
async def _cut_after(seconds: float, connection: AsyncConnection) -> AsyncIterator[None]:
    """Cut the line to a PostgreSQL that takes too long.

    What waits for it fails at once; cancelled, it would be asked to say good-bye, and waited for once more.
    """
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, asyncpg.Connection):
        yield
        return
    timer = asyncio.get_running_loop().call_later(seconds, driver.terminate)
    try:
        yield
    finally:
        timer.cancel()


def _engine(url: str, timeout_seconds: float) -> AsyncEngine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        query = dict(parsed.query)
        mode = query.pop("sslmode", None)  # asyncpg calls it `ssl`
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg", query=query | ({"ssl": mode} if mode else {})),
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=timeout_seconds,
            connect_args={"timeout": timeout_seconds},
        )
    engine = create_async_engine(
        parsed.set(drivername="sqlite+aiosqlite"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=timeout_seconds,
        connect_args={"timeout": timeout_seconds},
    )
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _set_up(connection: Any, _: object) -> None:
    """Let SQLAlchemy alone begin transactions: the driver would do so only before the first write."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take SQLite's one write lock at once: a transaction that reads first could not take it later."""
    is_reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(files("sidecar.adapters.sql") / "migrations"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
