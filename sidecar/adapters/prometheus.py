"""What is counted, as Prometheus scrapes it. Names, labels and buckets are what dashboards and alerts rely on."""

import asyncio
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from sidecar.adapters.metric_exposition import Scrape, negotiated
from sidecar.adapters.metric_jobs import JobFamilies, LimitsOf, NoPast, PastTimes
from sidecar.adapters.metric_series import OTHER, Families, Names
from sidecar.adapters.metric_streams import families_of
from sidecar.core.errors import Unavailable
from sidecar.core.job import NOTHING, Reason
from sidecar.core.stalls import DEFAULT
from sidecar.ports import Census, Exemplar
from sidecar.traffic import Traffic

MOST_CENSUS_SECONDS = 1.0
"""How long a scrape waits for the live store; half of the scrape's own time-out if that is less."""

RESULTS = (*Reason, "rejected")
REJECTIONS = ("validation", "auth", "too_large", "conflict", "unavailable")
RESUMES = ("replayed", "snapshot", "unknown_cursor")
TRANSPORTS = ("sse", "websocket")
DISCONNECTS = ("client", "done", "slow_consumer", "lifetime", "expired", "shutdown", "error")
FALLBACKS = (
    *(("update", "ingest", "unavailable"), ("delete", "ingest", "unavailable"), ("counts", "metrics", "unavailable")),
    *((operation, "rest", "unavailable") for operation in ("get", "page", "timeline")),
    *((operation, "stream", "unavailable") for operation in ("get", "page", "since", "projects")),
    *(("get", surface, "miss") for surface in ("rest", "stream")),
    ("update", "ingest", "miss"),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OUTCOMES = ("completed", "failed", "cancelled", "lost")
STORE_OPERATIONS = ("update", "update_many", "get", "page", "delete", "since", "timeline", "projects", "counts")
STORES = ("redis", "sql")
STORE_FAILURES = ("unavailable", "refused")
LABELS = ("job_type", "stage", "item")

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ERROR_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10)
JOB_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)


def register_process(registry: CollectorRegistry, version: str, revision: str) -> None:
    """Let the registry tell which program this is and what its process and interpreter use."""
    build = {"version": version, "revision": revision, "python_version": platform.python_version()}
    Info("progress_build", "Which program this is.", registry=registry).info(build)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)


