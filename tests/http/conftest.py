"""A sidecar's HTTP side as it runs in production, over a real Valkey, with waits short enough for tests."""

import asyncio
import json
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientSession, StreamReader, web

from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis.broker import RedisBroker
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.background.baselines import Baselines
from sidecar.background.supervision import supervise
from sidecar.core import job
from sidecar.core.job import Json
from sidecar.core.stalls import DEFAULT
from sidecar.foresight import Foresight
from sidecar.history import StatsQuery, TypeStats
from sidecar.http import routes
from sidecar.http.auth import Gate
from sidecar.http.server_log import server_logger
from sidecar.http.services import Services, StreamTimes
from sidecar.http.streams import Limits, Streams
from sidecar.hub.hub import Hub
from sidecar.job_types import JobTypes
from sidecar.ports import Exemplar
from sidecar.tokens import Token
from sidecar.tracker import Tracker
from tests.clock import Clock
from tests.pasts import Past

TIMES = StreamTimes(heartbeat=5.0, store=0.3, poll=0.02, unknown=0.1, write=5.0)
PATIENT = replace(TIMES, unknown=30.0)


class Counted:
    """`Metrics` that remembers what it was told."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[object, ...]] = Counter()
        self._changed = asyncio.Event()

    async def until(self, *what: object, times: int = 1) -> None:
        """Wait until something has been counted that often."""
        async with asyncio.timeout(10):
            while self.counts[what] < times:
                self._changed.clear()
                await self._changed.wait()

    def pushed(self, job_type: str, result: str) -> None:
        self._count("pushed", job_type, result)

    def rejected(self, reason: str, job_type: str | None = None) -> None:
        self._count("rejected", reason)
        self._count("rejected of", job_type)

    def stage_started(self, job_type: str, stage: str) -> None:
        self._count("stage_started", job_type, stage)

    def stage_finished(
        self, job_type: str, stage: str, outcome: str, seconds: float, exemplar: Exemplar = None
    ) -> None:
        del exemplar
        self._count("stage_finished", job_type, stage, outcome, seconds >= 0)

    def request_finished(self, method: str, route: str, code: int, seconds: float, exemplar: Exemplar = None) -> None:
        del exemplar
        assert seconds >= 0
        self._count("request_finished", method, route, code)

    def stream_opened(self, transport: str) -> None:
        self._count("stream_opened", transport)

    def stream_closed(self, transport: str, reason: str, seconds: float) -> None:
        assert seconds >= 0
        self._count("stream_closed", transport, reason)

    def stream_resumed(self, result: str) -> None:
        self._count("stream_resumed", result)

    def stream_missed(self) -> None:
        self._count("stream_missed")

    def fell_back(self, operation: str, surface: str, reason: str) -> None:
        self._count("fell_back", operation, surface, reason)

    def recorded(self, lines: int) -> None:
        self._count("recorded", lines)

    def outbox(self, lines: int, size_bytes: int, limit_bytes: int, oldest_at: float | None) -> None:
        self._count("outbox", lines, size_bytes, limit_bytes, oldest_at)

    def sample_dropped(self) -> None:
        self._count("sample_dropped")

    def job_started(self, job_type: str) -> None:
        self._count("job_started", job_type)

    def job_finished(self, job_type: str, outcome: str, seconds: float | None) -> None:
        self._count("job_finished", job_type, outcome, seconds is not None)

    def eta_missed(self, job_type: str, ratio: float) -> None:
        self._count("eta_missed", job_type, round(ratio, 1))

    def items_counted(self, job_type: str, item: str, number: float) -> None:
        self._count("items_counted", job_type, item, number)

    def request_began(self) -> None:
        self._count("request_began")

    def request_ended(self) -> None:
        self._count("request_ended")

    def store_answered(self, store: str, operation: str, seconds: float) -> None:
        assert seconds >= 0
        self._count("store_answered", store, operation)

    def store_failed(self, store: str, operation: str, kind: str) -> None:
        self._count("store_failed", store, operation, kind)

    def loop_lagged(self, seconds: float) -> None:
        assert seconds >= -1
        self._count("loop_lagged")

    def loop_crashed(self, loop: str) -> None:
        self._count("loop_crashed", loop)

    def _count(self, *what: object) -> None:
        self.counts[what] += 1
        self._changed.set()


class Unrecorded:
    """`History` that has heard of nothing, so that timelines come from the outbox."""

    async def timeline(self, job_id: str, after: int, limit: int) -> list[job.Event]:
        del job_id, after, limit
        return []

    async def recorded(self, job_id: str, event_ids: Sequence[str]) -> tuple[int, set[str]]:
        del job_id, event_ids
        return 0, set()

    async def attempts(self, job_id: str) -> list[Mapping[str, Json]]:
        del job_id
        return []

    async def stats(self, may_see: Callable[[str], bool], asked: StatsQuery) -> list[TypeStats]:
        del may_see, asked
        return []


class AlwaysThere:
    """A `Switch` that is never turned."""

    is_away = False

    async def until_away(self) -> None:
        await asyncio.Event().wait()

    async def until_back(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream as a browser sees it; a comment has only `comment`."""

    name: str = ""
    data: Json = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None


