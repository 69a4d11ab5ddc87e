"""The one place that knows every part: wires them, starts them, and stops them in the opposite order."""

import asyncio
import errno
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

import sidecar
from sidecar import log
from sidecar.adapters.metrics.process import register_process
from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.adapters.metrics.requests import TRANSPORTS
from sidecar.background.supervision import looping, measure_lag, patient
from sidecar.core.errors import StartError
from sidecar.foresight import Foresight
from sidecar.http import routes
from sidecar.http.auth import Gate
from sidecar.http.passes import Passes
from sidecar.http.server_log import server_logger
from sidecar.http.services import Services, StreamTimes
from sidecar.http.streams import Limits, Streams
from sidecar.hub.hub import Hub
from sidecar.hub.traffic import Traffic
from sidecar.ports import Metrics
from sidecar.settings import BadSettings, Settings, job_types_in, tokens_in_force
from sidecar.spans import Spans, Tracing
from sidecar.storage import LOOPS as STORAGE_LOOPS
from sidecar.storage import Storage, opened
from sidecar.tasks import ended
from sidecar.tracker import Tracker

logger = logging.getLogger(__name__)

LISTENING_SECONDS = 5.0
"""How long the start waits until changes reach it."""

FINISH_SECONDS = 3.0
"""How long requests that are under way at the end may take, once the streams are gone."""

GARBAGE_THRESHOLDS = (50_000, 20, 20)

OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Where OpenTelemetry's own variables say that traces go; with neither there are none."""

LOOPS = ("heartbeat", "hub", "lag", "streams", *STORAGE_LOOPS)


@dataclass(frozen=True, slots=True)
class Serving:
    """A running sidecar: where it listens (`ops_url` is None without a second listener), and who may come in."""

    url: str
    ops_url: str | None
    gate: Gate
    streams: Streams


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
        registry = CollectorRegistry()
        declared = job_types_in(settings)
        metrics = PrometheusMetrics(registry, sorted(declared.names), LOOPS, stages_by_type=declared.stages)
        register_process(registry, sidecar.__version__, os.environ.get("SOURCE_COMMIT", ""))
        tracing = await stack.enter_async_context(_tracing(os.environ))
        storage = await stack.enter_async_context(opened(settings, metrics))
        traffic = {transport: Traffic() for transport in TRANSPORTS}
        metrics.attach(
            *(storage.surface("metrics"), storage.is_up, storage.baselines.limits, settings.job_series_limit),
            *(storage.baselines, traffic),
        )
        metrics.allow_streams(settings.max_streams)
        reads = storage.surface("stream")
        hub = Hub(storage.broker, reads, reads, storage.stores.live, storage.redis_breaker)
        gate = Gate(
            tokens_in_force(settings),
            is_token_required=settings.is_token_required,
            metrics_token=settings.metrics_token,
            passes=Passes(settings.secret_key),
            origins=settings.cors_origins,
        )
        limits = Limits(settings.max_streams, settings.max_streams_per_token, settings.max_streams_per_address)
        open_streams = Streams(limits, settings.stream_lifetime_seconds)
        foresight = Foresight(storage.job_types, storage.baselines)
        services = Services(
            tracker=_tracker(storage, metrics, "rest", foresight, tracing.spans),
            watched=_tracker(storage, metrics, "stream", foresight),
            hub=hub,
            metrics=metrics,
            gate=gate,
            streams=open_streams,
            render=metrics.render,
            probes={**storage.probes, "listener": _is_listening(hub), "accepting": _is_accepting(open_streams)},
            durability=storage.durability,
            is_ready=_can_take_work,
            known_types=foresight.known_types,
            version=sidecar.__version__,
            max_update_bytes=settings.max_update_bytes,
            traffic=traffic,
            times=times or StreamTimes(heartbeat=settings.heartbeat_seconds),
        )
        await stack.enter_async_context(looping("hub", partial(patient, hub.run), metrics))
        beating = partial(hub.beat, settings.heartbeat_seconds)
        await stack.enter_async_context(looping("heartbeat", beating, metrics))
        await stack.enter_async_context(looping("streams", open_streams.watch, metrics))
        await stack.enter_async_context(looping("lag", partial(measure_lag, metrics), metrics))
        with suppress(TimeoutError):  # /readyz goes on telling
            await asyncio.wait_for(hub.until_listening(), LISTENING_SECONDS)
        ops_url = None
        if settings.ops_port is not None:
            ops = _listening(routes.ops(services), settings.ops_host, settings.ops_port)
            ops_url = await stack.enter_async_context(ops)
        api = _listening(routes.api(services, tracing.tracer), settings.listen_host, settings.listen_port)
        yield Serving(await stack.enter_async_context(api), ops_url, gate, open_streams)


@asynccontextmanager
async def _tracing(environment: Mapping[str, str]) -> AsyncIterator[Tracing]:
    """Export traces while inside, if the environment says where to."""
    if not _is_tracing_wanted(environment):
        yield Tracing()
        return
    from sidecar.adapters.tracing import exporting  # noqa: PLC0415 - 300 modules that nobody else needs

    async with exporting(sidecar.__version__) as tracing:
        yield tracing


def _is_tracing_wanted(environment: Mapping[str, str]) -> bool:
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_off = is_disabled or environment.get("OTEL_TRACES_EXPORTER", "") == "none"
    return not is_off and any(environment.get(name, "").strip() for name in OTLP_ENDPOINTS)


def _tracker(
    storage: Storage, metrics: Metrics, surface: str, foresight: Foresight, spans: Spans | None = None
) -> Tracker:
    store = storage.surface(surface)
    return Tracker(store, store, storage.history, metrics, time.time, foresight.informed, spans)


async def _serve_until_stopped(settings: Settings) -> None:
    asked: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.put_nowait, number)
    async with serving(settings) as served:
        loop.add_signal_handler(signal.SIGHUP, _reread_tokens, settings, served)
        _announce(settings, served)
        is_hurried = await asked.get() == signal.SIGINT
        logger.info("stopping")
        draining = asyncio.create_task(served.streams.drain(0 if is_hurried else settings.drain_seconds), name="drain")
        again = asyncio.create_task(asked.get(), name="second-signal")
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        await ended(draining)
        await ended(again)


def _announce(settings: Settings, served: Serving) -> None:
    store = f"an embedded Valkey in {settings.data_dir}" if settings.redis_url is None else "the given Redis"
    sys.stdout.write(f"sidecar: serving on {served.url} (jobs in {store}; try: curl {served.url}/)\n")
    sys.stdout.flush()


def _reread_tokens(settings: Settings, served: Serving) -> None:
    """Take the tokens file as it is now, and end the streams of those that are gone; if it is not in order, nothing."""
    try:
        served.gate.replace(tokens_in_force(settings))
    except BadSettings as error:
        logger.error("the tokens were not reread", extra={"fields": {"problems": list(error.problems)}})  # noqa: TRY400
    else:
        served.streams.revoke(served.gate.is_valid)
        logger.info("the tokens were reread")


def _can_take_work(parts: Mapping[str, bool]) -> bool:
    """Whether pushes are kept and watchers hear of them: one of the stores is enough. Not before a stop."""
    return (parts["redis"] or parts["sql"]) and parts["listener"] and parts["accepting"]


def _is_accepting(streams: Streams) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return not streams.is_draining

    return probe


def _is_listening(hub: Hub) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return hub.is_listening

    return probe


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application while inside and return its URL; what is under way at the end may still finish."""
    runner = web.AppRunner(
        app,
        handler_cancellation=False,
        access_log=None,
        logger=server_logger(),
        shutdown_timeout=FINISH_SECONDS,
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