class PrometheusMetrics:
    """`Metrics` in a registry, and what a scrape of it answers.

    Labels come from closed sets and route templates. Of the job types and stages that workers invent the first few
    get series of their own, later ones are `other`. `job_types` and `loops` are known beforehand and begin at 0.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        job_types: Sequence[str] = ("default",),
        loops: Sequence[str] = (),
    ) -> None:
        """Register the families; `attach` adds what a scrape reads from the stores."""
        self._registry = registry
        self._census: Census | None = None
        self._is_up: Mapping[str, Callable[[], bool]] = {}
        self._most_job_series = 0
        self._traffic: Mapping[str, Traffic] = NOTHING
        self._limits_of: LimitsOf = lambda _: DEFAULT
        self._past: PastTimes = NoPast()
        make = Families(registry)
        self._sse_connections = make.plain_counter("sse_connections_total", "Event streams opened.")
        self._sse_misses = make.plain_counter("sse_redis_misses_total", "Stream reads that Redis had nothing for.")
        self._fallback = make.plain_counter("db_fallback_total", "Operations that SQL served because Redis could not.")
        self._sse_fallback = make.plain_counter(
            "sse_db_fallback_total", "The part of db_fallback_total that streams needed."
        )
        self._fallbacks = make.counter(
            "progress_fallbacks_total", "Operations that SQL served, by why.", "operation", "surface", "reason"
        )
        self._recorded = make.plain_counter("progress_recorded_total", "Timeline lines written to the history.")
        self._outbox_length = make.plain_gauge("progress_outbox_length", "Timeline lines that wait to be recorded.")
        self._outbox_bytes = make.plain_gauge("progress_outbox_bytes", "Memory that they take in Redis.")
        self._outbox_limit = make.plain_gauge("progress_outbox_limit_bytes", "How much they may take.")
        self._outbox_oldest = make.plain_gauge(
            "progress_outbox_oldest_timestamp_seconds", "When the oldest of them was written; now, if none waits."
        )
        self._dropped = make.plain_counter(
            "progress_samples_dropped_total", "Progress samples that the timeline lacks: the outbox was nearly full."
        )
        self._updates = make.counter("progress_updates_total", "Updates by result.", "job_type", "result")
        self._rejections = make.counter("progress_updates_rejected_total", "Refused updates.", "reason")
        self._started = make.counter("progress_jobs_started_total", "Attempts whose work began.", "job_type")
        self._finished = make.counter(
            "progress_jobs_finished_total", "Attempts that ended, or were lost.", "job_type", "outcome"
        )
        self._durations = make.histogram(
            "progress_job_duration_seconds", "Time from begin to end.", JOB_BUCKETS, "job_type", "outcome"
        )
        self._eta_errors = make.histogram(
            "progress_eta_error_ratio", "How wrong the ETA given half way was.", ERROR_BUCKETS, "job_type"
        )
        self._items = make.counter("progress_items_total", "Items worked off, by kind.", "job_type", "item")
        self._in_flight = make.plain_gauge("progress_http_requests_in_flight", "Requests under way.")
        self._stream_seconds = make.histogram(
            "progress_stream_connection_duration_seconds", "How long streams were open.", JOB_BUCKETS, "transport"
        )
        self._stream_limit = make.plain_gauge("progress_stream_connections_limit", "Streams that may be open.")
        self._store_seconds = make.histogram(
            "progress_store_operation_duration_seconds",
            "Time that a store took to answer.",
            REQUEST_BUCKETS,
            *("store", "operation"),
        )
        self._store_errors = make.counter(
            "progress_store_errors_total", "Operations that a store did not do.", "store", "operation", "kind"
        )
        self._lag = make.plain_gauge(
            "progress_event_loop_lag_seconds", "How late the event loop was, at worst, in the last seconds."
        )
        self._collector_seconds = make.plain_gauge(
            "progress_collector_duration_seconds", "How long the last reading of shared values took."
        )
        self._collector_errors = make.plain_counter(
            "progress_collector_errors_total", "Readings of shared values that failed."
        )
        self._collector_at = make.plain_gauge(
            "progress_collector_snapshot_timestamp_seconds", "When shared values were last read."
        )
        self._stages = make.histogram(
            "progress_stage_duration_seconds", "Time in a stage.", JOB_BUCKETS, "job_type", "stage", "outcome"
        )
        self._requests = make.histogram(
            "progress_http_request_duration_seconds",
            "Time to answer a request; streams are not counted.",
            REQUEST_BUCKETS,
            *("method", "route", "code"),
        )
        self._streams = make.gauge("progress_stream_connections", "Streams now open.", "transport")
        self._resumes = make.counter("progress_stream_resumes_total", "Watches that began, by how.", "result")
        self._disconnects = make.counter(
            "progress_stream_disconnects_total", "Streams that ended.", "transport", "reason"
        )
        self._crashes = make.counter("progress_loop_crashes_total", "Crashes of background loops.", "loop")
        self._overflow = make.counter("progress_label_overflow_total", "Values shown as other.", "label")
        self._names = Names(job_types, self._begin_type, lambda label: self._overflow.of(label).inc())
        self._begin(loops)

    def pushed(self, job_type: str, result: str) -> None:
        """Count an update by what became of it."""
        self._updates.of(self._names.job_type(job_type), result).inc()

    def rejected(self, reason: str) -> None:
        """Count a refused request; nobody knows of which type its job would have been."""
        self._rejections.of(reason).inc()
        self._updates.of(OTHER, "rejected").inc()

    def job_started(self, job_type: str) -> None:
        """Count an attempt whose work began."""
        self._started.of(self._names.job_type(job_type)).inc()

    def job_finished(self, job_type: str, outcome: str, seconds: float | None) -> None:
        """Count an attempt that ended or was lost, and how long it took."""
        shown_type = self._names.job_type(job_type)
        self._finished.of(shown_type, outcome).inc()
        if seconds is not None:
            self._durations.of(shown_type, outcome).observe(max(0.0, seconds))

    def eta_missed(self, job_type: str, ratio: float) -> None:
        """Record how far the ETA that a job gave half way was from the truth."""
        self._eta_errors.of(self._names.job_type(job_type)).observe(ratio)

    def items_counted(self, job_type: str, item: str, number: float) -> None:
        """Count items of a kind that were worked off."""
        shown_type = self._names.job_type(job_type)
        self._items.of(shown_type, self._names.item(shown_type, item)).inc(number)

    def stage_finished(
        self, job_type: str, stage: str, outcome: str, seconds: float, exemplar: Exemplar = None
    ) -> None:
        """Record how long a stage took; a clock that was set back makes it 0."""
        shown_type = self._names.job_type(job_type)
        shown_stage = self._names.stage(shown_type, stage)
        self._stages.of(shown_type, shown_stage, outcome).observe(max(0.0, seconds), _labels(exemplar))

    def request_began(self) -> None:
        """Count a request that is under way."""
        self._in_flight.inc()

    def request_ended(self) -> None:
        """Count it no more."""
        self._in_flight.dec()

    def request_finished(self, method: str, route: str, code: int, seconds: float, exemplar: Exemplar = None) -> None:
        """Record a finished HTTP request."""
        known = method if method in METHODS else OTHER
        self._requests.of(known, route, str(code)).observe(max(0.0, seconds), _labels(exemplar))

    def stream_opened(self, transport: str) -> None:
        """Count a stream that opened."""
        self._streams.of(transport).inc()
        if transport == "sse":
            self._sse_connections.inc()

    def stream_closed(self, transport: str, reason: str, seconds: float) -> None:
        """Count a stream that ended, and how long it was open."""
        self._streams.of(transport).dec()
        self._disconnects.of(transport, reason).inc()
        self._stream_seconds.of(transport).observe(seconds)

    def stream_resumed(self, result: str) -> None:
        """Count how a watch began."""
        self._resumes.of(result).inc()

    def stream_missed(self) -> None:
        """Count a stream read for which the live store held nothing."""
        self._sse_misses.inc()

    def fell_back(self, operation: str, surface: str, reason: str) -> None:
        """Count an operation that SQL served because Redis could not."""
        self._fallback.inc()
        if surface == "stream":
            self._sse_fallback.inc()
        self._fallbacks.of(operation, surface, reason).inc()

    def recorded(self, lines: int) -> None:
        """Count timeline lines that were recorded."""
        self._recorded.inc(lines)

    def outbox(self, lines: int, size_bytes: int, limit_bytes: int, oldest_at: float | None) -> None:
        """Note what waits to be recorded."""
        self._outbox_length.set(lines)
        self._outbox_bytes.set(size_bytes)
        self._outbox_limit.set(limit_bytes)
        self._outbox_oldest.set(time.time() if oldest_at is None else oldest_at)

    def sample_dropped(self) -> None:
        """Count a progress sample that found no room in the outbox."""
        self._dropped.inc()

    def store_answered(self, store: str, operation: str, seconds: float) -> None:
        """Record how long a store took to answer."""
        self._store_seconds.of(store, operation).observe(seconds)

    def store_failed(self, store: str, operation: str, kind: str) -> None:
        """Count an operation that a store did not do."""
        self._store_errors.of(store, operation, kind).inc()

    def loop_lagged(self, seconds: float) -> None:
        """Note by how much the event loop was late lately, at worst."""
        self._lag.set(seconds)

    def loop_crashed(self, loop: str) -> None:
        """Count the crash of a supervised loop."""
        self._crashes.of(loop).inc()

    def attach(  # noqa: PLR0913, PLR0917 - what a scrape reads
        self,
        census: Census,
        is_up: Mapping[str, Callable[[], bool]],
        limits_of: LimitsOf = lambda _: DEFAULT,
        most_job_series: int = 0,
        past: PastTimes | None = None,
        traffic: Mapping[str, Traffic] = NOTHING,
    ) -> None:
        """Let scrapes tell what the census counts and which stores are there, and of so many jobs how they stand.

        `traffic` is what is sent to watchers, by transport.
        """
        self._traffic = traffic
        self._census = census
        self._is_up = is_up
        self._limits_of = limits_of
        self._most_job_series = most_job_series
        self._past = past or NoPast()

    def allow_streams(self, most: int) -> None:
        """Tell how many streams may be open."""
        self._stream_limit.set(most)

    async def render(self, accept: str | None, timeout_seconds: float) -> tuple[bytes, str]:
        """Return the exposition and its content type, in the format that the `Accept` header asks for.

        Families read from the stores are left out when neither answers in time; everything else is there.
        """
        encode, content_type = negotiated(accept)
        shared = await self._shared(min(MOST_CENSUS_SECONDS, timeout_seconds / 2))
        body = await asyncio.to_thread(encode, Scrape(self._registry, [*families_of(self._traffic), *shared]))
        return body, content_type

    def _begin(self, loops: Sequence[str]) -> None:
        plain = (
            (self._rejections, REJECTIONS),
            (self._resumes, RESUMES),
            (self._crashes, loops),
            (self._overflow, LABELS),
        )
        for family, values in plain:
            for value in values:
                family.of(value)
        self._updates.of(OTHER, "rejected")
        for transport in TRANSPORTS:
            self._streams.of(transport)
            self._stream_seconds.of(transport)
        for transport, reason in product(TRANSPORTS, DISCONNECTS):
            self._disconnects.of(transport, reason)
        for failure in product(STORES, STORE_OPERATIONS, STORE_FAILURES):
            self._store_errors.of(*failure)
        for fallback in FALLBACKS:
            self._fallbacks.of(*fallback)

    def _begin_type(self, job_type: str) -> None:
        self._started.of(job_type)
        self._eta_errors.of(job_type)
        for result in RESULTS:
            self._updates.of(job_type, result)
        for outcome in OUTCOMES:
            self._finished.of(job_type, outcome)

    async def _shared(self, timeout_seconds: float) -> list[Metric]:
        """Return which stores are there, and what every replica reads alike from them."""
        up = GaugeMetricFamily("progress_store_up", "1 if the store is there.", labels=["store"])
        for store, is_up in self._is_up.items():
            up.add_metric([store], int(is_up()))
        if self._census is None:
            return [up]
        began = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_seconds):
                counts = await self._census.counts()
                jobs = await self._census.outstanding(self._most_job_series) if self._most_job_series else []
        except (TimeoutError, Unavailable):
            self._collector_errors.inc()
            return [up]
        finally:
            self._collector_seconds.set(time.perf_counter() - began)
        self._collector_at.set_to_current_time()
        families = JobFamilies(self._names, self._limits_of, self._most_job_series, self._past, time.time())
        return [up, *families.of_types(counts), *families.of_jobs(jobs, counts)]


def _labels(exemplar: Exemplar) -> dict[str, str] | None:
    return None if exemplar is None else dict(exemplar)
