"""What several of the fault tests need."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.servers.postgres import Postgres

SOURCE = Path(__file__).with_name("slow_fsync.c")


@pytest.fixture(scope="session")
def slow_fsync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that, preloaded, makes fsync slow."""
    library = tmp_path_factory.mktemp("preload") / "slow_fsync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", library, SOURCE], check=True)  # noqa: S603, S607 - ours
    return library


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Return a running PostgreSQL."""
    server = Postgres()
    try:
        server.start()
        asyncio.run(server.ready())
        yield server
    finally:
        server.remove()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """Return a client without a bound on its connections."""
    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        yield client
