"""`httpx-sse`, a client that knows nothing of the sidecar, follows jobs to their end."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.browser.program import Deployment
from tests.faults.proxy import Proxy
from tests.proxies.follower import follow

STEPS = 4
SECONDS = 30.0


@pytest.fixture
def job_id() -> str:
    return f"j-{uuid4().hex}"


async def test_it_follows_a_job_to_its_end_and_is_told_to_stop(sidecar: Deployment, job_id: str) -> None:
    await sidecar.push(job_id, current=0, total=STEPS)
    shares: list[float] = []

    async with asyncio.timeout(SECONDS):
        async for event in follow(f"{sidecar.url}/v1/jobs/{job_id}/events"):
            if event.name == "progress":
                shares.append(event.data["percent"])
                step = {"current": len(shares)} if len(shares) < STEPS else {"status": "completed"}
                await sidecar.push(job_id, **step)
            if event.name == "done":
                shares.append(event.data["job"]["percent"])

    assert shares == [0, 25, 50, 75, 100]


async def test_after_each_cut_it_hears_what_it_missed_and_nothing_twice(sidecar: Deployment, job_id: str) -> None:
    await sidecar.push(job_id, current=0, total=STEPS)
    line = Proxy(sidecar.port)
    await line.heal()
    heard: list[str] = []
    recovered: list[bool] = []

    async with asyncio.timeout(SECONDS):
        async for event in follow(f"http://127.0.0.1:{line.port}/v1/jobs/{job_id}/events"):
            if event.name == "connected":
                recovered.append(event.data["recovered"])
                continue
            heard.append(event.id)
            if event.name == "progress":
                line.cut()
                await sidecar.push(job_id, current=len(heard))
                if len(heard) > 1:
                    await sidecar.push(job_id, status="completed")
                await line.heal()
    await line.close()

    assert recovered == [False, True, True]
    assert len(heard) == len(set(heard)) == 3


async def test_it_follows_a_job_over_a_restart_of_the_sidecar(tmp_path: Path) -> None:
    sidecar = await Deployment(tmp_path / "home").up()
    await sidecar.push("a", current=1, total=STEPS)
    shares: list[float] = []

    async with asyncio.timeout(SECONDS), aclosing(follow(f"{sidecar.url}/v1/jobs/a/events")) as events:
        async for event in events:
            if event.name == "progress" and event.data["current"] == 1:
                await sidecar.restart()
                await sidecar.push("a", current=3)
            elif event.name == "progress":
                shares.append(event.data["percent"])
                await sidecar.push("a", status="completed")
            elif event.name == "done":
                shares.append(event.data["job"]["percent"])
    sidecar.kill()

    assert shares == [75, 100]
