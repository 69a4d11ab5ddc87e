"""Which streams there may be, when each has to end, and how much is kept for one that is not read."""

import asyncio
import gc
import itertools
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from math import inf

import pytest
from aiohttp import ClientSession, TCPConnector, WSCloseCode, WSMsgType

from sidecar.http.auth import ANYONE, Gate, Principal
from sidecar.http.passes import Passes
from sidecar.http.services import StreamTimes
from sidecar.http.sign_in import COOKIE
from sidecar.http.streams import FullError, Limits, Stream, Streams
from sidecar.hub.watcher import EndedError
from sidecar.tokens import Role, Token, digest
from tests.clock import Clock
from tests.faults.patience import until
from tests.http.conftest import PATIENT, TIMES, EventStream, Sidecar, Starter
from tests.http.test_watch_project import until_synced, watching
from tests.http.test_websocket import LARGE, connected, transports

KIB = 1024


def reader(secret: str, *projects: str) -> Token:
    return Token(Role.READER, frozenset(projects), digest(secret))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


A, B = "the-secret-of-reader-a", "the-secret-of-reader-b"


@asynccontextmanager
async def opened(sidecar: Sidecar, secret: str = "", project: str = "p") -> AsyncIterator[EventStream]:
    """Open a stream that is let in."""
    async with watching(sidecar, f"project={project}", **(bearer(secret) if secret else {})) as stream:
        await until_synced(stream)
        yield stream


async def is_refused(sidecar: Sidecar, secret: str = "") -> bool:
    """Tell whether one more stream is too many."""
    async with watching(sidecar, "project=p", **(bearer(secret) if secret else {})) as stream:
        return (await stream.next()).name == "overloaded"


async def test_streams_of_all_transports_count_together(start: Starter) -> None:
    sidecar = await start(most_streams=3)
    cursor = (await sidecar.push("j"))["cursor"]
    async with opened(sidecar), connected(sidecar) as ws:
        await ws.send(ping=1)
        await ws.next("pong")
        assert not sidecar.services.streams.is_full(ANYONE, "")
        waiting = asyncio.create_task(get_status(sidecar, f"/v1/jobs/j?after={cursor}&wait=25"))
        await until(lambda: sidecar.services.streams.is_full(ANYONE, ""), 5, "three streams are open")
        assert await is_refused(sidecar)
        async with connected(sidecar) as other:
            await other.next("overloaded")
        assert await get_status(sidecar, f"/v1/jobs/j?after={cursor}&wait=25") == 503
        await sidecar.push("j", current=1)
        assert await waiting == 200
        async with opened(sidecar):
            pass


async def get_status(sidecar: Sidecar, path: str, **headers: str) -> int:
    async with sidecar.client.get(path, headers=headers) as response:
        return response.status


async def test_one_token_does_not_take_the_streams_of_another(start: Starter) -> None:
    sidecar = await start(reader(A, "p"), reader(B, "p"), streams=Streams(Limits(100, most_a_token=2)))
    async with opened(sidecar, A), opened(sidecar, A):
        assert await is_refused(sidecar, A)
        async with opened(sidecar, B), opened(sidecar, B):
            assert await is_refused(sidecar, B)


async def test_a_ticket_and_a_session_count_for_their_token(start: Starter) -> None:
    sidecar = await start(reader(A, "p"), streams=Streams(Limits(100, most_a_token=1)))
    async with sidecar.client.post("/v1/tickets", headers=bearer(A)) as response:
        ticket = (await response.json())["ticket"]
    async with sidecar.client.post("/v1/session", json={"token": A}) as response:
        cookie = f"{COOKIE}={response.cookies[COOKIE].value}"
    async with opened(sidecar, A):
        async with watching(sidecar, f"project=p&ticket={ticket}") as stream:
            await stream.next("overloaded")
        async with watching(sidecar, "project=p", Cookie=cookie) as stream:
            await stream.next("overloaded")


async def test_a_limit_for_tokens_is_none_for_whoever_needs_none(start: Starter) -> None:
    sidecar = await start(streams=Streams(Limits(100, most_a_token=1)))
    async with opened(sidecar), opened(sidecar), opened(sidecar):
        pass


