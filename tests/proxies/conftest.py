"""One sidecar for the tests of each process here; a test keeps to jobs of its own."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.browser.program import Deployment


@pytest.fixture(scope="session")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return a running sidecar that no test ends."""
    deployment = Deployment(tmp_path_factory.mktemp("sidecar") / "home")
    asyncio.run(deployment.up())
    yield deployment
    deployment.kill()
