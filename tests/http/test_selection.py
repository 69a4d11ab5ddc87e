"""Watching what is selected: of many jobs of a project, and of every project."""

import asyncio
from dataclasses import replace

from tests.http.conftest import TIMES, EventStream, Starter
from tests.http.test_watch_project import until_synced, watching


async def test_every_project_is_kept_alive_also_when_there_is_none(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    async with watching(sidecar, "project=*&ping=event") as stream:
        await until_synced(stream)
        assert (await stream.next("ping")).data == {}


async def test_whoever_watched_every_project_and_left_is_noticed_also_when_there_is_none(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    async with watching(sidecar, "project=*") as stream:
        await until_synced(stream)
    await sidecar.metrics.until("stream_closed", "sse", "client")


async def test_every_project_is_pinged_once_a_heartbeat_however_many_there_are(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.5))
    for number in range(20):
        await sidecar.push("j" + str(number), project=f"p{number}")
    async with watching(sidecar, "project=*&ping=event") as stream:
        await until_synced(stream)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await stream.next("ping")
        assert asyncio.get_running_loop().time() - began > 0.9


async def test_no_end_is_missed_by_who_watches_a_status_while_others_come_and_go(start: Starter) -> None:
    """What newcomers read of a job must not count as told to those who were there before."""
    sidecar = await start(most_streams=10_000, store_timeout_seconds=10.0)

    async def follow(stream: EventStream) -> set[str]:
        ends: set[str] = set()
        while "last" not in ends:
            event = await stream.next()
            if event.name == "done":
                ends.add(event.data["job_id"])
        return ends

    async def come_and_go() -> None:
        while True:
            async with watching(sidecar, "project=default&status=running") as stream:
                await until_synced(stream)

    jobs = [f"j{number}" for number in range(300)]
    async with watching(sidecar, "project=default&status=running") as stream, asyncio.TaskGroup() as tasks:
        await until_synced(stream)
        following = tasks.create_task(follow(stream))
        others = [tasks.create_task(come_and_go()) for _ in range(6)]
        for first in range(0, len(jobs), 3):
            for status in ("running", "completed"):
                await asyncio.gather(*(sidecar.push(job_id, status=status) for job_id in jobs[first : first + 3]))
        await sidecar.push("last", status="running")
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        await sidecar.push("last", status="completed")
        missed = set(jobs) - await following
    assert missed == set()
