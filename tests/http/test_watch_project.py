import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from sidecar.core.job import Json
from sidecar.hub.backlog import Backlog, Backlogs
from sidecar.tokens import Role, Token, digest
from tests.http.conftest import PATIENT, TIMES, Event, EventStream, Sidecar, Starter

Hanging = Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def watching(sidecar: Sidecar, query: str = "project=default", **headers: str) -> AsyncIterator[EventStream]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with sidecar.client.get(f"/v1/events?{query}", headers=named) as response:
        assert response.status == 200, await response.text()
        yield EventStream(response.content)


async def until_synced(stream: EventStream) -> list[Event]:
    """Return everything up to `synced`, that included."""
    told = [await stream.next()]
    while told[-1].name != "synced":
        told.append(await stream.next())
    return told


def said(events: list[Event]) -> list[tuple[str, Json]]:
    """Return what was said of which job."""
    return [(each.name, each.data.get("job_id")) for each in events]


def rev(cursor: str | None) -> int:
    return int((cursor or "").rpartition("-")[2])


async def test_the_full_state_comes_first_in_ascending_rev_and_then_every_change(sidecar: Sidecar) -> None:
    for job_id in ("a", "b", "c", "a"):
        await sidecar.push(job_id, current=1)
    await sidecar.push("c", status="failed")
    async with watching(sidecar) as stream:
        told = await until_synced(stream)
        answer = await sidecar.push("b", current=2)
        change = await stream.next("progress")
    assert said(told) == [("connected", None), ("progress", "b"), ("progress", "a"), ("synced", None)]
    assert (told[0].data["project"], told[0].data["recovered"]) == ("default", False)
    assert told[0].data["cursor"] == told[-1].data["cursor"] == (await sidecar.job("c"))["cursor"]
    assert [rev(each.id) for each in told[1:-1]] == sorted(rev(each.id) for each in told[1:-1])
    assert (change.id, change.data["current"], change.data["cursor"]) == (answer["cursor"], 2, answer["cursor"])