async def test_one_address_does_not_take_the_streams_of_another(start: Starter) -> None:
    sidecar = await start(streams=Streams(Limits(100, most_an_address=1)), times=replace(TIMES, heartbeat=0.1))
    async with opened(sidecar):
        assert await is_refused(sidecar)
        connector = TCPConnector(local_addr=("127.0.0.2", 0))
        async with ClientSession(sidecar.url, connector=connector) as neighbour:
            elsewhere = replace(sidecar, client=neighbour)
            async with opened(elsewhere):
                assert await is_refused(elsewhere)
    await sidecar.metrics.until("stream_closed", "sse", "client", times=2)
    async with opened(sidecar):
        pass


def test_what_was_never_entered_is_never_counted() -> None:
    streams = Streams(Limits(1))
    for _ in range(3):
        streams.opened(ANYONE, "")
    with streams.opened(ANYONE, ""), pytest.raises(FullError):
        streams.opened(ANYONE, "")
    assert not streams.is_full(ANYONE, "")


def test_lifetimes_are_spread_by_a_tenth_so_that_not_all_come_back_at_once(clock: Clock) -> None:
    streams = Streams(Limits(), 3_600, clock=clock)
    lifetimes = [streams.opened(ANYONE, "").ends_at - clock.now for _ in range(1_000)]
    assert 3_240 <= min(lifetimes) < 3_300
    assert 3_900 < max(lifetimes) <= 3_960
    assert sum(lifetime < 3_600 for lifetime in lifetimes) in range(400, 600)


@asynccontextmanager
async def three(
    sidecar: Sidecar, cookie: str = "", **headers: str
) -> AsyncIterator[Callable[[int, str], Awaitable[None]]]:
    """Open a stream of a project, one of a job and a socket; the result awaits their ends."""
    sent = {**headers, **({"Cookie": cookie} if cookie else {})}
    async with (
        watching(sidecar, "project=p", **sent) as many,
        sidecar.watch("j", **sent) as one,
        connected(sidecar, **sent) as ws,
    ):
        await until_synced(many)
        await one.next("connected")
        await one.next("progress")
        await ws.send(watch={"project": "p"})
        await ws.until("synced")

        async def end(code: int, reason: str) -> None:
            assert await many.is_closed()
            assert await one.is_closed()
            assert (await ws.socket.receive(timeout=5)).type is WSMsgType.CLOSE
            assert ws.socket.close_code == code
            await sidecar.metrics.until("stream_closed", "sse", reason, times=2)
            await sidecar.metrics.until("stream_closed", "websocket", reason)

        yield end


async def put(sidecar: Sidecar, **headers: str) -> None:
    async with sidecar.client.post("/v1/jobs/j", json={"project": "p"}, headers=headers) as response:
        assert response.status == 200


async def test_streams_end_when_they_have_lived_long_enough(start: Starter, clock: Clock) -> None:
    sidecar = await start(streams=Streams(Limits(), 3_600, clock=clock), times=PATIENT)
    await put(sidecar)
    async with three(sidecar) as end:
        clock.now += 3_960
        await end(WSCloseCode.SERVICE_RESTART, "lifetime")


ADMIN = Token(Role.ADMIN, frozenset("*"), digest("an-admin-of-everything"))


async def test_streams_end_with_the_session_that_let_them_in(start: Starter, clock: Clock) -> None:
    gate = Gate([reader(A, "p"), ADMIN], is_token_required=True, passes=Passes(None, clock))
    sidecar = await start(gate=gate, streams=Streams(Limits(), now=clock), times=PATIENT)
    await put(sidecar, **bearer("an-admin-of-everything"))
    async with sidecar.client.post("/v1/session", json={"token": A}) as response:
        cookie = f"{COOKIE}={response.cookies[COOKIE].value}"
    async with three(sidecar, cookie) as end, opened(sidecar, A) as other:
        clock.now += 12 * 3_600
        await end(WSCloseCode.POLICY_VIOLATION, "expired")
        await put(sidecar, **bearer("an-admin-of-everything"))
        async with sidecar.client.post(
            "/v1/jobs/k", json={"project": "p"}, headers=bearer("an-admin-of-everything")
        ) as response:
            assert response.status == 200
        assert (await other.next("progress")).data["job_id"] == "k"


