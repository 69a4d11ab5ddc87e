"""Many watches on one WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType

from sidecar.core.job import Json
from sidecar.http.watch.client import HIGH_WATER_BYTES
from sidecar.tokens import Role, Token, digest
from tests.faults.patience import until
from tests.http.conftest import PATIENT, TIMES, Sidecar, Starter
from tests.http.test_watch_project import until_synced, watching

HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


LARGE: dict[str, Json] = {"detail": "d" * 8_000, "resume": "r" * 16_000, "metadata": {"m": "m" * 16_000}}


def transports(sidecar: Sidecar) -> list[asyncio.Transport]:
    """Return the server's ends of the connections that are open."""
    assert sidecar.runner.server is not None
    found = [connection.transport for connection in sidecar.runner.server.connections]
    return [transport for transport in found if isinstance(transport, asyncio.Transport)]


class Socket:
    """A client's end of a WebSocket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **message: Json) -> None:
        await self.socket.send_json(message)

    async def next(self, event: str = "", job_id: str = "") -> dict[str, Json]:
        """Return the next frame that is no ping; it must be of this event and job, if they are given."""
        async with asyncio.timeout(10):
            while (frame := await self._frame())["event"] == "ping":
                pass
        assert event in ("", frame["event"]), frame
        assert job_id in ("", frame["data"].get("job_id")), frame
        return frame

    async def _frame(self) -> dict[str, Json]:
        frame: dict[str, Json] = await self.socket.receive_json()
        assert list(frame) == ["event", "cursor", "data"], frame
        return frame

    async def until(self, event: str) -> list[dict[str, Json]]:
        """Return all frames up to the first of this event."""
        frames = [await self.next()]
        while frames[-1]["event"] != event:
            frames.append(await self.next())
        return frames


@asynccontextmanager
async def connected(sidecar: Sidecar, path: str = "/v1/ws", **headers: str) -> AsyncIterator[Socket]:
    async with sidecar.client.ws_connect(path, headers=headers) as socket:
        yield Socket(socket)


def masked(text: bytes, opcode: int = 1, *, is_final: bool = True) -> bytes:
    """Return a client's frame of fewer than 126 bytes, under a mask of zeros."""
    return bytes([0x80 * is_final | opcode, 0x80 | len(text)]) + b"\0\0\0\0" + text


