"""The line that faults are made with."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.faults.proxy import HOST, Proxy

SECONDS = 10.0
SHORT_SECONDS = 0.2


@dataclass
class Echo:
    """A proxy before a server that says everything again."""

    proxy: Proxy

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect through the proxy."""
        return await asyncio.wait_for(asyncio.open_connection(HOST, self.proxy.port), SECONDS)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        proxy = Proxy(server.sockets[0].getsockname()[1])
        await proxy.heal()
        yield Echo(proxy)
        await proxy.close()


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float = SECONDS) -> bytes:
    """Say something and return what comes back."""
    writer.write(b"hello")
    return await asyncio.wait_for(reader.readexactly(5), seconds)


async def test_open_it_lets_everything_through(echo: Echo) -> None:
    reader, writer = await echo.connect()
    assert await said(reader, writer) == b"hello"
    writer.close()


async def test_cut_it_resets_and_refuses(echo: Echo) -> None:
    reader, writer = await echo.connect()
    await said(reader, writer)
    echo.proxy.cut()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), SECONDS)
    with pytest.raises(ConnectionRefusedError):
        await echo.connect()
    writer.close()


async def test_hung_it_carries_nothing_until_healed(echo: Echo) -> None:
    reader, writer = await echo.connect()
    await said(reader, writer)
    echo.proxy.hang()
    other_reader, other_writer = await echo.connect()
    for ends in ((reader, writer), (other_reader, other_writer)):
        with pytest.raises(TimeoutError):
            await said(*ends, seconds=SHORT_SECONDS)
    await echo.proxy.heal()
    for waiting in (reader, other_reader):
        assert await asyncio.wait_for(waiting.readexactly(5), SECONDS) == b"hello"
    writer.close()
    other_writer.close()


async def test_healed_it_listens_where_it_did(echo: Echo) -> None:
    port = echo.proxy.port
    echo.proxy.cut()
    await echo.proxy.heal()
    assert echo.proxy.port == port
    reader, writer = await echo.connect()
    assert await said(reader, writer) == b"hello"
    writer.close()


async def test_nobody_behind_it_is_a_reset(echo: Echo) -> None:
    del echo
    proxy = Proxy(1)
    await proxy.heal()
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), SECONDS)
    writer.close()
    await proxy.close()
