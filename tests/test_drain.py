"""How a sidecar stops while many are watching: a real process, real signals, clients of every transport."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, WSCloseCode, WSMsgType

from tests.faults.patience import until_found
from tests.running import Running, push, running

DRAIN_SECONDS = 2.0
GRACE_SECONDS = 5.0
OF_EACH = 8


@dataclass
class Crowd:
    """Clients of every transport, and how and when each of them ended."""

    client: ClientSession
    url: str
    connected: int = 0
    ends: list[tuple[float, str]] = field(default_factory=list)

    async def stream(self, path: str) -> None:
        """Read an event stream to its end."""
        async with self.client.get(self.url + path) as response:
            assert response.status == 200
            self.connected += 1
            events = [line async for line in response.content if line.startswith(b"event: ")]
        assert b"event: overloaded\n" not in events
        self._ended("stream")

    async def socket(self) -> None:
        """Read a WebSocket to its end."""
        async with self.client.ws_connect(f"{self.url}/v1/ws") as ws:
            await ws.send_json({"watch": {"project": "default"}})
            self.connected += 1
            while (await ws.receive(timeout=60)).type is WSMsgType.TEXT:
                continue
            self._ended(f"socket {ws.close_code}")

    async def poll(self, cursor: str) -> None:
        """Wait for one answer."""
        self.connected += 1
        async with self.client.get(f"{self.url}/v1/jobs/job-1?after={cursor}&wait=60") as response:
            self._ended(f"poll {response.status}")

    def _ended(self, how: str) -> None:
        self.ends.append((monotonic(), how))

    def count(self, how: str) -> int:
        return sum(end == how for _, end in self.ends)


@asynccontextmanager
async def crowd(sidecar: Running) -> AsyncIterator[Crowd]:
    """Let many watch; each must come to a regular end."""
    async with AsyncExitStack() as stack:
        connector = TCPConnector(limit=0)
        client = await stack.enter_async_context(ClientSession(connector=connector, timeout=ClientTimeout(60)))
        watching = Crowd(client, sidecar.url)
        cursor = (await push(client, sidecar.url, current=1))["cursor"]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for _ in range(OF_EACH):
            tasks.create_task(watching.stream("/v1/jobs/job-1/events"))
            tasks.create_task(watching.stream("/v1/events?project=*"))
            tasks.create_task(watching.socket())
            tasks.create_task(watching.poll(cursor))
        await until_found(lambda: _are_open(watching), 20, lambda: "all of them are watching")
        yield watching


async def _are_open(watching: Crowd) -> bool:
    async with watching.client.get(f"{watching.url}/metrics") as response:
        lines = [
            line.split()
            for line in (await response.text()).splitlines()
            if line.startswith("progress_stream_connections{")
        ]
    return watching.connected == 4 * OF_EACH and sum(float(value) for *_, value in lines) >= 3 * OF_EACH


async def parts(client: ClientSession, url: str) -> tuple[int, dict[str, str]]:
    async with client.get(f"{url}/readyz") as response:
        return response.status, dict(json.loads(await response.read()))


async def exited(sidecar: Running, seconds: float) -> tuple[int, str]:
    """Wait for the end of the process; return its exit code and what it said."""
    async with asyncio.timeout(seconds):
        _, errors = await sidecar.process.communicate()
    return sidecar.process.returncode or 0, errors.decode()


async def test_asked_to_stop_it_lets_everybody_go_one_after_another(tmp_path: Path) -> None:
    async with running(tmp_path, drain_seconds=DRAIN_SECONDS, log_format="json") as sidecar:
        async with crowd(sidecar) as watching:
            assert (await parts(watching.client, sidecar.url))[0] == 200
            asked = monotonic()
            sidecar.process.send_signal(signal.SIGTERM)
            await until_found(lambda: _is_unready(watching), DRAIN_SECONDS, lambda: "it is not ready any more")
            left = len(watching.ends)
            assert left < 2 * OF_EACH
            await newcomers(watching)
            code, errors = await exited(sidecar, DRAIN_SECONDS + GRACE_SECONDS)
            took = monotonic() - asked
        assert (code, took < DRAIN_SECONDS + GRACE_SECONDS) == (0, True)
        assert "Traceback" not in errors
        assert watching.count("stream") == 2 * OF_EACH
        assert watching.count(f"socket {WSCloseCode.GOING_AWAY.value}") == OF_EACH
        assert watching.count("poll 204") == OF_EACH
        times = sorted(at - asked for at, _ in watching.ends)
        assert DRAIN_SECONDS * 0.7 < times[-1] - times[0] < DRAIN_SECONDS + GRACE_SECONDS
        for first in range(0, len(times), OF_EACH):
            quarter = times[first : first + OF_EACH]
            assert quarter[-1] - quarter[0] < DRAIN_SECONDS * 0.6


async def _is_unready(watching: Crowd) -> bool:
    status, said = await parts(watching.client, watching.url)
    assert (status == 200) == (said["accepting"] == "ok"), said
    return status == 503


async def newcomers(watching: Crowd) -> None:
    """Whoever comes now to watch is told to come back soon; work is taken to the end."""
    client, url = watching.client, watching.url
    for path in ("/v1/jobs/job-1/events", "/v1/events?project=default", "/v1/events?project=*"):
        async with client.get(url + path) as response:
            retry, event, data = (await response.read()).decode().split("\n")[:3]
        assert (response.status, event) == (200, "event: overloaded")
        seconds = int(retry.removeprefix("retry: ")) / 1000
        assert 1 <= seconds <= 3
        assert json.loads(data.removeprefix("data: ")) == {"reason": "draining", "retry_after_seconds": seconds}
    async with client.ws_connect(f"{url}/v1/ws") as ws:
        told = await ws.receive_json(timeout=5)
        assert (told["event"], told["data"]["reason"]) == ("overloaded", "draining")
        assert 1 <= told["data"]["retry_after_seconds"] <= 3
        assert (await ws.receive(timeout=5)).type is WSMsgType.CLOSE
        assert ws.close_code == WSCloseCode.TRY_AGAIN_LATER
    answer = await push(client, url, "job-2", current=2)
    assert answer["applied"]
    async with client.get(f"{url}/v1/jobs/job-2") as response:
        assert response.status == 200
    async with client.get(f"{url}/v1/jobs/job-2?after={answer['cursor']}&wait=60") as response:
        assert (response.status, int(response.headers["Retry-After"]) > 0) == (503, True)
        assert int(response.headers["Retry-After"]) <= 3


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]]
)
async def test_in_a_hurry_it_ends_at_once(tmp_path: Path, signals: list[signal.Signals]) -> None:
    async with running(tmp_path, drain_seconds=60) as sidecar:
        async with crowd(sidecar) as watching:
            for number, each in enumerate(signals):
                if number:
                    await until_found(lambda: _is_unready(watching), GRACE_SECONDS, lambda: "it has heard the first")
                sidecar.process.send_signal(each)
            code, errors = await exited(sidecar, GRACE_SECONDS)
        assert code == 0
        assert "Traceback" not in errors
        assert len(watching.ends) == 4 * OF_EACH


async def test_without_watchers_nothing_is_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path, drain_seconds=60) as sidecar:
        sidecar.process.send_signal(signal.SIGTERM)
        assert (await exited(sidecar, GRACE_SECONDS))[0] == 0


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_client_that_does_not_read_delays_nothing(tmp_path: Path, *, is_new: bool) -> None:
    """Neither one that has yet to take its first state, nor one that has stopped to take changes."""
    asking = b"GET /v1/events?project=default&view=full HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with running(tmp_path, drain_seconds=0.5) as sidecar, ClientSession() as client:
        with closing(socket.create_connection(("127.0.0.1", int(sidecar.url.rpartition(":")[2])))) as deaf:
            if not is_new:
                deaf.sendall(asking)
            await push_large(client, sidecar.url)
            if is_new:
                deaf.sendall(asking)
            async with client.get(f"{sidecar.url}/v1/events?project=default") as reading:
                await reading.content.readuntil(b"event: synced")
                sidecar.process.send_signal(signal.SIGTERM)
                code, errors = await exited(sidecar, 0.5 + GRACE_SECONDS)
        assert (code, "Traceback" in errors) == (0, False)


async def push_large(client: ClientSession, url: str) -> None:
    """Push more than the system keeps for a connection that is not read."""
    for number in range(300):
        await push(client, url, f"job-{number}", detail="d" * 8_000, resume="r" * 16_000)


async def test_whoever_was_let_go_comes_back_to_the_next_one_and_misses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, drain_seconds=1) as sidecar, ClientSession() as client:
        cursor = (await push(client, sidecar.url, current=1))["cursor"]
        async with client.get(f"{sidecar.url}/v1/jobs/job-1/events") as stream:
            await stream.content.readuntil(f"id: {cursor}\n".encode())
            sidecar.process.send_signal(signal.SIGTERM)
            await stream.read()
        assert (await exited(sidecar, 1 + GRACE_SECONDS))[0] == 0
    async with running(tmp_path) as sidecar, ClientSession(timeout=ClientTimeout(10)) as client:
        await push(client, sidecar.url, status="completed")
        async with client.get(f"{sidecar.url}/v1/jobs/job-1/events", headers={"Last-Event-ID": cursor}) as stream:
            told = await stream.read()
    assert b"event: done" in told
