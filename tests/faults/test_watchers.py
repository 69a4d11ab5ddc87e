"""That watchers tell what they see: against a server of the test's own that streams what it is told to stream."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.faults.ledger import Ledger
from tests.faults.patience import until
from tests.faults.watchers import Origin, Watcher, Watchers

SECONDS = 10.0
Row = dict[str, Any]


def row(version: int, percent: float = 7.0, status: str = "running") -> Row:
    return {
        "job_id": "job-1",
        "attempt": 1,
        "version": version,
        "percent": percent,
        "status": status,
        "cursor": f"c-{version}",
    }


async def seen(session: ClientSession, lives: Callable[[], int], *connections: list[Row]) -> list[str]:
    """Let a watcher be shown these rows, connection by connection, and return what it found wrong."""
    async with streaming(connections) as url:
        watcher = Watcher("w", Ledger(), session, Origin(url, lives))
        async with Watchers([watcher]):
            wanted = sum(map(len, connections))
            await until(lambda: watcher.seen["progress"] >= wanted, SECONDS, "all is seen")
    return watcher.violations


@asynccontextmanager
async def streaming(connections: tuple[list[Row], ...]) -> AsyncIterator[str]:
    left = iter(connections)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        rows = next(left, None)
        for each in rows or ():
            await response.write(f"event: progress\ndata: {json.dumps(each)}\n\n".encode())
        if rows is None:
            await asyncio.sleep(SECONDS)
        return response

    application = web.Application()
    application.router.add_get("/v1/events", stream)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    ("connections", "expected"),
    [
        (([row(1), row(2)], [row(2), row(3)]), None),
        (([row(2), row(1)],), "version 1 after 2"),
        (([row(2)], [row(1)]), "version 1 after 2"),
        (([row(1, 8.0)], [row(2, 7.0)]), "7.0 percent after 8.0"),
    ],
)
async def test_watcher_tells_of_a_job_that_goes_back(
    session: ClientSession, connections: tuple[list[Row], ...], expected: str | None
) -> None:
    wrong = await seen(session, lambda: 1, *connections)
    assert len(wrong) == (expected is not None), wrong
    assert expected is None or expected in wrong[0]


async def test_sidecar_that_has_begun_anew_may_show_an_older_version_but_no_lower_percent(
    session: ClientSession,
) -> None:
    lives = itertools.count(1)
    assert await seen(session, lambda: next(lives), [row(2)], [row(1)]) == []
    assert len(await seen(session, lambda: next(lives), [row(2, 8.0)], [row(1, 7.0)])) == 1