async def test_jobs_are_told_as_flat_rows_unless_asked_for_whole(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with watching(sidecar) as brief, watching(sidecar, "project=default&view=full") as full:
        assert "stages" not in (await until_synced(brief))[1].data
        assert (await until_synced(full))[1].data == await sidecar.job("j")
        await sidecar.push("j", current=2)
        row, whole = await brief.next("progress"), await full.next("progress")
    job = await sidecar.job("j")
    assert whole.data == job
    assert row.data == {name: job.get(name) for name in row.data} | {"eta_seconds": None, "stall_reason": None}


async def test_an_end_is_told_as_done_and_the_stream_goes_on(sidecar: Sidecar) -> None:
    async with watching(sidecar) as stream:
        await until_synced(stream)
        await sidecar.push("a", status="completed")
        done = await stream.next("done")
        await sidecar.push("b", current=1)
        assert (await stream.next("progress")).data["job_id"] == "b"
    assert (done.data["job_id"], done.data["status"], done.data["job"]["percent"]) == ("a", "completed", 100)
    assert done.data["job"]["cursor"] == done.id


async def test_a_deleted_job_is_told_as_gone(sidecar: Sidecar) -> None:
    await sidecar.push("a", current=1)
    async with watching(sidecar) as stream:
        await until_synced(stream)
        async with sidecar.client.delete("/v1/jobs/a?force=true"):
            assert (await stream.next("gone")).data == {"job_id": "a"}
    async with watching(sidecar) as stream:
        assert said(await until_synced(stream)) == [("connected", None), ("synced", None)]


async def test_a_project_without_jobs_stands_nowhere_yet(sidecar: Sidecar) -> None:
    async with watching(sidecar, "project=empty") as stream:
        connected, synced = await until_synced(stream)
        assert (connected.data["cursor"], synced.data["cursor"]) == (None, None)
        await sidecar.push("j", project="empty")
        assert (await stream.next("progress")).data["job_id"] == "j"


async def test_other_projects_are_not_told(sidecar: Sidecar) -> None:
    await sidecar.push("theirs", project="other")
    async with watching(sidecar) as stream:
        await until_synced(stream)
        await sidecar.push("theirs", current=2)
        await sidecar.push("mine", current=1)
        assert (await stream.next("progress")).data["job_id"] == "mine"


async def test_a_reconnect_is_told_only_what_it_missed(sidecar: Sidecar) -> None:
    for job_id in ("a", "b", "c"):
        await sidecar.push(job_id, current=1)
    async with watching(sidecar) as stream:
        heard = (await until_synced(stream))[-1].data["cursor"]
    await sidecar.push("b", current=2)
    async with sidecar.client.delete("/v1/jobs/c?force=true"):
        pass
    async with watching(sidecar, Last_Event_ID=heard) as stream:
        told = await until_synced(stream)
    assert told[0].data["recovered"] is True
    assert said(told[1:]) == [("progress", "b"), ("gone", "c"), ("synced", None)]
    async with watching(sidecar, f"project=default&last_event_id={told[-1].data['cursor']}") as stream:
        assert said(await until_synced(stream)) == [("connected", None), ("synced", None)]


@pytest.mark.parametrize("cursor", ["nonsense", "otherepoch-1", "{epoch}-99999"])
async def test_a_reconnect_from_nowhere_gets_the_full_state(sidecar: Sidecar, cursor: str) -> None:
    epoch = (await sidecar.push("a", current=1))["cursor"].partition("-")[0]
    async with watching(sidecar, Last_Event_ID=cursor.format(epoch=epoch)) as stream:
        told = await until_synced(stream)
    assert told[0].data["recovered"] is False
    assert said(told[1:]) == [("progress", "a"), ("synced", None)]


async def test_a_state_of_many_jobs_is_complete(sidecar: Sidecar) -> None:
    lines = [{"job_id": f"j{n}", "current": n} for n in range(450)]
    async with sidecar.client.post("/v1/updates", json=lines) as response:
        assert response.status == 200
    async with watching(sidecar) as stream:
        told = await until_synced(stream)
    assert {each.data["job_id"]: each.data["current"] for each in told[1:-1]} == {f"j{n}": n for n in range(450)}
    assert len(told) == 452


async def test_nothing_is_missed_by_streams_that_open_while_jobs_change(sidecar: Sidecar) -> None:
    """Whenever a stream opens, it ends with the same state as the store."""

    async def follow() -> dict[str, int]:
        state: dict[str, int] = {}
        last = 0
        async with watching(sidecar) as stream:
            while state.get("end") is None:
                event = await stream.next()
                if event.id is not None:
                    assert rev(event.id) > last
                    last = rev(event.id)
                    state[event.data["job_id"]] = event.data["current"]
        return state

    async def push() -> None:
        for number in range(300):
            await sidecar.push(f"j{number % 7}", current=number)
        await sidecar.push("end", current=1)

    async with asyncio.TaskGroup() as tasks:
        pushing = tasks.create_task(push())
        following: list[asyncio.Task[dict[str, int]]] = []
        while not pushing.done() and len(following) < 40:
            following.append(tasks.create_task(follow()))
            await asyncio.sleep(0.005)
    expected = {f"j{number % 7}": number for number in range(300)} | {"end": 1}
    assert [task.result() for task in following] == [expected] * len(following)


async def test_a_hanging_store_does_not_hold_back_the_first_word(start: Starter, hanging: Hanging) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    await sidecar.push("a", current=1)
    async with hanging():
        response = await sidecar.client.get("/v1/events?project=default")
        stream = EventStream(response.content)
        async with asyncio.timeout(1):
            connected = await stream.next("connected")
        assert (connected.data["recovered"], connected.data["cursor"]) == (False, None)
    assert said(await until_synced(stream)) == [("progress", "a"), ("synced", None)]
    response.close()


async def test_whoever_comes_back_to_a_slow_store_is_told_what_ended_meanwhile(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, store=0.0))
    for job_id in ("a", "b", "c", "d"):
        await sidecar.push(job_id, current=1)
    await sidecar.push("d", status="completed")
    async with watching(sidecar) as stream:
        heard = (await until_synced(stream))[-1].data["cursor"]
    await sidecar.push("b", status="completed")
    async with sidecar.client.delete("/v1/jobs/c?force=true"):
        pass
    async with watching(sidecar, Last_Event_ID=heard) as stream:
        told = await until_synced(stream)
    assert (told[0].data["recovered"], told[0].data["cursor"]) == (False, None)
    assert said(told[1:]) == [("progress", "a"), ("done", "b"), ("gone", "c"), ("synced", None)]


