"""What SQL refuses is a mistake of ours, and what it does not answer an outage."""

import pytest
from sqlalchemy import insert

from sidecar.adapters.failover.breaker import FAILURES, Breaker
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.tables import PROJECTS
from sidecar.core.errors import HistoryRefused, HistoryUnavailable
from tests.adapters.databases import database_url, postgres

__all__ = ["database_url", "postgres"]


async def test_what_sql_refuses_is_no_outage_and_is_told_with_its_traceback(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = Breaker("SQL", error=HistoryUnavailable)
    database = Database(database_url, 5.0, breaker)
    await database.open()
    row = {"project": "p", "epoch": "e", "rev": 1}
    async with database.writing() as connection:
        await connection.execute(insert(PROJECTS), row)
    for _ in range(FAILURES):
        with pytest.raises(HistoryRefused):
            async with database.writing() as connection:
                await connection.execute(insert(PROJECTS), row)
    assert not breaker.is_away
    assert database.takes_writes
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == FAILURES
    assert all(record.exc_info for record in told)
    await database.close()