@pytest.mark.parametrize(
    ("before", "after", "is_ended"),
    [
        (["p"], [], True),
        (["p", "q"], ["p"], True),
        (["*"], ["p"], True),
        (["p"], ["q"], True),
        (["p"], ["p"], False),
        (["p"], ["p", "q"], False),
        (["p"], ["*"], False),
        (["*"], ["*"], False),
    ],
)
async def test_streams_end_with_the_right_to_see_as_much(
    start: Starter, before: list[str], after: list[str], *, is_ended: bool
) -> None:
    sidecar = await start(reader(A, *before), ADMIN, times=PATIENT)
    await put(sidecar, **bearer("an-admin-of-everything"))
    async with three(sidecar, **bearer(A)) as end:
        sidecar.services.gate.replace([*([reader(A, *after)] if after else []), ADMIN])
        sidecar.services.streams.revoke(sidecar.services.gate.is_valid)
        if not is_ended:
            assert not sidecar.metrics.counts["stream_closed", "sse", "expired"]
            await sidecar.services.streams.drain(0)
        await end(*((WSCloseCode.POLICY_VIOLATION, "expired") if is_ended else (WSCloseCode.GOING_AWAY, "shutdown")))


async def test_who_waits_for_an_answer_gets_none_when_the_right_ends(start: Starter) -> None:
    sidecar = await start(reader(A, "p"), ADMIN, most_streams=1)
    await put(sidecar, **bearer("an-admin-of-everything"))
    async with sidecar.client.get("/v1/jobs/j", headers=bearer(A)) as response:
        cursor = (await response.json())["cursor"]
    waiting = asyncio.create_task(get_status(sidecar, f"/v1/jobs/j?after={cursor}&wait=25", **bearer(A)))
    await until(lambda: sidecar.services.streams.is_full(ANYONE, ""), 5, "somebody waits")
    sidecar.services.gate.replace([ADMIN])
    sidecar.services.streams.revoke(sidecar.services.gate.is_valid)
    async with asyncio.timeout(2):
        assert await waiting == 204


def entered(streams: Streams, number: int, principal: Principal = ANYONE) -> list[Stream]:
    """Return streams that are counted as open."""
    some = [streams.opened(principal, "") for _ in range(number)]
    for stream in some:
        streams.add(stream)
    return some


