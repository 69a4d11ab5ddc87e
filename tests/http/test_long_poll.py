"""A request that waits until a job is newer than what the client has heard."""

import asyncio
from dataclasses import replace

import pytest

from sidecar.core.job import Json
from sidecar.http.auth import ANYONE
from tests.faults.patience import until
from tests.http.conftest import TIMES, Sidecar, Starter
from tests.http.test_watch_project import until_synced, watching


async def test_the_word_of_what_the_client_has_heard_already_does_not_wake_it(sidecar: Sidecar) -> None:
    """The word of a change reaches the process after its answer, and with others watching it is listened for."""
    async with watching(sidecar) as stream:
        await until_synced(stream)
        for number in range(100):
            cursor = (await sidecar.push("j", current=number))["cursor"]
            async with sidecar.client.get(f"/v1/jobs/j?after={cursor}&wait=0.05") as response:
                assert response.status == 204, (await response.json())["cursor"] == cursor


NOWHERE = ("nonsense", "", "otherepoch-1", "{epoch}-99999", "{epoch}-", "-", "\u00b2")


def later(sidecar: Sidecar, cursor: Json, wait: float = 25, job_id: str = "j") -> asyncio.Task[tuple[int, Json]]:
    """Ask for whatever is newer; the task returns the status, and the job if there is one."""

    async def ask() -> tuple[int, Json]:
        params = {"after": str(cursor), "wait": f"{wait:g}"}
        async with sidecar.client.get(f"/v1/jobs/{job_id}", params=params) as response:
            return response.status, await response.json() if response.status != 204 else None

    return asyncio.create_task(ask())


async def until_waiting(sidecar: Sidecar) -> None:
    """Wait until the only stream that there may be is taken by who waits."""
    await until(lambda: sidecar.services.streams.is_full(ANYONE, ""), 5, "somebody waits")


@pytest.fixture
async def single(start: Starter) -> Sidecar:
    """Return a sidecar at which one client may wait, or watch."""
    return await start(most_streams=1, times=replace(TIMES, heartbeat=0.1))


async def test_the_answer_comes_with_the_change(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    waiting = later(single, cursor)
    await until_waiting(single)
    await single.push("j", current=2)
    async with asyncio.timeout(2):
        status, job = await waiting
    assert (status, job) == (200, await single.job("j"))
    assert job["current"] == 2


async def test_the_end_is_a_change(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    waiting = later(single, cursor)
    await until_waiting(single)
    await single.push("j", status="completed")
    status, job = await waiting
    assert (status, job["status"]) == (200, "completed")


async def test_a_finished_job_that_was_heard_of_stays_silent(sidecar: Sidecar) -> None:
    cursor = (await sidecar.push("j", status="completed"))["cursor"]
    assert await later(sidecar, cursor, wait=0.05) == (204, None)


async def test_what_was_missed_is_told_at_once(sidecar: Sidecar) -> None:
    cursor = (await sidecar.push("j", current=1))["cursor"]
    await sidecar.push("j", current=2)
    async with asyncio.timeout(2):
        status, job = await later(sidecar, cursor)
    assert (status, job["current"]) == (200, 2)


@pytest.mark.parametrize("wait", [0, 0.05])
async def test_without_news_there_is_no_answer(sidecar: Sidecar, wait: float) -> None:
    cursor = (await sidecar.push("j", current=1))["cursor"]
    began = asyncio.get_running_loop().time()
    assert await later(sidecar, cursor, wait=wait) == (204, None)
    assert asyncio.get_running_loop().time() - began >= wait


async def test_neither_other_jobs_nor_heartbeats_are_news(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    waiting = later(single, cursor, wait=0.5)
    await until_waiting(single)
    for number in range(3):
        await single.push("other", current=number)
        await single.push("j")
    assert await waiting == (204, None)


@pytest.mark.parametrize("cursor", NOWHERE)
async def test_a_cursor_that_is_no_place_of_ours_is_answered_at_once(sidecar: Sidecar, cursor: str) -> None:
    epoch = str((await sidecar.push("j", current=1))["cursor"]).partition("-")[0]
    async with asyncio.timeout(2):
        status, job = await later(sidecar, cursor.format(epoch=epoch))
    assert (status, job["current"]) == (200, 1)


async def test_a_cursor_of_another_job_of_the_project_is_a_place_too(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    cursor = (await sidecar.push("other", current=1))["cursor"]
    assert await later(sidecar, cursor, wait=0.05) == (204, None)


async def test_a_cursor_of_another_transport_is_good_here(single: Sidecar) -> None:
    await single.push("j", current=1)
    async with single.watch("j") as stream:
        await stream.next("connected")
        cursor = (await stream.next("progress")).id
    await single.metrics.until("stream_closed", "sse", "client")
    assert await later(single, cursor, wait=0.05) == (204, None)


async def test_a_job_that_is_deleted_meanwhile_is_unknown(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    waiting = later(single, cursor)
    await until_waiting(single)
    async with single.client.delete("/v1/jobs/j?force=true"), asyncio.timeout(2):
        assert (await waiting)[0] == 404


async def test_an_unknown_job_is_not_waited_for(sidecar: Sidecar) -> None:
    async with asyncio.timeout(2):
        assert (await later(sidecar, "e-1"))[0] == 404


@pytest.mark.parametrize("wait", ["61", "60.1", "100", "-1", "x", "", "1e1", "inf", "nan", "\u0661"])
async def test_a_wait_that_is_none_is_a_mistake(sidecar: Sidecar, wait: str) -> None:
    async with sidecar.client.get("/v1/jobs/j", params={"after": "e-1", "wait": wait}) as response:
        assert response.status == 422
        assert (await response.json())["errors"][0]["field"] == "wait"


@pytest.mark.parametrize("wait", ["0", "60", "60.0", "0.5"])
async def test_a_wait_is_at_most_a_minute(sidecar: Sidecar, wait: str) -> None:
    await sidecar.push("j")
    async with sidecar.client.get("/v1/jobs/j", params={"after": "", "wait": wait}) as response:
        assert response.status == 200


async def test_a_full_server_lets_nobody_wait_and_says_when_to_come_back(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    async with single.watch("j") as stream:
        await stream.next("connected")
        async with single.client.get(f"/v1/jobs/j?after={cursor}&wait=25") as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
        assert (await later(single, cursor, wait=0))[0] == 204
        await single.push("j", current=2)
        assert (await later(single, cursor))[0] == 200


async def test_whoever_waited_and_left_makes_room(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    waiting = later(single, cursor)
    await until_waiting(single)
    waiting.cancel()
    await until(lambda: not single.services.streams.is_full(ANYONE, ""), 5, "nobody waits any more")


async def test_nobody_is_kept_waiting_by_a_server_that_stops(single: Sidecar) -> None:
    cursor = (await single.push("j", current=1))["cursor"]
    waiting = later(single, cursor)
    await until_waiting(single)
    async with asyncio.timeout(2):
        await single.services.streams.drain(0)
        assert await waiting == (204, None)
    assert (await later(single, cursor))[0] == 503


async def test_no_change_falls_between_two_requests(sidecar: Sidecar) -> None:
    """Somebody who asks on and on, each time from where the last answer stood, sees the end."""
    seen: list[int] = []

    async def follow() -> None:
        cursor: Json = ""
        while not seen or seen[-1] < 200:
            status, job = await later(sidecar, cursor)
            assert status == 200
            cursor = job["cursor"]
            seen.append(job["current"])

    await sidecar.push("j", current=0)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        for current in range(1, 201):
            await sidecar.push("j", current=current)
    assert seen == sorted(set(seen))