async def test_a_stream_without_news_is_kept_alive(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.1))
    async with watching(sidecar) as stream:
        await until_synced(stream)
        assert (await stream.block()).comment is not None


async def test_an_http_1_0_client_gets_the_bytes_without_chunks(sidecar: Sidecar) -> None:
    await sidecar.push("a", current=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(b"GET /v1/events?project=default HTTP/1.0\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.readuntil(b"event: synced\n")
        await reader.readuntil(b"\n\n")
        await sidecar.push("a", current=2)
        assert await reader.readuntil(b"\n") == b"event: progress\n"
    writer.close()


async def test_a_shutdown_ends_every_stream(start: Starter) -> None:
    sidecar = await start(times=PATIENT)
    async with watching(sidecar) as stream:
        await until_synced(stream)
        async with asyncio.timeout(2):
            await sidecar.runner.cleanup()
        assert await stream.is_closed()
    assert sidecar.metrics.counts["stream_closed", "sse", "shutdown"] == 1


async def test_a_full_server_says_when_to_come_back(start: Starter) -> None:
    sidecar = await start(most_streams=1)
    async with watching(sidecar) as first:
        await until_synced(first)
        async with watching(sidecar) as second:
            assert (await second.next("overloaded")).retry is not None


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("", 422, "project: is required"),
        ("project=", 422, "project"),
        ("project=a*", 422, "project"),
        ("project=a/b", 422, "project"),
        ("project=a&view=all", 422, "view"),
        ("project=a&nope=1", 422, "nope"),
    ],
)
async def test_a_mistake_is_named(sidecar: Sidecar, query: str, status: int, told: str) -> None:
    async with sidecar.client.get(f"/v1/events?{query}") as response:
        assert response.status == status
        assert told in (await response.json())["detail"]


async def test_who_may_not_see_a_project_is_told_so(start: Starter) -> None:
    sidecar = await start(Token(Role.READER, frozenset({"p"}), digest("a-secret-of-sixteen")))
    headers = {"Authorization": "Bearer a-secret-of-sixteen"}
    async with sidecar.client.get("/v1/events?project=q", headers=headers) as response:
        assert response.status == 403
    async with watching(sidecar, "project=p", **headers) as stream:
        await until_synced(stream)


async def test_a_head_request_gets_the_headers_alone(sidecar: Sidecar) -> None:
    async with sidecar.client.head("/v1/events?project=default") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_how_a_watch_begins_is_counted(sidecar: Sidecar) -> None:
    answer = await sidecar.push("j", current=1)
    for path in ("/v1/events?project=default", "/v1/jobs/j/events"):
        for heard in ("", answer["cursor"], "elsewhere-3"):
            async with sidecar.client.get(path, headers={"Last-Event-ID": heard}) as response:
                await EventStream(response.content).next("connected")
    for result in ("snapshot", "replayed", "unknown_cursor"):
        await sidecar.metrics.until("stream_resumed", result, times=2)


class Held:
    """Backlogs that are read when it is allowed."""

    def __init__(self, backlogs: Backlogs) -> None:
        self.may_read = asyncio.Event()
        self._backlogs = backlogs

    async def after(self, project: str, rev: int, *, is_whole: bool = False) -> Backlog:
        await self.may_read.wait()
        return await self._backlogs.after(project, rev, is_whole=is_whole)


async def test_what_ends_while_the_first_state_is_waited_for_is_told(sidecar: Sidecar) -> None:
    await sidecar.push("j", project="p", current=1)
    held = Held(sidecar.services.hub.backlogs)
    async with watching(sidecar, "project=p") as other:
        await until_synced(other)
        sidecar.services.hub.backlogs = cast("Backlogs", held)
        async with watching(sidecar, "project=p") as stream:
            assert (await stream.next("connected")).data["recovered"] is False
            await sidecar.push("j", status="completed")
            await other.next("done")
            held.may_read.set()
            assert said([await stream.next(), await stream.next()]) == [("done", "j"), ("synced", None)]