class EventStream:
    """The reading end of an event stream."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content

    async def next(self, name: str = "") -> Event:
        """Return the next event that is no comment; it must have this name, if one is given."""
        while True:
            event = await self.block()
            if event.name:
                assert not name or event.name == name, event
                return event

    async def block(self) -> Event:
        """Return whatever stands before the next blank line."""
        fields: dict[str, Any] = {}
        async with asyncio.timeout(10):
            while line := (await self._content.readline()).decode():
                if line == "\n":
                    break
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name or "comment"] = value
        if not fields:
            raise EOFError
        data = fields.get("data")
        return Event(
            name=fields.get("event", ""),
            data=None if data is None else json.loads(data),
            id=fields.get("id"),
            retry=int(fields["retry"]) if "retry" in fields else None,
            comment=fields.get("comment") if len(fields) == 1 else None,
        )

    async def is_closed(self) -> bool:
        """Tell whether the stream ends here; wait until it says something or ends."""
        try:
            await self.block()
        except EOFError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar and a client of it."""

    port: int
    client: ClientSession
    metrics: Counted
    services: Services
    link: RedisLink
    runner: web.AppRunner

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def push(self, job_id: str, **fields: Json) -> dict[str, Json]:
        """Push an update and return the answer, which must be good."""
        async with self.client.post(f"/v1/jobs/{job_id}", json=fields) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def job(self, job_id: str) -> dict[str, Json]:
        async with self.client.get(f"/v1/jobs/{job_id}") as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    @asynccontextmanager
    async def watch(self, job_id: str, query: str = "", **headers: str) -> AsyncIterator[EventStream]:
        """Open an event stream."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.get(f"/v1/jobs/{job_id}/events{query}", headers=named) as response:
            assert response.status == 200, await response.text()
            yield EventStream(response.content)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Valkey that all tests of this process share; each empties it before it begins."""
    with asyncio.Runner() as runner:
        directory = DataDirectory(tmp_path_factory.mktemp("valkey"))
        runner.run(directory.acquire())
        valkey = EmbeddedValkey(directory)
        runner.run(valkey.start())
        yield valkey.url
        runner.run(valkey.stop())
        directory.release()


class Starter:
    """Starts sidecars over one Valkey."""

    def __init__(self, valkey_url: str, stack: AsyncExitStack) -> None:
        self._valkey_url = valkey_url
        self._stack = stack

    async def __call__(  # noqa: PLR0913 - options
        self,
        *tokens: Token,
        metrics_token: str | None = None,
        is_ops: bool = False,
        most_streams: int = 100,
        store_timeout_seconds: float = 1.0,
        job_types: JobTypes | None = None,
        past: Past | None = None,
        **options: Any,
    ) -> Sidecar:
        """Start one; options are those of `Services`."""
        link = RedisLink(self._valkey_url, store_timeout_seconds)
        self._stack.push_async_callback(link.close)
        live, metrics = RedisLive(link, time.time), Counted()
        hub = Hub(RedisBroker(link), live, live, live, AlwaysThere())
        types = job_types or JobTypes({}, DEFAULT)
        baselines = Baselines(past or Past(), types.limits)
        await baselines.refresh()
        foresight = Foresight(types, baselines)
        tracker = Tracker(live, live, Unrecorded(), metrics, time.time, foresight.informed)
        services = Services(
            **{
                "tracker": tracker,
                "watched": tracker,
                "known_types": foresight.known_types,
                "hub": hub,
                "metrics": metrics,
                "gate": Gate(tokens, is_token_required=bool(tokens), metrics_token=metrics_token),
                "streams": Streams(Limits(most_streams)),
                "render": _render,
                "probes": {},
                "version": "1.2.3",
                "times": TIMES,
                **options,
            }
        )
        loops = (
            ("hub", hub.run),
            ("heartbeat", partial(hub.beat, services.times.heartbeat)),
            ("streams", services.streams.watch),
        )
        for name, loop in loops:
            running = asyncio.create_task(supervise(name, loop, metrics))
            self._stack.push_async_callback(_ended, running)
        runner = await self._listen(routes.ops(services) if is_ops else routes.api(services))
        port = runner.addresses[0][1]
        client = await self._stack.enter_async_context(ClientSession(f"http://127.0.0.1:{port}"))
        return Sidecar(port, client, metrics, services, link, runner)

    async def _listen(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            app, handler_cancellation=False, access_log=None, logger=server_logger(), shutdown_timeout=5.0
        )
        self._stack.push_async_callback(runner.cleanup)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner


async def _render(accept: str | None, timeout_seconds: float) -> tuple[bytes, str]:
    return f"rendered for {accept} within {timeout_seconds:g}\n".encode(), "text/plain; version=0.0.4"


async def _ended(task: "asyncio.Task[None]") -> None:
    while not task.done():  # redis-py can lose a cancellation
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
async def start(valkey_url: str) -> AsyncIterator[Starter]:
    """Return what starts sidecars; all of them end with the test."""
    async with AsyncExitStack() as stack:
        link = RedisLink(valkey_url, timeout_seconds=5.0)
        await link.commands.flushall()
        await link.close()
        yield Starter(valkey_url, stack)


@pytest.fixture
async def sidecar(start: Starter) -> Sidecar:
    """Return a sidecar without tokens."""
    return await start()


@pytest.fixture
def hanging(valkey_url: str) -> Callable[[], Any]:
    """Return a context manager in which the store hangs."""

    @asynccontextmanager
    async def hang() -> AsyncIterator[None]:
        link = RedisLink(valkey_url, timeout_seconds=5.0)
        process_id = (await link.commands.info("server"))["process_id"]
        await link.close()
        os.kill(process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process_id, signal.SIGCONT)

    return hang


@pytest.fixture(autouse=True)
def _no_mistake_of_ours(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which anything was logged as an error, or with a traceback."""
    caplog.set_level(logging.DEBUG)
    yield
    records = [each for each in caplog.get_records("call") if each.levelno > logging.DEBUG]
    errors = [each for each in records if each.levelno >= logging.ERROR or each.exc_info]
    assert not errors, [each.getMessage() + (each.exc_text or "") for each in errors]
