"""The one place that knows every part: wires them, starts them, and stops them in the opposite order."""

import asyncio
import errno
import gc
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

import sidecar
from sidecar import log
from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.prometheus import PrometheusMetrics, register_process
from sidecar.adapters.redis_broker import RedisBroker
from sidecar.adapters.redis_link import RedisLink
from sidecar.adapters.redis_live import RedisLive
from sidecar.adapters.redis_outbox import RedisOutbox
from sidecar.adapters.sql import SqliteHistory
from sidecar.background import ended, record, supervise
from sidecar.core.errors import StartError, Unavailable
from sidecar.http import routes
from sidecar.http.auth import Gate
from sidecar.http.server_log import server_logger
from sidecar.http.services import Services, Streams, StreamTimes
from sidecar.hub import Hub
from sidecar.ports import Metrics
from sidecar.settings import BadSettings, Settings, tokens_in_force
from sidecar.tracker import Tracker

logger = logging.getLogger(__name__)

REDIS_PATIENCE_SECONDS = 5.0
"""How long the start waits for a Redis that does not answer yet."""

GARBAGE_THRESHOLDS = (50_000, 20, 20)

LOOPS = ("heartbeat", "hub", "recorder", "valkey")

Loop = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Serving:
    """A running sidecar: where it listens (`ops_url` is None without a second listener), and its gate."""

    url: str
    ops_url: str | None
    gate: Gate


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM and return the exit code: 0 asked to stop, 1 could not start or go on."""
    log.configure(settings.log_level, settings.log_format, sys.stderr)
    _collect_rarely()
    try:
        asyncio.run(_serve_until_stopped(settings))
    except StartError as error:
        sys.stderr.write(f"sidecar: {error}\n")
        return 1
    return 0


def _collect_rarely() -> None:
    """Look for cycles of garbage less often: thousands of jobs are held, and walking them took a fifth of each push."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@asynccontextmanager
async def serving(settings: Settings, times: StreamTimes | None = None) -> AsyncIterator[Serving]:
    """Run a whole sidecar while inside; raises `StartError` when it cannot start."""
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(_data_directory(settings))
        valkey = await stack.enter_async_context(_embedded(directory)) if settings.redis_url is None else None
        history = await stack.enter_async_context(_history(directory))
        link = await stack.enter_async_context(_link(settings, valkey))
        live = RedisLive(link, time.time)
        registry = CollectorRegistry()
        metrics = PrometheusMetrics(registry, live, loops=LOOPS)
        register_process(registry, sidecar.__version__, os.environ.get("SOURCE_COMMIT", ""))
        hub = Hub(RedisBroker(link), live, live)
        gate = Gate(
            tokens_in_force(settings),
            is_token_required=settings.is_token_required,
            metrics_token=settings.metrics_token,
        )
        services = Services(
            tracker=Tracker(live, live, history, metrics, time.time),
            hub=hub,
            metrics=metrics,
            gate=gate,
            streams=Streams(settings.max_streams),
            render=metrics.render,
            probes={"redis": _answers(link), "sql": _answers(history), "listener": _is_listening(hub)},
            version=sidecar.__version__,
            max_update_bytes=settings.max_update_bytes,
            times=times or StreamTimes(heartbeat=settings.heartbeat_seconds),
        )
        if valkey is not None:
            await stack.enter_async_context(_looping("valkey", valkey.watch, metrics))
        recording = partial(record, RedisOutbox(link), history)
        await stack.enter_async_context(_looping("recorder", recording, metrics))
        await stack.enter_async_context(_looping("hub", hub.run, metrics))
        beating = partial(hub.beat, settings.heartbeat_seconds)
        await stack.enter_async_context(_looping("heartbeat", beating, metrics))
        with suppress(TimeoutError):  # /readyz goes on telling
            await asyncio.wait_for(hub.until_listening(), REDIS_PATIENCE_SECONDS)
        ops_url = None
        if settings.ops_port is not None:
            ops = _listening(routes.ops(services), settings.ops_host, settings.ops_port, settings)
            ops_url = await stack.enter_async_context(ops)
        api = _listening(routes.api(services), settings.listen_host, settings.listen_port, settings)
        yield Serving(await stack.enter_async_context(api), ops_url, gate)