@pytest.mark.parametrize(("number", "seconds"), [(1, 5.0), (20, 0.5), (500, 0.5), (0, 5.0), (20, 0.0)])
async def test_a_drain_ends_streams_one_after_another_within_its_time(number: int, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    streams, ends = Streams(Limits()), []
    for stream in entered(streams, number):
        stream.on_end(lambda reason: ends.append((clock(), reason)))
    began = clock()
    draining = asyncio.create_task(streams.drain(seconds))
    await asyncio.sleep(0)
    assert streams.is_draining
    with pytest.raises(FullError):
        streams.opened(ANYONE, "")
    await draining
    assert [reason for _, reason in ends] == ["shutdown"] * number
    if number > 1:
        offsets = [at - began for at, _ in ends]
        assert offsets[0] < 0.1 * max(seconds, 1)
        assert seconds * 0.8 <= offsets[-1] - offsets[0] <= seconds * 1.5 + 0.5
        middle = sum(seconds * 0.25 < offset < seconds * 0.75 for offset in offsets)
        assert middle >= number * 0.2 or not seconds


async def test_a_stream_that_has_ended_tells_whoever_asks_the_first_reason() -> None:
    streams, told = Streams(Limits()), list[str]()
    with streams.opened(ANYONE, "") as stream:
        stream.on_end(told.append)
        stream.end("lifetime")
        stream.end("shutdown")
        stream.on_end(told.append)
        with pytest.raises(EndedError, match="lifetime"):
            await stream.pause(10)
    assert told == ["lifetime", "lifetime"]


async def test_a_stream_that_pauses_is_woken_by_its_end() -> None:
    with Streams(Limits()).opened(ANYONE, "") as stream:
        await stream.pause(0.01)
        asyncio.get_running_loop().call_later(0.01, stream.end, "shutdown")
        async with asyncio.timeout(2):
            with pytest.raises(EndedError, match="shutdown"):
                await stream.pause(60)


async def test_without_a_lifetime_a_stream_lives_on() -> None:
    assert Streams(Limits()).opened(ANYONE, "").ends_at == inf


def unanswered_milliseconds(transport: asyncio.Transport) -> int:
    option = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    return int(option)


async def test_a_dead_machine_is_noticed_by_the_system_within_half_a_minute(sidecar: Sidecar) -> None:
    await put(sidecar)
    async with three(sidecar):
        streaming = [each for each in map(unanswered_milliseconds, transports(sidecar)) if each]
    assert streaming == [30_000] * 3


async def push_large(sidecar: Sidecar, number: int) -> None:
    """Push jobs of 40 KB each; a few of them are more than the system takes for one connection."""
    for first in range(0, number, 20):
        lines = [{"job_id": f"j{first + place}", "project": "p", **LARGE} for place in range(20)]
        async with sidecar.client.post("/v1/updates", json=lines) as response:
            assert response.status == 200


class Deaf:
    """A client that asks and reads nothing by itself."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        self._socket.connect(("127.0.0.1", port))

    def ask(self, path: str) -> None:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def read(self, size: int) -> bytes:
        self._socket.settimeout(0)
        data = await asyncio.get_running_loop().sock_recv(self._socket, size)
        assert data, "the connection was closed"
        return data

    def close(self) -> None:
        self._socket.close()


def is_over(sidecar: Sidecar) -> bool:
    """Tell whether a stream has been closed, for whatever reason."""
    return any(what[0] == "stream_closed" for what in sidecar.metrics.counts)


async def most_kept(sidecar: Sidecar) -> int:
    """Return the most bytes that ever wait for one connection until a stream has been closed."""
    most = 0
    async with asyncio.timeout(20):
        while not is_over(sidecar):
            most = max([most, *(each.get_write_buffer_size() for each in transports(sidecar))])
            await asyncio.sleep(0)
    return most


@pytest.mark.parametrize("query", ["project=p", "project=*", "project=p&job_id={ids}"])
async def test_little_waits_for_a_client_that_does_not_read_its_first_state(start: Starter, query: str) -> None:
    sidecar = await start(times=replace(TIMES, write=0.5), store_timeout_seconds=10.0)
    await push_large(sidecar, 400)
    ids = ",".join(f"j{number}" for number in range(400))
    with closing(Deaf(sidecar.port)) as deaf:
        deaf.ask(f"/v1/events?{query.format(ids=ids)}&view=full")
        most = await most_kept(sidecar)
    assert 0 < most <= 256 * KIB
    assert sidecar.metrics.counts["stream_closed", "sse", "slow_consumer"] == 1, sidecar.metrics.counts


async def test_client_that_takes_a_little_now_and_then_is_not_closed(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, write=0.3), store_timeout_seconds=10.0)
    await push_large(sidecar, 200)
    loop, wanted = asyncio.get_running_loop(), b"event: synced"
    with closing(Deaf(sidecar.port)) as slow:
        slow.ask("/v1/events?project=p&view=full")
        deadline, heard = loop.time() + 3.0, b""
        while loop.time() < deadline:
            heard += await slow.read(2 * KIB)
            await asyncio.sleep(0.05)
        assert not is_over(sidecar)
        async with asyncio.timeout(20):
            while wanted not in heard:
                heard = heard[-len(wanted) :] + await slow.read(256 * KIB)


async def test_client_that_never_reads_is_gone_within_half_a_minute_of_many_updates(start: Starter) -> None:
    sidecar = await start(times=StreamTimes(), store_timeout_seconds=10.0)
    jobs = [{"job_id": f"j{number}", "project": "p"} for number in range(1_500)]
    with closing(Deaf(sidecar.port)) as deaf:
        deaf.ask("/v1/events?project=p")
        async with asyncio.timeout(30):
            for count in itertools.count():
                lines = [{**job, "current": count} for job in jobs]
                async with sidecar.client.post("/v1/updates", json=lines) as response:
                    assert response.status == 200
                if is_over(sidecar):
                    break
    assert sidecar.metrics.counts["stream_closed", "sse", "slow_consumer"] == 1, sidecar.metrics.counts


async def test_little_is_held_anywhere_for_clients_that_do_not_read_their_first_state(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, write=30.0), store_timeout_seconds=10.0)
    await push_large(sidecar, 200)
    async with watching(sidecar, "project=p&view=full") as stream:
        await until_synced(stream)
    with ExitStack() as stack:
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1, 9):
            deaf = stack.enter_context(closing(Deaf(sidecar.port)))
            deaf.ask("/v1/events?project=p&view=full")
            await until(lambda wanted=number: stuck(sidecar) == wanted, 20, "the client is stuck")  # type: ignore[misc]
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    assert (held - before) / 8 < 1024 * KIB


def stuck(sidecar: Sidecar) -> int:
    """Return for how many connections something waits."""
    return sum(each.get_write_buffer_size() > 0 for each in transports(sidecar))


async def test_jobs_that_were_shown_are_not_kept_whole_for_as_long_as_somebody_watches(start: Starter) -> None:
    sidecar = await start(store_timeout_seconds=10.0)
    await push_large(sidecar, 200)
    with ExitStack() as stack:
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        async with watching(sidecar, "project=p") as stream:
            await until_synced(stream)
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
    assert (held - before) / 200 < 8 * KIB
