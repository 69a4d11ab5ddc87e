"""A Chromium, and a sidecar, that all browser tests of one process share; each test has pages of its own.

These tests run in one event loop, as a browser lives in one. A fixture of a module beside this one that is a
coroutine says so too: `@pytest_asyncio.fixture(loop_scope="session")`.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.chromium import chromium
from tests.browser.looks import DARK, LIGHT, LOOKS, NARROW, Look
from tests.browser.program import Deployment
from tests.browser.troubles import Troubles

HERE = Path(__file__).parent
WAIT_MILLISECONDS = 10_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Return a browser; a test that wants a page takes `page` or `contexts`."""
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sidecar(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """Return a sidecar that is shared: a test keeps to a `project` of its own, and lets it live."""
    deployment = await Deployment(tmp_path_factory.mktemp("sidecar") / "home").up()
    yield deployment
    deployment.kill()


@pytest.fixture
def project() -> str:
    """Return the name of a project that no other test uses."""
    return f"p-{uuid4().hex[:12]}"


class Contexts:
    """Opens browser contexts (a profile each: cookies, storage, shared workers) and closes them at the end."""

    def __init__(self, browser: Browser, troubles: Troubles) -> None:
        self._browser = browser
        self._troubles = troubles
        self._opened: list[BrowserContext] = []

    async def open(self, look: Look = LIGHT) -> BrowserContext:
        """Open a context whose pages have this look."""
        context = await self._browser.new_context(
            color_scheme=look.color_scheme,
            viewport={"width": look.width, "height": look.height},
            reduced_motion="no-preference",
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        context.set_default_timeout(WAIT_MILLISECONDS)
        self._troubles.watch(context)
        self._opened.append(context)
        return context

    async def page(self, look: Look = LIGHT) -> Page:
        """Open an empty page in a context of its own."""
        context = await self.open(look)
        return await context.new_page()

    async def close(self) -> None:
        """Close all of them."""
        while self._opened:
            await self._opened.pop().close()


@pytest.fixture
def troubles() -> Troubles:
    """Return what has gone wrong in the pages of this test, to `expect` what must."""
    return Troubles()


@pytest_asyncio.fixture(loop_scope="session")
async def contexts(browser: Browser, troubles: Troubles) -> AsyncIterator[Contexts]:
    """Return what opens contexts and pages; at the end nothing unexpected may have gone wrong in any of them."""
    opened = Contexts(browser, troubles)
    yield opened
    await opened.close()
    assert not troubles.unexpected(), "\n".join(troubles.unexpected())


@pytest_asyncio.fixture(loop_scope="session")
async def own_sidecar(tmp_path: Path, contexts: Contexts) -> AsyncIterator[Deployment]:
    """Return an empty sidecar of this test alone, which it may kill and restart."""
    deployment = await Deployment(tmp_path / "home").up()
    yield deployment
    await contexts.close()  # pages go first: they would complain of its end
    deployment.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def page(contexts: Contexts) -> Page:
    """Return an empty page, light and wide."""
    return await contexts.page(LIGHT)


@pytest_asyncio.fixture(loop_scope="session")
async def dark_page(contexts: Contexts) -> Page:
    """Return an empty page whose reader prefers the dark."""
    return await contexts.page(DARK)


@pytest_asyncio.fixture(loop_scope="session")
async def narrow_page(contexts: Contexts) -> Page:
    """Return an empty page on a small screen."""
    return await contexts.page(NARROW)


@pytest.fixture(params=LOOKS, ids=lambda look: look.name)
def look(request: pytest.FixtureRequest) -> Look:
    """Return each look in turn."""
    found = request.param
    assert isinstance(found, Look)
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def any_page(contexts: Contexts, look: Look) -> Page:
    """Return an empty page of each look in turn."""
    return await contexts.page(look)
