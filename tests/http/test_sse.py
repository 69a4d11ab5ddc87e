import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from sidecar.http import wire
from sidecar.http.services import StreamTimes
from sidecar.http.watch import events
from sidecar.hub.broadcast import Broadcast
from sidecar.hub.traffic import Traffic
from sidecar.ports import Cursor, Stored
from sidecar.tokens import Role, Token, digest
from tests.adapters.updates import push, update
from tests.http.conftest import PATIENT, TIMES, EventStream, Sidecar, Starter
from tests.http.test_watch_project import until_synced, watching

Hanging = Callable[[], AbstractAsyncContextManager[None]]


async def opened(stream: EventStream, name: str = "progress") -> str:
    """Read a stream up to its snapshot and return where that stands."""
    await stream.next("connected")
    return str((await stream.next(name)).id)


def test_an_event_is_one_line_of_data_whatever_is_in_it() -> None:
    data = {"message": "a\nb\r\u2028c", "n": 1}
    told = events.event("progress", wire.encode(data), "e-1").decode()
    assert told.startswith("event: progress\nid: e-1\ndata: {")
    assert told.endswith("}\n\n")
    assert json.loads(told.split("\n")[2].removeprefix("data: ")) == data


async def test_a_stream_has_headers_that_no_proxy_holds_back(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.client.get("/v1/jobs/j/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache, no-transform"
        assert response.headers["Content-Encoding"] == "identity"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["X-Request-Id"]


async def test_a_stream_begins_with_its_own_retry_and_a_comment(sidecar: Sidecar) -> None:
    async with sidecar.watch("j") as stream:
        first, second = await stream.block(), await stream.block()
    assert first.retry is not None
    assert 1_000 <= first.retry <= 3_000
    assert second.comment is not None


async def test_the_snapshot_comes_first_and_then_every_change(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1, total=10)
    async with sidecar.watch("j") as stream:
        connected = await stream.next("connected")
        assert {**connected.data, "server_time": None} == {
            "job_id": "j",
            "recovered": False,
            "cursor": (await sidecar.job("j"))["cursor"],
            "server_time": None,
        }
        snapshot = await stream.next("progress")
        answer = await sidecar.push("j", current=2)
        change = await stream.next("progress")
    assert (snapshot.data["current"], snapshot.id) == (1, connected.data["cursor"])
    assert (change.data["current"], change.id) == (2, answer["cursor"])
    assert change.data == await sidecar.job("j")


async def test_what_a_stream_is_told_is_counted_with_how_late_it_was(start: Starter) -> None:
    traffic = {"sse": Traffic(), "websocket": Traffic()}
    sidecar = await start(traffic=traffic)
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        await opened(stream)
        for current in (2, 3):
            await sidecar.push("j", current=current)
            await stream.next("progress")
    told = traffic["sse"]
    assert (told.sent, told.coalesced, sum(told.delays)) == (2, 0, 2)
    assert 0 <= told.delay_seconds < 5
    assert traffic["websocket"].sent == 0


async def test_the_brief_view_sends_flat_rows(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j", "?view=brief") as stream:
        await stream.next("connected")
        assert "stages" not in (await stream.next("progress")).data


async def test_the_end_closes_the_stream(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        await opened(stream)
        await sidecar.push("j", status="completed", result={"rooms": 3})
        done = await stream.next("done")
        assert await stream.is_closed()
    assert done.data == {"job_id": "j", "status": "completed", "job": await sidecar.job("j")}
    await sidecar.metrics.until("stream_closed", "sse", "done")


async def test_a_finished_job_is_told_at_once(sidecar: Sidecar) -> None:
    await sidecar.push("j", status="failed")
    async with sidecar.watch("j") as stream:
        await opened(stream, "done")
        assert await stream.is_closed()


async def test_every_watcher_of_a_job_gets_the_same_bytes(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as one, sidecar.watch("j") as other:
        await opened(one)
        await opened(other)
        await sidecar.push("j", current=2)
        assert await one.next("progress") == await other.next("progress")


async def test_a_deleted_job_is_gone(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        await opened(stream)
        async with sidecar.client.delete("/v1/jobs/j?force=true") as response:
            assert response.status == 204
        gone = await stream.next("gone")
        assert gone.data == {"job_id": "j"}
        assert await stream.is_closed()


async def test_whoever_has_heard_that_a_job_is_gone_is_not_told_again(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        await opened(stream)
        async with sidecar.client.delete("/v1/jobs/j?force=true"):
            gone = await stream.next("gone")
    async with sidecar.client.get("/v1/jobs/j/events", headers={"Last-Event-ID": gone.id or ""}) as response:
        assert response.status == 204


async def test_whoever_was_away_when_a_job_was_deleted_is_told(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        cursor = await opened(stream)
    async with sidecar.client.delete("/v1/jobs/j?force=true") as response:
        assert response.status == 204
    async with sidecar.watch("j", Last_Event_ID=cursor) as stream:
        assert (await stream.next("connected")).data["recovered"] is False
        assert (await stream.next("gone")).data == {"job_id": "j"}


async def test_a_stream_waits_for_a_job_that_nobody_knows_yet(start: Starter) -> None:
    sidecar = await start(times=PATIENT)
    async with sidecar.watch("j") as stream:
        connected = await stream.next("connected")
        assert (connected.data["recovered"], connected.data["cursor"]) == (False, None)
        await sidecar.push("j", current=1)
        assert (await stream.next("progress")).data["current"] == 1


async def test_a_job_that_stays_unknown_is_gone(sidecar: Sidecar) -> None:
    async with sidecar.watch("j") as stream:
        await stream.next("connected")
        gone = await stream.next("gone")
        assert await stream.is_closed()
    assert gone.data == {"job_id": "j"}
    async with sidecar.client.get("/v1/jobs/j/events", headers={"Last-Event-ID": gone.id or ""}) as response:
        assert response.status == 204


async def test_a_stream_without_news_is_kept_alive(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.05))
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        await opened(stream)
        assert (await stream.block()).comment is not None


async def test_a_stream_that_waits_for_its_job_is_kept_alive(start: Starter) -> None:
    sidecar = await start(times=replace(PATIENT, heartbeat=0.05))
    async with sidecar.watch("j") as stream:
        await stream.next("connected")
        assert (await stream.block()).comment is not None


async def test_a_reconnect_with_nothing_new_repeats_nothing(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        cursor = await opened(stream)
    async with sidecar.watch("j", Last_Event_ID=cursor) as stream:
        assert (await stream.next("connected")).data["recovered"] is True
        await sidecar.push("j", current=2)
        assert (await stream.next("progress")).data["current"] == 2


async def test_a_reconnect_is_told_what_it_missed(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        cursor = await opened(stream)
    await sidecar.push("j", current=2)
    await sidecar.push("j", current=3)
    async with sidecar.watch("j", f"?last_event_id={cursor}") as stream:
        assert (await stream.next("connected")).data["recovered"] is True
        assert (await stream.next("progress")).data["current"] == 3


@pytest.mark.parametrize("cursor", ["nonsense", "otherepoch-1", "-", "{epoch}-99999", "{epoch}-\u00b2", "x" * 5_000])
async def test_a_reconnect_from_nowhere_gets_the_full_state(sidecar: Sidecar, cursor: str) -> None:
    answer = await sidecar.push("j", current=1)
    epoch = answer["cursor"].partition("-")[0]
    async with sidecar.watch("j", Last_Event_ID=cursor.format(epoch=epoch)) as stream:
        assert (await stream.next("connected")).data["recovered"] is False
        assert (await stream.next("progress")).data["current"] == 1


async def test_a_cursor_of_the_whole_project_is_a_place_too(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    answer = await sidecar.push("other", current=1)
    async with sidecar.watch("j", Last_Event_ID=answer["cursor"]) as stream:
        assert (await stream.next("connected")).data["recovered"] is True


async def test_whoever_has_heard_the_end_gets_204(sidecar: Sidecar) -> None:
    answer = await sidecar.push("j", status="completed")
    async with sidecar.client.get("/v1/jobs/j/events", headers={"Last-Event-ID": answer["cursor"]}) as response:
        assert response.status == 204


async def test_whoever_has_not_heard_the_end_is_told(sidecar: Sidecar) -> None:
    before = await sidecar.push("j", current=1)
    await sidecar.push("j", status="completed")
    async with sidecar.watch("j", Last_Event_ID=before["cursor"]) as stream:
        assert (await stream.next("connected")).data["recovered"] is True
        await stream.next("done")


async def test_a_higher_attempt_goes_on_after_the_end_of_the_last(sidecar: Sidecar) -> None:
    end = await sidecar.push("j", status="failed")
    await sidecar.push("j", attempt=2, current=1)
    async with sidecar.watch("j", Last_Event_ID=end["cursor"]) as stream:
        await stream.next("connected")
        assert (await stream.next("progress")).data["attempt"] == 2


async def test_a_hanging_store_does_not_hold_back_the_first_word(sidecar: Sidecar, hanging: Hanging) -> None:
    await sidecar.push("j", current=1)
    async with hanging(), asyncio.timeout(1), sidecar.watch("j") as stream:
        connected = await stream.next("connected")
        assert (connected.data["recovered"], connected.data["cursor"]) == (False, None)


async def test_a_stream_opened_while_the_store_hangs_gets_its_state_later(sidecar: Sidecar, hanging: Hanging) -> None:
    await sidecar.push("j", current=1)
    async with hanging():
        response = await sidecar.client.get("/v1/jobs/j/events")
        stream = EventStream(response.content)
        await stream.next("connected")
    assert (await stream.next("progress")).data["current"] == 1
    response.close()


async def test_a_reconnect_while_the_store_hangs_has_its_first_word_within_a_second(
    start: Starter, hanging: Hanging
) -> None:
    sidecar = await start(times=StreamTimes())
    answer = await sidecar.push("j", status="completed")
    async with hanging(), asyncio.timeout(1), sidecar.watch("j", Last_Event_ID=answer["cursor"]) as stream:
        assert (await stream.next("connected")).data["recovered"] is False


async def test_a_full_server_says_when_to_come_back(start: Starter) -> None:
    sidecar = await start(most_streams=1)
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as first:
        await opened(first)
        async with sidecar.watch("j") as second:
            overloaded = await second.block()
            assert await second.is_closed()
    assert overloaded.name == "overloaded"
    assert overloaded.retry is not None
    assert 15_000 <= overloaded.retry <= 45_000
    assert overloaded.data == {"reason": "full", "retry_after_seconds": overloaded.retry / 1000}


async def test_a_stream_that_ended_makes_room(start: Starter) -> None:
    sidecar = await start(most_streams=1)
    await sidecar.push("j", status="completed")
    for _ in range(3):
        async with sidecar.watch("j") as stream:
            await opened(stream, "done")
            assert await stream.is_closed()


async def test_a_shutdown_ends_every_stream(start: Starter) -> None:
    sidecar = await start(times=PATIENT)
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as watching, sidecar.watch("nobody") as waiting:
        await opened(watching)
        await waiting.next("connected")
        async with asyncio.timeout(2):
            await sidecar.runner.cleanup()
        assert await watching.is_closed()
        assert await waiting.is_closed()
    assert sidecar.metrics.counts["stream_closed", "sse", "shutdown"] == 2


async def test_a_client_that_leaves_is_counted(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.05))
    await sidecar.push("j", current=1)
    async with sidecar.watch("j") as stream:
        await opened(stream)
    await sidecar.metrics.until("stream_closed", "sse", "client")
    assert sidecar.metrics.counts["stream_opened", "sse"] == 1


async def test_who_may_not_see_a_job_learns_no_more_than_of_an_unknown_one(start: Starter) -> None:
    secret = "a-secret-of-sixteen"
    admin, reader = (
        Token(Role.ADMIN, frozenset("*"), digest("an-admins-secret")),
        Token(Role.READER, frozenset({"p"}), digest(secret)),
    )
    sidecar = await start(admin, reader)
    headers = {"Authorization": "Bearer an-admins-secret"}
    async with sidecar.client.post("/v1/jobs/hidden", json={"project": "q"}, headers=headers) as response:
        assert response.status == 200
    told = []
    for job_id in ("hidden", "unknown"):
        async with sidecar.watch(job_id, Authorization=f"Bearer {secret}") as stream:
            connected, gone = await stream.next("connected"), await stream.next("gone")
            told.append(({**connected.data, "job_id": "", "server_time": ""}, gone.name, gone.id))
    assert told[0] == told[1]


async def test_a_reader_that_never_reads_does_not_hold_up_the_others(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, write=1.0))
    await sidecar.push("j", current=0)
    _, stuck = await asyncio.open_connection("127.0.0.1", sidecar.port, limit=1_024)
    stuck.write(b"GET /v1/jobs/j/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await sidecar.metrics.until("stream_opened", "sse")
    async with sidecar.watch("j") as stream:
        await opened(stream)
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(sidecar.metrics.until("stream_closed", "sse", "slow_consumer"))
            current = 0
            while not ended.done():
                current += 1
                await sidecar.push("j", current=current, resume="x" * 16_000, detail="y" * 8_000)
                assert (await stream.next("progress")).data["current"] == current
        await sidecar.push("j", status="completed")
        await stream.next("done")
    stuck.close()


async def test_whoever_comes_while_a_store_lacks_what_others_were_told_waits_until_it_has_come_as_far(
    sidecar: Sidecar,
) -> None:
    await sidecar.push("j", project="p", current=1, total=10)
    hub, told = sidecar.services.hub, update("j", project="p", current=3)
    async with watching(sidecar, "project=p") as others:
        await until_synced(others)
        stored = await sidecar.services.watched.get("j", lambda _: True)
        further = push(told)(stored.view).view
        further = further._replace(job=further.job._replace(version=4))
        assert not hub.is_ahead("p", [Broadcast.of(stored)])
        hub._channels["p"].told.note(Broadcast.of(Stored(further, Cursor("another-store", 9))))
        assert hub.is_ahead("p", [Broadcast.of(stored)])
        async with sidecar.watch("j") as stream:
            assert (await stream.next("connected")).data["recovered"] is False
            for number in (4, 5, 6):
                await sidecar.push("j", current=number)
            event = await stream.next("progress")
    assert event.data["version"] == 4