async def test_a_socket_that_says_much_and_reads_nothing_is_closed_as_too_slow(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, write=0.2))
    _, stuck = await asyncio.open_connection("127.0.0.1", sidecar.port, limit=1_024)
    stuck.write(HANDSHAKE)
    async with asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(sidecar.metrics.until("stream_closed", "websocket", "slow_consumer"))
        while not ended.done():
            stuck.write(masked(b'{"ping":1}') * 1_000)
            draining = asyncio.ensure_future(stuck.drain())
            await asyncio.wait({ended, draining}, return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
    stuck.close()


async def test_a_watch_that_is_over_leaves_nothing_behind_on_the_socket(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        for _ in range(20):
            await socket.send(watch={"project": "p"})
            await socket.until("synced")
            await socket.send(unwatch={"project": "p"})
        await socket.send(ping=1)
        await socket.next("pong")
        (stream,) = sidecar.services.streams._open
        assert len(stream._ends) < 5


@pytest.mark.filterwarnings("error")
async def test_a_watch_that_is_taken_back_at_once_was_never_there(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        for _ in range(50):
            await socket.send(watch={"project": "p"}, unwatch={"project": "p"})
            await socket.socket.send_str(json.dumps({"unwatch": {"project": "p"}}))
        await socket.send(ping=1)
        await socket.until("pong")


JOB = {"job_id": "j"}
PROJECT = {"project": "default"}


async def watched(socket: Socket, after: Json = None, **what: Json) -> list[dict[str, Json]]:
    """Watch jobs of a project and return all that is said up to `synced`."""
    await socket.send(watch=what, after=after)
    return await socket.until("synced")


def told(frames: list[dict[str, Json]]) -> list[tuple[Json, Json]]:
    """Return what was said of which job."""
    return [(frame["event"], frame["data"].get("job_id")) for frame in frames]


async def test_a_job_is_told_as_it_is_then_as_it_changes_to_its_end(sidecar: Sidecar) -> None:
    first = await sidecar.push("j", current=1)
    async with connected(sidecar) as socket:
        await socket.send(watch=JOB)
        hello = await socket.next("connected")
        assert {**hello["data"], "server_time": None} == {
            "watch": JOB,
            "job_id": "j",
            "recovered": False,
            "cursor": first["cursor"],
            "server_time": None,
        }
        assert hello["cursor"] is None
        snapshot = await socket.next("progress")
        second = await sidecar.push("j", current=2)
        change = await socket.next("progress")
        third = await sidecar.push("j", status="completed")
        done = await socket.next("done")
    assert [frame["cursor"] for frame in (snapshot, change, done)] == [
        each["cursor"] for each in (first, second, third)
    ]
    assert (snapshot["data"]["current"], change["data"]["current"]) == (1, 2)
    assert done["data"] == {"job_id": "j", "status": "completed", "job": await sidecar.job("j")}


async def test_a_project_is_told_as_it_is_then_as_it_changes(sidecar: Sidecar) -> None:
    for job_id in ("a", "b", "a"):
        await sidecar.push(job_id, current=1)
    async with connected(sidecar) as socket:
        frames = await watched(socket, **PROJECT)
        answer = await sidecar.push("b", status="failed")
        done = await socket.next("done", "b")
        await sidecar.push("c")
        await socket.next("progress", "c")
        async with sidecar.client.delete("/v1/jobs/a?force=true"):
            gone = await socket.next("gone", "a")
    assert told(frames) == [("connected", None), ("progress", "b"), ("progress", "a"), ("synced", None)]
    assert frames[0]["data"]["watch"] == frames[-1]["data"]["watch"] == PROJECT
    assert frames[0]["data"]["recovered"] is False
    assert "stages" not in frames[1]["data"]
    assert (frames[-1]["cursor"], frames[-1]["data"]["cursor"]) == (None, frames[0]["data"]["cursor"])
    assert done["cursor"] == answer["cursor"]
    assert (gone["data"], gone["cursor"] is None) == ({"job_id": "a"}, False)


async def test_the_data_is_what_an_event_stream_has(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1, message='"\n\u2028é\U0001f600')
    async with connected(sidecar) as socket, watching(sidecar, "project=default&view=full") as stream:
        frames, events = await watched(socket, **PROJECT, view="full"), await until_synced(stream)
        await sidecar.push("j", status="cancelled", detail="x" * 8_000, resume="y" * 16_000)
        frames.append(await socket.next("done"))
        events.append(await stream.next("done"))
        await sidecar.push("big", detail="x" * 8_000, resume="y" * 16_000, metadata={"z": "z" * 16_000}, result="w" * 9)
        frames.append(await socket.next("progress", "big"))
        events.append(await stream.next("progress"))
    for frame, event in zip(frames, events, strict=True):
        mine = {name: value for name, value in frame["data"].items() if name not in ("watch", "server_time")}
        other = {name: value for name, value in event.data.items() if name != "server_time"}
        assert (frame["event"], frame["cursor"], mine) == (event.name, event.id, other)


async def test_the_watch_is_said_back_as_it_was_sent(sidecar: Sidecar) -> None:
    watch = {"view": "full", "status": ["running", "queued"], "project": "default", "job_ids": ["b", "a", "b"]}
    async with connected(sidecar) as socket:
        frames = await watched(socket, **watch)
        assert frames[0]["data"]["watch"] == frames[-1]["data"]["watch"] == watch


async def test_many_watches_share_a_socket(sidecar: Sidecar) -> None:
    await sidecar.push("one", project="p")
    await sidecar.push("two", project="q", job_type="t")
    async with connected(sidecar) as socket:
        await socket.send(watch={"job_id": "one"})
        await socket.until("progress")
        assert told(await watched(socket, project="q", job_type="t"))[1:-1] == [("progress", "two")]
        assert told(await watched(socket, project="q", job_type="other"))[1:-1] == []
        await sidecar.push("two", current=1)
        await socket.next("progress", "two")
        await sidecar.push("one", current=1)
        await socket.next("progress", "one")
        await sidecar.push("three", project="p")
        await sidecar.push("two", status="completed")
        await socket.next("done", "two")


async def test_a_job_in_two_watches_is_told_in_both(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with connected(sidecar) as socket:
        await socket.send(watch=JOB)
        await socket.until("progress")
        await watched(socket, **PROJECT)
        await sidecar.push("j", current=2)
        frames = [await socket.next("progress", "j") for _ in range(2)]
    assert sorted("stages" in frame["data"] for frame in frames) == [False, True]


async def test_what_is_not_watched_any_more_is_not_told_any_more(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    await sidecar.push("other", project="q")
    async with connected(sidecar) as socket:
        await watched(socket, project="q")
        await watched(socket, **PROJECT, status=["running", "queued"], job_ids=["j", "k"])
        await socket.send(unwatch={**PROJECT, "status": ["queued", "running"], "job_ids": ["k", "j"]})
        await socket.send(ping=1)
        await socket.until("pong")
        await sidecar.push("j", current=2)
        await sidecar.push("other", current=2)
        await socket.next("progress", "other")


@pytest.mark.parametrize("asked", [JOB, PROJECT])
@pytest.mark.parametrize("views", [["brief"], ["full"], ["brief", "full"]])
async def test_a_watch_is_left_in_whatever_view_it_is(
    sidecar: Sidecar, asked: dict[str, str], views: list[str]
) -> None:
    await sidecar.push("j", current=1)
    await sidecar.push("other", project="q")
    async with connected(sidecar) as socket:
        await watched(socket, project="q")
        for view in views:
            await socket.send(watch={**asked, "view": view})
            await socket.until("progress")
        await socket.send(unwatch=asked, ping=1)
        await socket.until("pong")
        await sidecar.push("j", current=2)
        await sidecar.push("other", current=2)
        await socket.next("progress", "other")


async def test_the_usual_view_named_or_not_is_the_same_watch(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        for asked, view in ((JOB, "full"), (PROJECT, "brief")):
            await socket.send(watch=asked)
            await socket.send(watch={**asked, "view": view})
            assert (await socket.until("error"))[-1]["data"]["detail"] == "this is watched already"


async def test_of_two_views_the_one_that_is_named_is_left(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with connected(sidecar) as socket:
        for view in ("full", "brief"):
            await socket.send(watch={**JOB, "view": view})
            await socket.until("progress")
        await socket.send(unwatch={**JOB, "view": "full"}, ping=1)
        await socket.until("pong")
        await sidecar.push("j", current=2)
        assert "stages" not in (await socket.next("progress", "j"))["data"]


async def test_what_was_never_watched_can_be_left(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        await socket.send(unwatch=JOB)
        await socket.send(ping=1)
        await socket.next("pong")


@pytest.mark.parametrize("end", ["done", "gone"])
async def test_the_watch_of_a_job_ends_with_it_and_the_socket_stays(sidecar: Sidecar, end: str) -> None:
    await sidecar.push("j", current=1)
    async with connected(sidecar) as socket:
        await socket.send(watch=JOB)
        await socket.until("progress")
        if end == "done":
            await sidecar.push("j", status="completed")
        else:
            await sidecar.client.delete("/v1/jobs/j?force=true")
        await socket.next(end, "j")
        await sidecar.push("j", attempt=2, current=1)
        await socket.send(ping=1)
        await socket.next("pong")
        await socket.send(watch=JOB)
        await socket.next("connected")
        await socket.next("progress", "j")


async def test_a_job_that_stays_unknown_is_gone(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        await socket.send(watch=JOB)
        assert (await socket.next("connected"))["data"]["cursor"] is None
        await socket.next("gone", "j")
        await socket.send(ping=1)
        await socket.next("pong")


async def test_whoever_comes_back_is_told_only_what_it_missed(sidecar: Sidecar) -> None:
    for job_id in ("a", "b", "c"):
        await sidecar.push(job_id, current=1)
    async with connected(sidecar) as socket:
        cursor = (await watched(socket, **PROJECT))[-1]["data"]["cursor"]
    await sidecar.push("b", status="completed")
    await sidecar.client.delete("/v1/jobs/c?force=true")
    async with connected(sidecar) as socket:
        frames = await watched(socket, cursor, **PROJECT)
    assert frames[0]["data"]["recovered"] is True
    assert told(frames[1:]) == [("done", "b"), ("gone", "c"), ("synced", None)]


@pytest.mark.parametrize("after", [None, "", "nonsense", "other-1", "{epoch}-99999"])
async def test_whoever_comes_from_nowhere_is_told_everything(sidecar: Sidecar, after: str | None) -> None:
    epoch = (await sidecar.push("j", current=1))["cursor"].partition("-")[0]
    cursor = after and after.format(epoch=epoch)
    async with connected(sidecar) as socket:
        frames = await watched(socket, cursor, **PROJECT)
        assert frames[0]["data"]["recovered"] is False
        assert told(frames[1:]) == [("progress", "j"), ("synced", None)]
        await socket.send(watch=JOB, after=cursor)
        assert (await socket.next("connected"))["data"]["recovered"] is False
        await socket.next("progress", "j")


async def test_a_cursor_is_good_on_either_transport(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with watching(sidecar) as stream:
        cursor = (await until_synced(stream))[1].id
    await sidecar.push("j", current=2)
    async with connected(sidecar) as socket:
        frames = await watched(socket, cursor, **PROJECT)
        assert (frames[0]["data"]["recovered"], frames[1]["data"]["current"]) == (True, 2)
        await sidecar.push("j", current=3)
        cursor = (await socket.next("progress"))["cursor"]
        await socket.send(watch=JOB, after=cursor)
        assert (await socket.next("connected"))["data"]["recovered"] is True
    await sidecar.push("j", current=4)
    async with watching(sidecar, Last_Event_ID=cursor) as stream:
        events = await until_synced(stream)
        assert (events[0].data["recovered"], events[1].data["current"], len(events)) == (True, 4, 3)
    async with sidecar.watch("j", Last_Event_ID=cursor) as stream:
        assert (await stream.next("connected")).data["recovered"] is True
        assert (await stream.next("progress")).data["current"] == 4


async def test_whoever_has_heard_the_end_is_told_it_again(sidecar: Sidecar) -> None:
    cursor = (await sidecar.push("j", status="completed"))["cursor"]
    async with connected(sidecar) as socket:
        await socket.send(watch=JOB, after=cursor)
        assert (await socket.next("connected"))["data"]["recovered"] is True
        assert (await socket.next("done", "j"))["cursor"] == cursor


async def test_whoever_has_heard_everything_is_told_nothing_again(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    cursor = (await sidecar.push("j", status="completed"))["cursor"]
    async with connected(sidecar) as socket:
        assert told(await watched(socket, cursor, **PROJECT)) == [("connected", None), ("synced", None)]


MISTAKES: list[tuple[str, int, str]] = [
    ("", 400, ""),
    ("nonsense", 400, ""),
    ("[" * 100_000, 400, ""),
    (r'{"watch": {"job_id": "\ud800"}}', 400, ""),
    (r'{"watch": {"project": "p", "\udfff": 1}}', 400, ""),
    ('{"watch": {"job_id": %s}}' % ("9" * 4_000), 422, "watch.job_id"),
    ('{"watch": {"job_id": [NaN, Infinity, 1e999]}}', 422, "watch.job_id"),
    ("null", 422, ""),
    ("[]", 422, ""),
    ('"watch"', 422, ""),
    ("{}", 422, ""),
    ('{"watch": null}', 422, ""),
    ('{"watch": []}', 422, "watch"),
    ('{"watch": {}}', 422, "watch"),
    ('{"watch": {"job_id": "j", "project": "p"}}', 422, "watch"),
    ('{"watch": {"job_id": "j", "status": ["running"]}}', 422, "watch"),
    ('{"watch": {"job_id": ""}}', 422, "watch.job_id"),
    ('{"watch": {"job_id": 1}}', 422, "watch.job_id"),
    ('{"watch": {"job_id": "a b"}}', 422, "watch.job_id"),
    ('{"watch": {"project": "a/b"}}', 422, "watch.project"),
    ('{"watch": {"project": "p", "job_ids": []}}', 422, "watch.job_ids"),
    ('{"watch": {"project": "p", "job_ids": ["a b"]}}', 422, "watch.job_ids.0"),
    ('{"watch": {"project": "p", "status": ["sleeping"]}}', 422, "watch.status.0"),
    ('{"watch": {"project": "p", "view": "none"}}', 422, "watch.view"),
    ('{"watch": {"project": "p", "more": 1}}', 422, "watch.more"),
    ('{"watch": {"project": "p"}, "more": 1}', 422, "more"),
    ('{"watch": {"project": "p"}, "after": 7}', 422, "after"),
    ('{"watch": {"project": "p"}, "after": "%s"}' % ("x" * 257), 422, "after"),
    ('{"unwatch": {"project": 1}}', 422, "unwatch.project"),
]


@pytest.mark.parametrize(("text", "status", "field"), MISTAKES, ids=[text[:60] for text, _, _ in MISTAKES])
async def test_a_mistake_is_told_and_the_socket_stays(sidecar: Sidecar, text: str, status: int, field: str) -> None:
    await sidecar.push("j", current=1)
    async with connected(sidecar) as socket:
        await watched(socket, **PROJECT)
        await socket.socket.send_str(text)
        error = await socket.next("error")
        await sidecar.push("j", current=2)
        await socket.next("progress", "j")
    data = error["data"]
    assert (error["cursor"], data["status"]) == (None, status)
    assert {"type", "title", "status", "detail", "request_id"} <= set(data)
    assert [each["field"] for each in data.get("errors", [])] == ([] if status == 400 else [field])


@pytest.mark.parametrize(
    "watch", [{"project": "a/b"}, {"project": "default", "job_ids": []}, {"job_id": "j", "more": {"x": [1]}}]
)
async def test_a_mistake_names_the_watch_that_it_is_in(sidecar: Sidecar, watch: Json) -> None:
    async with connected(sidecar) as socket:
        await socket.send(watch=watch)
        assert (await socket.next("error"))["data"]["watch"] == watch


async def test_binary_messages_are_a_mistake_and_the_socket_stays(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        await socket.socket.send_bytes(b'{"ping": 1}')
        error = await socket.next("error")
        assert error["data"]["status"] == 400
        assert "text" in error["data"]["detail"]
        await socket.send(ping=1)
        await socket.next("pong")


async def test_what_is_watched_already_is_not_watched_twice(sidecar: Sidecar) -> None:
    watch = {**PROJECT, "status": ["running", "queued"]}
    async with connected(sidecar) as socket:
        await watched(socket, **watch)
        again = {**PROJECT, "status": ["queued", "running"]}
        await socket.send(watch=again)
        error = await socket.next("error")
        assert (error["data"]["status"], error["data"]["watch"]) == (409, again)
        await sidecar.push("j")
        await socket.next("progress", "j")
        await socket.send(ping=1)
        await socket.next("pong")


async def test_a_socket_carries_a_hundred_watches_and_no_more(start: Starter) -> None:
    sidecar = await start(times=PATIENT)
    async with connected(sidecar) as socket:
        for number in range(100):
            await socket.send(watch={"project": f"p{number}"})
            await socket.until("synced")
        await socket.send(watch=JOB)
        error = await socket.next("error")
        assert (error["data"]["status"], error["data"]["watch"]) == (409, JOB)
        await socket.send(unwatch={"project": "p50"})
        await socket.send(watch=JOB)
        await socket.next("connected", "j")
        for project in ("p0", "p50", "p99"):
            await sidecar.push(f"of-{project}", project=project)
        assert {(await socket.next("progress"))["data"]["job_id"] for _ in range(2)} == {"of-p0", "of-p99"}


@pytest.mark.parametrize("value", [1, 0, "", "text", False, [], {}])
async def test_a_ping_of_any_value_is_answered(sidecar: Sidecar, value: Json) -> None:
    async with connected(sidecar) as socket:
        await socket.send(ping=value)
        assert await socket.next() == {"event": "pong", "cursor": None, "data": {}}


async def pings(socket: Socket, number: int) -> float:
    """Return how long it took until so many pings had come, the first one not counted."""
    began = 0.0
    for already in range(number + 1):
        frame = await socket.socket.receive_json(timeout=10)
        assert frame == {"event": "ping", "cursor": None, "data": {}}
        began = began if already else asyncio.get_running_loop().time()
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("watches", [0, 1, 30])
async def test_a_silent_socket_is_pinged_once_a_heartbeat_however_many_watches_it_has(
    start: Starter, watches: int
) -> None:
    sidecar = await start(times=replace(PATIENT, heartbeat=0.5))
    async with connected(sidecar) as socket:
        for number in range(watches):
            await watched(socket, project=f"p{number}")
        assert 0.9 <= await pings(socket, 2) < 3


async def test_a_socket_that_says_something_is_not_pinged(start: Starter) -> None:
    sidecar = await start(times=replace(PATIENT, heartbeat=1.5))
    async with connected(sidecar) as socket:
        await watched(socket, **PROJECT)
        for number in range(40):
            await sidecar.push("j", current=number)
            assert (await socket.socket.receive_json(timeout=10))["event"] == "progress"
            await asyncio.sleep(0.05)


async def test_a_full_server_says_so_and_closes(start: Starter) -> None:
    sidecar = await start(most_streams=1)
    async with connected(sidecar) as first:
        await watched(first, **PROJECT)
        async with connected(sidecar) as second:
            told = await second.next()
            assert (told["event"], told["cursor"], told["data"]["reason"]) == ("overloaded", None, "full")
            assert 15 <= told["data"]["retry_after_seconds"] <= 45
            assert (await second.socket.receive(timeout=5)).type is WSMsgType.CLOSE
            assert second.socket.close_code == WSCloseCode.TRY_AGAIN_LATER
        await sidecar.push("j")
        await first.next("progress", "j")


async def test_a_socket_that_closed_makes_room(start: Starter) -> None:
    sidecar = await start(most_streams=1)
    for number in range(1, 4):
        async with connected(sidecar) as socket:
            await watched(socket, **PROJECT)
        await sidecar.metrics.until("stream_closed", "websocket", "client", times=number)


async def test_a_shutdown_closes_every_socket_and_says_why(start: Starter) -> None:
    sidecar = await start(times=PATIENT)
    async with connected(sidecar) as busy, connected(sidecar) as idle:
        await watched(busy, **PROJECT)
        await idle.send(ping=1)
        await idle.next("pong")
        async with asyncio.timeout(3):
            await sidecar.services.streams.drain(0)
            for socket in (busy, idle):
                assert (await socket.socket.receive()).type is WSMsgType.CLOSE
                assert socket.socket.close_code == WSCloseCode.GOING_AWAY
    await sidecar.metrics.until("stream_closed", "websocket", "shutdown", times=2)


async def test_what_the_token_does_not_reach_is_told_and_the_socket_stays(start: Starter) -> None:
    reader = Token(Role.READER, frozenset({"p"}), digest("a-reader-of-project-p"))
    admin = Token(Role.ADMIN, frozenset("*"), digest("an-admin-of-everything"))
    sidecar = await start(reader, admin)
    authorization = {"Authorization": "Bearer an-admin-of-everything"}
    for job_id, project in (("mine", "p"), ("theirs", "q")):
        async with sidecar.client.post(f"/v1/jobs/{job_id}", json={"project": project}, headers=authorization) as made:
            assert made.status == 200
    async with connected(sidecar, Authorization="Bearer a-reader-of-project-p") as socket:
        await socket.send(watch={"project": "q"})
        error = await socket.next("error")
        assert (error["data"]["status"], error["data"]["watch"]) == (403, {"project": "q"})
        assert told(await watched(socket, project="p"))[1:-1] == [("progress", "mine")]
        assert told(await watched(socket, project="*"))[1:-1] == [("progress", "mine")]
        assert told(await watched(socket, project="p", job_ids=["mine", "theirs"]))[1:-1] == [("progress", "mine")]
        await socket.send(watch={"job_id": "theirs"})
        assert (await socket.next("connected"))["data"]["cursor"] is None
        await socket.next("gone", "theirs")


async def test_a_socket_is_no_place_for_a_plain_request(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/v1/ws") as response:
        assert response.status == 400
        assert response.content_type == "application/problem+json"


async def test_a_message_that_is_too_large_closes_the_socket(sidecar: Sidecar) -> None:
    async with connected(sidecar) as socket:
        await socket.socket.send_str('{"ping": "%s"}' % ("x" * 300_000))
        assert (await socket.socket.receive(timeout=5)).type is WSMsgType.CLOSE
        assert socket.socket.close_code == WSCloseCode.MESSAGE_TOO_BIG
    await sidecar.metrics.until("stream_closed", "websocket", "client")


async def test_a_message_may_come_in_pieces(sidecar: Sidecar) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(HANDSHAKE + masked(b'{"pin', is_final=False) + masked(b"", 9) + masked(b'g": 1}', 0))
    async with asyncio.timeout(5):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\x8a\x00"
        assert b'"pong"' in await reader.readuntil(b"}}")
    writer.close()


@pytest.mark.parametrize("broken", [b"\xf1\x80\0\0\0\0", b"\x83\x80\0\0\0\0"])
async def test_what_is_no_frame_ends_the_socket(sidecar: Sidecar, broken: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(HANDSHAKE + broken)
    async with asyncio.timeout(5):
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
    writer.close()
    await sidecar.metrics.until("stream_closed", "websocket", "client")


async def test_a_watch_that_is_taken_back_while_the_client_is_behind_takes_no_other_with_it(start: Starter) -> None:
    sidecar = await start(times=replace(PATIENT, write=10.0), store_timeout_seconds=10.0)
    async with connected(sidecar) as socket:
        for project in ("p", "q"):
            await watched(socket, project=project, view="full")
        number = 0
        while (waiting := most_waiting(sidecar)) <= HIGH_WATER_BYTES:
            await sidecar.push("of-p", project="p", current=number, **LARGE)
            number += 1
        await sidecar.push("of-q", project="q")
        await until(lambda: most_waiting(sidecar) > waiting, 5, "both watches wait for the client")
        await socket.send(unwatch={"project": "p", "view": "full"})
        await until(lambda: watches() < 2, 5, "one watch is over")
        await socket.send(ping=1)
        frames = await socket.until("pong")
        await sidecar.push("of-q", status="completed")
        frames += await socket.until("done")
        assert told(frames)[-1] == ("done", "of-q")


def most_waiting(sidecar: Sidecar) -> int:
    """Return how many bytes wait for the client that is furthest behind."""
    return max(each.get_write_buffer_size() for each in transports(sidecar))


def watches() -> int:
    """Return how many watches there are on all sockets."""
    return sum(task.get_name() == "websocket-watch" for task in asyncio.all_tasks())
