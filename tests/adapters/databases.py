"""Databases for tests: a SQLite file, and a real PostgreSQL that the tests of a process share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sidecar.adapters.sql.database import Database
from tests.servers.postgres import Postgres

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a running PostgreSQL."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=BACKENDS)
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server: Postgres = request.getfixturevalue("postgres")
    await server.ready()
    return await server.database("sidecar")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Return an open database."""
    database = Database(database_url, timeout_seconds=5.0)
    await database.open()
    yield database
    await database.close()
