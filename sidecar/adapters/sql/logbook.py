"""What the watchdog remembers from one look to the next, in SQL: it is there when Redis has lost its data."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.tables import JOBS, WATCH
from sidecar.adapters.sql.writes import upsert
from sidecar.background.watchdog import Watch
from sidecar.core.stalls import Settling

ONLY = "watchdog"


class SqlLogbook:
    """`Logbook` over one row."""

    def __init__(self, database: Database) -> None:
        """Keep the database."""
        self._database = database

    async def read(self) -> Watch | None:
        """Return what was noted last; before the first note, the last word of any job; None without any."""
        async with self._database.reading() as connection:
            noted = await read_watch(connection)
            if noted is not None:
                return noted
            newest = (await connection.execute(select(func.max(JOBS.c.updated_at)))).scalar()
        return None if newest is None else Watch(newest)

    async def write(self, watch: Watch) -> None:
        """Note another."""
        row = {
            "name": ONLY,
            "evaluated_at": watch.evaluated_at,
            "settling_since": watch.settling.since,
            "settling_until": watch.settling.until,
        }
        async with self._database.writing() as connection:
            await upsert(connection, WATCH, [row])


async def read_watch(connection: AsyncConnection) -> Watch | None:
    """Return what was noted last, None if nothing was."""
    noted = (await connection.execute(select(WATCH).where(WATCH.c.name == ONLY))).one_or_none()
    return None if noted is None else Watch(noted.evaluated_at, Settling(noted.settling_since, noted.settling_until))
