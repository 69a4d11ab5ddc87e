"""What the whole program knows of job types: learned from runs, or declared."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientSession

from sidecar.app import serving
from sidecar.settings import Settings
from tests.running import DEADLINE_SECONDS, push

T = TypeVar("T")


async def test_what_ten_jobs_took_is_what_the_next_one_is_told_by(tmp_path: Path, client: ClientSession) -> None:
    settings = Settings(data_dir=tmp_path, listen_port=0)
    async with serving(settings) as served:
        for number in range(10):
            job = f"{served.url}/v1/jobs/j{number}"
            for fields in ({"stage": "load"}, {"stage": "solve"}, {"status": "completed"}):
                async with client.post(job, json={"job_type": "night", **fields}) as response:
                    assert response.status == 200
                await asyncio.sleep(0.005)  # how long a stage takes
        await eventually(lambda: recorded(client, served.url), lambda jobs: jobs == 10)
    async with serving(settings) as served:
        known = await eventually(lambda: job_types(client, served.url), lambda found: "night" in found)
        assert [stage["name"] for stage in known["night"]["stages"]] == ["load", "solve"]
        assert known["night"]["usual_seconds"] > 0
        async with client.post(f"{served.url}/v1/jobs/next", json={"job_type": "night", "stage": "load"}) as response:
            assert response.status == 200
        async with client.get(f"{served.url}/v1/jobs/next") as response:
            shown = await response.json()
        assert [stage["name"] for stage in shown["stages"]] == ["load", "solve"]
        assert shown["eta"]["seconds"] == pytest.approx(known["night"]["usual_seconds"], abs=0.02)


async def test_stages_have_series_at_0_before_they_end(tmp_path: Path, client: ClientSession) -> None:
    async with serving(Settings(data_dir=tmp_path, listen_port=0)) as served:
        async with client.post(f"{served.url}/v1/jobs/j", json={"job_type": "night", "stage": "load"}) as response:
            assert response.status == 200
        async with client.get(f"{served.url}/metrics") as response:
            exposition = await response.text()
    name = "progress_stage_duration_seconds_count"
    for job_type, stage in (("night", "load"), ("timetable", "cpsat_solving")):
        for outcome in ("completed", "failed", "cancelled"):
            assert f'{name}{{job_type="{job_type}",outcome="{outcome}",stage="{stage}"}} 0.0' in exposition


async def eventually(ask: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool]) -> T:
    """Ask until the answer will do, and return it."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            answer = await ask()
            if is_enough(answer):
                return answer
            await asyncio.sleep(0.05)


async def recorded(client: ClientSession, url: str) -> int:
    """Return how many finished jobs the history knows."""
    async with client.get(f"{url}/v1/stats") as response:
        return sum(each["finished"] for each in (await response.json())["job_types"])


async def job_types(client: ClientSession, url: str) -> dict[str, Any]:
    """Return what is known of job types, by name."""
    async with client.get(f"{url}/v1/job-types") as response:
        return {each["job_type"]: each for each in (await response.json())["job_types"]}


async def test_declared_job_types_are_counted_from_the_start_whatever_else_clients_invent(tmp_path: Path) -> None:
    declared = tmp_path / "job_types.toml"
    declared.write_text("[job_types.nightly]\n[job_types.weekly]\n")
    settings = Settings(data_dir=tmp_path / "data", listen_port=0, job_types_file=declared)
    async with serving(settings) as served, ClientSession() as client:
        before = await counted(client, served.url)
        assert (before["nightly"], before["weekly"]) == (0.0, 0.0)
        for number in range(60):
            await push(client, served.url, f"job-{number}", job_type=f"invented-{number}")
        await push(client, served.url, "job-weekly", job_type="weekly")
        after = await counted(client, served.url)
    assert (after["nightly"], after["weekly"], after["other"]) == (0.0, 1.0, 10.0)
    assert sum(name.startswith("invented-") for name in after) == 50


async def counted(client: ClientSession, url: str) -> dict[str, float]:
    """Return how many updates were applied, by job type."""
    async with client.get(f"{url}/metrics") as response:
        text = await response.text()
    found = re.findall(r'^progress_updates_total\{job_type="([^"]+)",result="applied"\} (\S+)$', text, re.MULTILINE)
    return {job_type: float(number) for job_type, number in found}
