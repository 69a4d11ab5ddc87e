"""A new sidecar knows what the one before it left, although Redis hangs before anybody recorded that."""

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from aiohttp import ClientSession

from sidecar.adapters.redis import keys
from tests.faults.embedded import EmbeddedWorld, embedded_world
from tests.faults.patience import until
from tests.faults.watchers import messages

LEASE_MILLISECONDS = 120_000
ANSWER_SECONDS = 20.0


async def test_what_a_killed_sidecar_left_unrecorded_is_served_while_redis_hangs(tmp_path: Path) -> None:
    async with embedded_world(tmp_path) as world, ClientSession() as session:
        await _let_nobody_record(world)
        await _push(world, session, "under-way", percent=40)
        await _push(world, session, "over", percent=100, status="completed")
        assert _recorded(world) == set()
        await _begun_anew_beside_a_hung_redis(world)
        async with asyncio.timeout(ANSWER_SECONDS):
            under_way, over = [await _shown(world, session, job_id) for job_id in ("under-way", "over")]
    assert (under_way["percent"], under_way["version"]) == (40, 1)
    assert over["status"] == "completed"


async def test_watcher_who_comes_back_to_a_new_sidecar_is_told_no_older_state(tmp_path: Path) -> None:
    async with embedded_world(tmp_path) as world, ClientSession() as session:
        await _push(world, session, "under-way", percent=10)
        await _until_recorded(world, "under-way")
        await _let_nobody_record(world)
        await _push(world, session, "under-way", percent=70)
        await _begun_anew_beside_a_hung_redis(world)
        url = f"{world.sidecar.url}/v1/events?project=default&view=brief"
        async with asyncio.timeout(ANSWER_SECONDS), session.get(url) as response:
            told = []
            async for message in messages(response.content):
                if message.event == "synced":
                    break
                if message.event == "progress":
                    told.append(message.data["percent"])
    assert told == [70]


async def _begun_anew_beside_a_hung_redis(world: EmbeddedWorld) -> None:
    world.sidecar.kill()
    world.sidecar.start()
    await world.sidecar.ready()
    os.kill(await world.valkey(), signal.SIGSTOP)


async def _let_nobody_record(world: EmbeddedWorld) -> None:
    """Let the lease of recording be somebody's who does not record."""
    async with await world.client() as client:
        await client.set(keys.lease("recorder"), "somebody", px=LEASE_MILLISECONDS)
    await asyncio.sleep(1)  # a round that had begun is over


async def _push(world: EmbeddedWorld, session: ClientSession, job_id: str, **fields: object) -> None:
    async with session.post(f"{world.sidecar.url}/v1/jobs/{job_id}", json=fields) as response:
        assert (await response.json())["applied"]


async def _shown(world: EmbeddedWorld, session: ClientSession, job_id: str) -> dict[str, object]:
    async with session.get(f"{world.sidecar.url}/v1/jobs/{job_id}") as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


def _recorded(world: EmbeddedWorld) -> set[str]:
    with closing(sqlite3.connect(world.sidecar.history)) as connection:
        return {job_id for (job_id,) in connection.execute("SELECT job_id FROM jobs")}


async def _until_recorded(world: EmbeddedWorld, job_id: str) -> None:
    await until(lambda: job_id in _recorded(world), ANSWER_SECONDS, f"{job_id} is recorded")
