"""One cursor everywhere: whoever changes the transport and the sidecar at each event has missed nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from sidecar.app import serving
from sidecar.settings import Settings
from tests.running import push
from tests.servers.embedded import embedded

ROUNDS = 12
SECONDS = 10.0

Heard = tuple[str, int]
"""A cursor, and the count that came with it."""


@pytest.fixture
async def urls(tmp_path: Path) -> AsyncIterator[list[str]]:
    """Return the addresses of two sidecars that share a Valkey and a database."""
    async with AsyncExitStack() as stack:
        valkey = await stack.enter_async_context(embedded(tmp_path / "valkey"))
        shared = {"redis_url": valkey.url, "database_url": f"sqlite:///{tmp_path}/shared.db"}
        yield [
            (
                await stack.enter_async_context(
                    serving(Settings(listen_port=0, data_dir=tmp_path / name, **shared))  # type: ignore[arg-type]
                )
            ).url
            for name in ("one", "two")
        ]


async def by_stream(client: ClientSession, url: str, cursor: str, path: str = "/v1/jobs/job-1/events") -> Heard:
    """Resume as an EventSource does; return the first change that is told."""
    async with client.get(f"{url}{path}", headers={"Last-Event-ID": cursor}) as response:
        name, place = "", ""
        async for line in response.content:
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                place = value
            elif key == "data":
                assert name != "connected" or json.loads(value)["recovered"] is True, value
                if name == "progress":
                    return place, json.loads(value)["current"]
    raise AssertionError("the stream ended")


async def by_project_stream(client: ClientSession, url: str, cursor: str) -> Heard:
    """The same on the stream of the project."""
    return await by_stream(client, url, cursor, "/v1/events?project=default")


async def by_socket(client: ClientSession, url: str, cursor: str) -> Heard:
    """The same over WebSocket."""
    async with client.ws_connect(f"{url}/v1/ws") as ws:
        await ws.send_json({"watch": {"job_id": "job-1"}, "after": cursor})
        while True:
            told: dict[str, Any] = await ws.receive_json()
            assert told["event"] != "connected" or told["data"]["recovered"] is True, told
            if told["event"] == "progress":
                return told["cursor"], told["data"]["current"]


async def by_long_poll(client: ClientSession, url: str, cursor: str) -> Heard:
    """The same by a request that waits."""
    async with client.get(f"{url}/v1/jobs/job-1?after={cursor}&wait=9") as response:
        assert response.status == 200
        job = await response.json()
        return job["cursor"], job["current"]


TRANSPORTS: list[Callable[[ClientSession, str, str], Coroutine[None, None, Heard]]] = [
    by_stream,
    by_socket,
    by_long_poll,
    by_project_stream,
]


async def test_who_changes_transport_and_sidecar_at_each_event_misses_nothing(urls: list[str]) -> None:
    pushed_to, asked = cycle(urls[::-1]), cycle(urls)
    async with ClientSession() as client, asyncio.timeout(ROUNDS * SECONDS):
        cursor = (await push(client, urls[0], current=0))["cursor"]
        for number in range(1, ROUNDS + 1):
            ask, url = TRANSPORTS[number % len(TRANSPORTS)], next(asked)
            waiting = asyncio.create_task(ask(client, url, cursor))
            if number % 3:  # else what is asked for has happened before
                await asyncio.sleep(0)
            answer = await push(client, next(pushed_to), current=number)
            place, current = await waiting
            assert (place, current) == (answer["cursor"], number)
            cursor = place


async def test_who_was_away_for_some_changes_hears_the_newest_from_the_other_sidecar(urls: list[str]) -> None:
    async with ClientSession() as client:
        cursor = newest = (await push(client, urls[0], current=0))["cursor"]
        for number in range(1, 6):
            newest = (await push(client, urls[number % 2], current=number))["cursor"]
        for ask in TRANSPORTS:
            for url in urls:
                assert await asyncio.wait_for(ask(client, url, cursor), SECONDS) == (newest, 5)