async def _serve_until_stopped(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as served:
        loop.add_signal_handler(signal.SIGHUP, _reread_tokens, settings, served.gate)
        _announce(settings, served)
        await stop.wait()
        logger.info("stopping")


def _announce(settings: Settings, served: Serving) -> None:
    store = f"an embedded Valkey in {settings.data_dir}" if settings.redis_url is None else "the given Redis"
    sys.stdout.write(f"sidecar: serving on {served.url} (jobs in {store}; try: curl {served.url}/)\n")
    sys.stdout.flush()


def _reread_tokens(settings: Settings, gate: Gate) -> None:
    """Take the tokens file as it is now; the old tokens stay when it is not in order."""
    try:
        gate.replace(tokens_in_force(settings))
    except BadSettings as error:
        logger.error("the tokens were not reread", extra={"fields": {"problems": list(error.problems)}})  # noqa: TRY400
    else:
        logger.info("the tokens were reread")


@asynccontextmanager
async def _data_directory(settings: Settings) -> AsyncIterator[DataDirectory]:
    directory = DataDirectory(settings.data_dir)
    await directory.acquire()
    try:
        yield directory
    finally:
        directory.release()


@asynccontextmanager
async def _embedded(directory: DataDirectory) -> AsyncIterator[EmbeddedValkey]:
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    try:
        yield valkey
    finally:
        await valkey.stop()


@asynccontextmanager
async def _history(directory: DataDirectory) -> AsyncIterator[SqliteHistory]:
    history = SqliteHistory(directory.path / "history.db")
    await history.open()
    try:
        yield history
    finally:
        await history.close()


@asynccontextmanager
async def _link(settings: Settings, valkey: EmbeddedValkey | None) -> AsyncIterator[RedisLink]:
    link = RedisLink(valkey.url if valkey else str(settings.redis_url), settings.store_timeout_seconds)
    try:
        await _until_it_answers(link)
        if valkey is None:
            await _tell_durability(link)
        yield link
    finally:
        await link.close()


async def _until_it_answers(link: RedisLink) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + REDIS_PATIENCE_SECONDS
    while True:
        try:
            return await link.ping()
        except Unavailable as error:
            if clock() > deadline:
                raise StartError(f"SIDECAR_REDIS_URL leads nowhere: {error}") from error
        await asyncio.sleep(0.1 + secrets.randbelow(100) / 1000)


async def _tell_durability(link: RedisLink) -> None:
    """Say at the start what a crash of somebody else's Redis would cost."""
    found = await link.settings("appendonly", "appendfsync", "maxmemory-policy")
    keeps = (found.get("appendonly"), found.get("appendfsync")) == ("yes", "always")
    evicts = found.get("maxmemory-policy", "noeviction") != "noeviction"
    if found and (evicts or not keeps):
        logger.warning("this Redis may lose acknowledged updates when it crashes or fills up", extra={"fields": found})
    else:
        logger.info("connected to Redis", extra={"fields": found})


def _answers(store: RedisLink | SqliteHistory) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        await store.ping()
        return True

    return probe


def _is_listening(hub: Hub) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return hub.is_listening

    return probe


@asynccontextmanager
async def _looping(name: str, loop: Loop, metrics: Metrics) -> AsyncIterator[None]:
    task = asyncio.create_task(supervise(name, loop, metrics), name=name)
    try:
        yield
    finally:
        await ended(task)


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int, settings: Settings) -> AsyncIterator[str]:
    """Serve an application while inside and return its URL; what is under way at the end may still finish."""
    runner = web.AppRunner(
        app,
        handler_cancellation=False,
        access_log=None,
        logger=server_logger(),
        shutdown_timeout=settings.drain_seconds,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise StartError(_unlistenable(host, port, error)) from error
        yield _url(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _unlistenable(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another process; set SIDECAR_LISTEN_PORT to a free one"
    return f"cannot listen on {host}, port {port}: {error.strerror}"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
