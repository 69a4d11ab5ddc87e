"""The whole program, as an operator meets it: real processes, real signals, real kills."""

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession

from sidecar.app import serving
from sidecar.settings import Settings
from tests.running import DEADLINE_SECONDS, push, read, running
from tests.servers.embedded import embedded


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_stop_it_leaves_nothing_behind(
    tmp_path: Path, client: ClientSession, number: signal.Signals
) -> None:
    async with running(tmp_path) as sidecar:
        await push(client, sidecar.url, current=1)
        assert len(sidecar.valkeys()) == 1
        code, errors = await sidecar.stopped(number)
        assert (code, sidecar.valkeys()) == (0, [])
        assert "Traceback" not in errors


async def test_started_again_every_job_is_there(tmp_path: Path, client: ClientSession) -> None:
    before = {}
    async with running(tmp_path) as sidecar:
        for number in range(20):
            await push(client, sidecar.url, f"job-{number}", current=number, metadata={"number": number})
            before[number] = await read(client, sidecar.url, f"job-{number}")
        await sidecar.stopped()
    async with running(tmp_path) as sidecar:
        for number in range(20):
            after = await read(client, sidecar.url, f"job-{number}")
            assert {**after, "cursor": None} == {**before[number], "cursor": None}


async def test_killed_it_loses_nothing_that_it_acknowledged(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path) as sidecar:
        for seq in range(1, 51):
            answer = await push(client, sidecar.url, seq=seq, add={"current": 1})
            assert answer["applied"]
        await sidecar.stopped(signal.SIGKILL)
    async with running(tmp_path) as sidecar:
        assert (await read(client, sidecar.url))["current"] == 50
        assert len(sidecar.valkeys()) == 1


async def test_killed_valkey_comes_back_with_everything_acknowledged(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path) as sidecar:
        for seq in range(1, 31):
            await push(client, sidecar.url, writer="w", seq=seq, add={"current": 1})
            if seq % 10 == 0:
                os.kill(await sidecar.valkey(), signal.SIGKILL)
        assert (await read(client, sidecar.url))["current"] == 30
        code, errors = await sidecar.stopped()
        assert code == 0
        assert "Traceback" not in errors


async def test_open_streams_end_when_it_is_asked_to_stop(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path) as sidecar:
        await push(client, sidecar.url, current=1)
        async with client.get(f"{sidecar.url}/v1/jobs/job-1/events") as stream:
            assert b"progress" in await stream.content.readuntil(b"version")
            code, errors = await sidecar.stopped()
            await stream.content.read()
        assert code == 0
        assert "Traceback" not in errors


async def test_tokens_are_reread_on_sighup(tmp_path: Path, client: ClientSession) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("admin:*:the-first-secret-of-all\n")
    async with running(tmp_path / "data", tokens_file=tokens) as sidecar:

        async def status(secret: str) -> int:
            headers = {"Authorization": f"Bearer {secret}"}
            async with client.get(f"{sidecar.url}/v1/jobs", headers=headers) as response:
                return response.status

        async def until(secret: str, wanted: int) -> None:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await status(secret) != wanted:
                    pass

        assert (await status("the-first-secret-of-all"), await status("the-second-secret-of-all")) == (200, 401)
        tokens.write_text("reader:*:the-second-secret-of-all\n")
        sidecar.process.send_signal(signal.SIGHUP)
        await until("the-second-secret-of-all", 200)
        assert await status("the-first-secret-of-all") == 401
        tokens.write_text("nonsense\n")
        sidecar.process.send_signal(signal.SIGHUP)
        await push_nothing(client, sidecar.url)
        assert await status("the-second-secret-of-all") == 200


async def push_nothing(client: ClientSession, url: str) -> None:
    """Make a round trip, so that what was sent before has been taken in."""
    async with client.get(f"{url}/healthz") as response:
        assert response.status == 200


async def test_second_listener_has_only_what_operators_need(tmp_path: Path, client: ClientSession) -> None:
    settings = Settings(data_dir=tmp_path, listen_port=0, ops_port=0)
    async with serving(settings) as served:
        statuses = {}
        for path in ("/metrics", "/healthz", "/readyz", "/v1/jobs", "/"):
            async with client.get(f"{served.ops_url}{path}") as response:
                statuses[path] = response.status
        assert statuses == {"/metrics": 200, "/healthz": 200, "/readyz": 200, "/v1/jobs": 404, "/": 404}


async def test_two_sidecars_share_a_redis(tmp_path: Path, client: ClientSession) -> None:
    async with embedded(tmp_path) as valkey, AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(
                serving(Settings(redis_url=valkey.url, listen_port=0, data_dir=tmp_path / name))
            )
            for name in ("one", "two")
        ]
        await push(client, one.url, current=1, total=10)
        async with client.get(f"{two.url}/v1/jobs/job-1/events") as stream:
            assert (await next_event(stream.content))["current"] == 1
            await push(client, one.url, current=2)
            assert (await next_event(stream.content))["current"] == 2
            await push(client, two.url, status="completed")
            assert (await next_event(stream.content))["job"]["percent"] == 100


async def next_event(content: asyncio.StreamReader | Any) -> dict[str, Any]:
    """Return the data of the next progress or done event."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            line = (await content.readline()).decode()
            if line in ("event: progress\n", "event: done\n"):
                await content.readline()
                return dict(json.loads((await content.readline()).decode().removeprefix("data: ")))


async def test_stopped_sidecar_refuses_connections(tmp_path: Path, client: ClientSession) -> None:
    async with serving(Settings(data_dir=tmp_path, listen_port=0)) as served:
        await push_nothing(client, served.url)
    with pytest.raises(ClientConnectionError):
        await push_nothing(client, served.url)
