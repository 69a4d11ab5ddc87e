"""Debian's nginx between a sidecar and its readers, configured in three ways."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import ClientSession
from httpx import AsyncClient

from tests.browser.program import Deployment
from tests.proxies.follower import follow
from tests.proxies.nginx import Nginx, ordinary, shipped, with_optional_lines
from tests.servers.ports import free_port

UPDATES = 20
MOST_SECONDS = 0.25
OUTLIERS = 2
"""Of the updates: a machine that runs other tests beside this one stops now and then."""

MEDDLING = ("proxy_buffering on;", "gzip on;", "gzip_types *;", "gzip_proxied any;", "gzip_min_length 0;")
CONFIGURATIONS: dict[str, Callable[[int, int], str]] = {
    "ordinary": ordinary,
    "shipped": shipped,
    "buffering and gzip": lambda port, sidecar_port: ordinary(port, sidecar_port, *MEDDLING),
}


@pytest.fixture(params=CONFIGURATIONS)
async def nginx(request: pytest.FixtureRequest, sidecar: Deployment, tmp_path: Path) -> AsyncIterator[Nginx]:
    """Return an nginx before the sidecar, with each configuration in turn."""
    port = free_port()
    server = await Nginx(tmp_path / "nginx", port, CONFIGURATIONS[request.param](port, sidecar.port)).up()
    yield server
    server.kill()


@pytest.fixture
def job_id() -> str:
    return f"j-{uuid4().hex}"


async def test_each_event_arrives_soon_after_its_push(nginx: Nginx, sidecar: Deployment, job_id: str) -> None:
    now = asyncio.get_running_loop().time
    await sidecar.push(job_id, current=0, total=UPDATES)
    delays: list[float] = []

    async with asyncio.timeout(30), aclosing(follow(f"{nginx.url}/v1/jobs/{job_id}/events")) as events:
        pushed_at = now()
        async for event in events:
            if event.name == "progress":
                assert event.data["current"] == len(delays)
                delays.append(now() - pushed_at)
                pushed_at = now()
                await sidecar.push(job_id, current=len(delays))
                if len(delays) > UPDATES - 1:
                    break

    assert sorted(delays)[-1 - OUTLIERS] < MOST_SECONDS, delays


async def test_a_stream_ends_with_its_job(nginx: Nginx, sidecar: Deployment, job_id: str) -> None:
    await sidecar.push(job_id, current=0, total=2)
    names: list[str] = []

    async with asyncio.timeout(30):
        async for event in follow(f"{nginx.url}/v1/jobs/{job_id}/events"):
            names.append(event.name)
            if event.name == "progress":
                await sidecar.push(job_id, status="completed")

    assert names == ["connected", "progress", "done"]


async def test_a_reader_that_comes_back_hears_only_what_it_missed(
    nginx: Nginx, sidecar: Deployment, job_id: str
) -> None:
    seen = await sidecar.push(job_id, current=1, total=3)
    await sidecar.push(job_id, current=2)

    async with asyncio.timeout(30), aclosing(follow(f"{nginx.url}/v1/jobs/{job_id}/events", seen["cursor"])) as events:
        connected, progress = await anext(events), await anext(events)

    assert connected.data["recovered"] is True
    assert progress.data["current"] == 2


async def test_the_lines_that_add_a_token_let_a_client_without_one_read_and_only_read(tmp_path: Path) -> None:
    tokens = ";".join(f"{role}:*:SECRET-OF-A-{role.upper()}" for role in ("reader", "worker"))
    sidecar = await Deployment(tmp_path / "sidecar", tokens=tokens).up()
    port = free_port()
    nginx = await Nginx(tmp_path / "nginx", port, with_optional_lines(shipped(port, sidecar.port))).up()
    names: list[str] = []

    async with asyncio.timeout(30), AsyncClient(base_url=nginx.url) as client:
        await pushed(client, current=1)
        async for event in follow(f"{nginx.url}/v1/jobs/a/events"):
            names.append(event.name)
            if event.name == "progress":
                await pushed(client, status="completed")
        refused = await client.post("/v1/jobs/a", json={"current": 2})
    nginx.kill()
    sidecar.kill()

    assert names == ["connected", "progress", "done"]
    assert refused.status_code == 403


async def pushed(client: AsyncClient, **fields: object) -> None:
    """Push with a token of one's own."""
    answer = await client.post("/v1/jobs/a", json=fields, headers={"Authorization": "Bearer SECRET-OF-A-WORKER"})
    assert answer.status_code == 200, answer.text


@pytest.fixture
async def shipped_nginx(sidecar: Deployment, tmp_path: Path) -> AsyncIterator[Nginx]:
    """Return an nginx with the shipped configuration."""
    port = free_port()
    server = await Nginx(tmp_path / "nginx", port, shipped(port, sidecar.port)).up()
    yield server
    server.kill()


async def test_the_shipped_lines_let_websockets_through(shipped_nginx: Nginx, sidecar: Deployment, job_id: str) -> None:
    await sidecar.push(job_id, current=1, total=2)
    names: list[str] = []

    async with (
        asyncio.timeout(30),
        ClientSession(shipped_nginx.url) as client,
        client.ws_connect("/v1/ws", origin=shipped_nginx.url) as socket,
    ):
        await socket.send_json({"watch": {"job_id": job_id}, "after": None})
        while "done" not in names:
            names.append((await socket.receive_json())["event"])
            if names[-1] == "progress":
                await sidecar.push(job_id, status="completed")

    assert names == ["connected", "progress", "done"]


async def test_the_shipped_lines_let_a_page_write_to_where_it_came_from(shipped_nginx: Nginx, job_id: str) -> None:
    async with AsyncClient(base_url=shipped_nginx.url) as client:
        own = await client.post(f"/v1/jobs/{job_id}", json={"current": 1}, headers={"Origin": shipped_nginx.url})
        foreign = await client.post(f"/v1/jobs/{job_id}", json={}, headers={"Origin": "http://other.example"})

    assert own.status_code == 200
    assert foreign.status_code == 403
