"""A line to Redis that is open and on which nothing arrives: found, opened anew, and nobody has missed anything."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession

from sidecar.app import serving
from sidecar.settings import Settings
from tests.faults.patience import until_found
from tests.running import push
from tests.servers.embedded import embedded

FOUND_SECONDS = 60.0


class Muffler:
    """Passes connections on to a server; while `is_quiet`, those that subscribe hear nothing back."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._may_speak = asyncio.Event()
        self._may_speak.set()

    def quieten(self) -> None:
        """Let subscribers hear nothing."""
        self._may_speak.clear()

    def speak(self) -> None:
        """Let them hear again."""
        self._may_speak.set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until either side ends."""
        there_reader, there_writer = await asyncio.open_unix_connection(self._path)
        subscribes = asyncio.Event()
        ways = [
            asyncio.create_task(self._ask(reader, there_writer, subscribes)),
            asyncio.create_task(self._answer(there_reader, writer, subscribes)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for side in (writer, there_writer):
            side.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subscribes: asyncio.Event) -> None:
        while data := await reader.read(65_536):
            if b"\r\nSUBSCRIBE\r\n" in data:
                subscribes.set()
            writer.write(data)
            await writer.drain()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subscribes: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if subscribes.is_set():
                await self._may_speak.wait()
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def muffler(tmp_path: Path) -> AsyncIterator[tuple[Muffler, str]]:
    """Return what stands between the sidecar and a Valkey, and its URL."""
    async with embedded(tmp_path / "valkey") as valkey:
        muffler = Muffler(valkey.url.removeprefix("unix://"))
        server = await asyncio.start_server(muffler, "127.0.0.1", 0)
        yield muffler, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


async def told(response: ClientResponse, wanted: int) -> int:
    """Read a stream until it tells of a count of at least `wanted`; return that count."""
    async for line in response.content:
        if line.startswith(b"data: ") and (json.loads(line[6:]).get("current") or 0) >= wanted:
            return int(json.loads(line[6:])["current"])
    raise AssertionError("the stream ended")


async def test_deaf_line_is_found_by_its_probe_and_everybody_is_brought_up_to_date(
    tmp_path: Path, muffler: tuple[Muffler, str]
) -> None:
    between, redis_url = muffler
    settings = Settings(data_dir=tmp_path, listen_port=0, redis_url=redis_url)
    async with ClientSession() as client, serving(settings) as served:

        async def ready() -> int:
            async with client.get(f"{served.url}/readyz") as response:
                return response.status

        async def is_unready() -> bool:
            return await ready() == 503

        async def is_ready() -> bool:
            return await ready() == 200

        await push(client, served.url, current=1)
        async with (
            client.get(f"{served.url}/v1/jobs/job-1/events") as one,
            client.get(f"{served.url}/v1/events?project=default") as everything,
        ):
            assert [await told(each, 1) for each in (one, everything)] == [1, 1]
            between.quieten()
            await push(client, served.url, current=2)
            await until_found(is_unready, FOUND_SECONDS, lambda: "the probe found the line deaf")
            await push(client, served.url, current=3)
            between.speak()
            async with asyncio.timeout(FOUND_SECONDS):
                assert [await told(each, 3) for each in (one, everything)] == [3, 3]
            await until_found(is_ready, FOUND_SECONDS, lambda: "the line listens again")
