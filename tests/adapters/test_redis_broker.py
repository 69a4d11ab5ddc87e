"""Word of changes over a real Valkey."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.broker import NOTICES_WAITING, RedisBroker
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.core.errors import StoreUnavailable
from sidecar.ports import Listening, Notice
from tests.adapters.updates import push, update
from tests.servers.embedded import embedded


@pytest.fixture
async def line(link: RedisLink) -> AsyncIterator[Listening]:
    """Return an open line that hears nothing yet."""
    async with RedisBroker(link).connect() as line:
        yield line


async def heard(line: Listening, count: int) -> list[Notice]:
    """Return the next notices."""
    notices: list[Notice] = []
    async with asyncio.timeout(5):
        async for arrived in line:
            notices += arrived
            if len(notices) >= count:
                break
    return notices


async def test_every_change_after_adding_is_heard_in_ascending_rev(line: Listening, store: RedisLive) -> None:
    await line.add("default")
    for number in range(20):
        await store.update(f"job-{number % 3}", push(update(f"job-{number % 3}", current=number)))
    notices = await heard(line, 20)
    assert [notice.cursor.rev for notice in notices] == list(range(1, 21))
    assert [json.loads(notice.row)["current"] for notice in notices if notice.row] == list(range(20))


async def test_other_projects_are_not_heard(line: Listening, store: RedisLive) -> None:
    await line.add("mine")
    await store.update("theirs", push(update("theirs", project="theirs")))
    await store.update("mine", push(update("mine", project="mine")))
    assert [notice.job_id for notice in await heard(line, 1)] == ["mine"]


async def test_removed_project_is_heard_no_more(line: Listening, store: RedisLive) -> None:
    await line.add("one")
    await line.add("two")
    await line.remove("one")
    await store.update("a", push(update("a", project="one")))
    await store.update("b", push(update("b", project="two")))
    assert [notice.job_id for notice in await heard(line, 1)] == ["b"]


async def test_project_may_be_added_again(line: Listening, store: RedisLive) -> None:
    await line.add("one")
    await line.remove("one")
    await line.add("one")
    await store.update("a", push(update("a", project="one")))
    assert [notice.job_id for notice in await heard(line, 1)] == ["a"]


async def test_line_that_is_probed_holds_whether_it_listens_or_not(link: RedisLink, store: RedisLive) -> None:
    async with RedisBroker(link, probe_seconds=0.02).connect() as line:
        for number in range(3):
            await asyncio.sleep(0.1)
            await line.add("one")
            await asyncio.sleep(0.1)
            await store.update("a", push(update("a", project="one", current=number)))
            assert [notice.job_id for notice in await heard(line, 1)] == ["a"]
            await line.remove("one")


async def test_line_to_a_server_that_hangs_says_so(link: RedisLink, store: RedisLive) -> None:
    process_id = (await link.commands.info("server"))["process_id"]
    async with RedisBroker(link, probe_seconds=0.02).connect() as line:
        await line.add("one")
        os.kill(process_id, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable):
                await heard(line, 1)
        finally:
            os.kill(process_id, signal.SIGCONT)
    await store.update("a", push(update("a")))


async def test_line_that_did_not_hear_of_a_project_in_time_is_broken(valkey: EmbeddedValkey) -> None:
    link = RedisLink(valkey.url, 0.2)
    process_id = (await link.commands.info("server"))["process_id"]
    async with RedisBroker(link).connect() as line:
        await line.add("one")
        os.kill(process_id, signal.SIGSTOP)
        try:
            answers = await asyncio.gather(*(line.add(project) for project in "abc"), return_exceptions=True)
        finally:
            os.kill(process_id, signal.SIGCONT)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
        with pytest.raises(StoreUnavailable):
            await heard(line, 1)
    await link.close()


async def test_project_is_added_at_once_for_all_who_ask(line: Listening, store: RedisLive) -> None:
    projects = [f"project-{number}" for number in range(50)]
    await asyncio.gather(*(line.add(project) for project in projects * 2))
    for project in projects:
        await store.update(project, push(update(project, project=project)))
    assert sorted(notice.project for notice in await heard(line, 50)) == sorted(projects)


async def test_confirmation_that_nobody_waits_for_any_more_is_not_taken_for_another_one(
    line: Listening, store: RedisLive
) -> None:
    adding = asyncio.create_task(line.add("one"))
    await asyncio.sleep(0)
    adding.cancel()
    await asyncio.gather(adding, return_exceptions=True)
    await line.remove("one")
    await line.add("one")
    await store.update("a", push(update("a", project="one")))
    assert [notice.job_id for notice in await heard(line, 1)] == ["a"]


async def test_full_line_is_not_taken_for_a_deaf_one(valkey: EmbeddedValkey) -> None:
    link = RedisLink(valkey.url, 1.0)
    told = NOTICES_WAITING + 100
    async with RedisBroker(link, probe_seconds=0.02).connect() as line:
        await line.add("one")
        async with link.commands.pipeline(transaction=False) as pipe:
            for number in range(told):
                pipe.publish(ProjectKeys("one").channel, b"e %d a 1 0 {}" % (number + 1))
            await pipe.execute()
        with pytest.raises(StoreUnavailable):
            await line.add("two")
        assert len(await heard(line, told)) == told
        await line.add("two")
        await link.commands.publish(ProjectKeys("two").channel, b"e 1 b 1 0 {}")
        assert [notice.job_id for notice in await heard(line, 1)] == ["b"]
    await link.close()


async def test_deletion_is_heard_as_gone(line: Listening, store: RedisLive) -> None:
    await line.add("default")
    await store.update("a", push(update("a")))
    await store.delete("a", lambda _: None)
    assert [notice.row is None for notice in await heard(line, 2)] == [False, True]


async def test_broken_line_says_so(line: Listening, valkey: EmbeddedValkey) -> None:
    await line.add("default")
    await valkey.stop()
    with pytest.raises(StoreUnavailable):
        await heard(line, 1)


async def test_line_to_nowhere_is_unavailable(valkey: EmbeddedValkey, link: RedisLink) -> None:
    await valkey.stop()
    with pytest.raises(StoreUnavailable):
        async with RedisBroker(link).connect():
            pass


class Switchboard:
    """Passes connections on to one server or another; those that are open stay where they are."""

    def __init__(self, path: str) -> None:
        """Begin with the server at a socket's path."""
        self.path = path
        self.open: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until either side ends."""
        there_reader, there_writer = await asyncio.open_unix_connection(self.path)
        self.open.append(writer)
        ways = [asyncio.create_task(_carry(reader, there_writer)), asyncio.create_task(_carry(there_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for side in (writer, there_writer):
            side.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """Return another Valkey."""
    async with embedded(tmp_path / "second") as valkey:
        yield valkey


async def test_line_to_a_server_that_was_replaced_is_found_deaf_though_it_answers(
    valkey: EmbeddedValkey, second: EmbeddedValkey
) -> None:
    board = Switchboard(valkey.url.removeprefix("unix://"))
    server = await asyncio.start_server(board, "127.0.0.1", 0)
    link = RedisLink(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", 1.0)
    try:
        async with RedisBroker(link, probe_seconds=0.1).connect() as line:
            await line.add("one")
            subscribed = len(board.open)
            await asyncio.sleep(0.3)  # a few probes
            board.path = second.url.removeprefix("unix://")
            for writer in board.open[subscribed:]:
                writer.close()
            with pytest.raises(StoreUnavailable, match="TimeoutError"):
                await heard(line, 1)
    finally:
        await link.close()
        server.close()
