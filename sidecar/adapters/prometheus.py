"""What is counted, as Prometheus scrapes it. Names, labels and buckets are what dashboards and alerts rely on."""

import asyncio
import platform
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core.errors import Unavailable
from sidecar.core.job import Reason, Status
from sidecar.ports import Census

OTHER = "other"
"""The label value of everything that has no series of its own."""

MOST_JOB_TYPES = 50
"""Job types that get series because they turned up; the declared ones come on top."""

MOST_STAGES = 30
"""Stages that get series, of each job type."""

MOST_CENSUS_SECONDS = 1.0
"""How long a scrape waits for the live store; half of the scrape's own time-out if that is less."""

RESULTS = (*Reason, "rejected")
REJECTIONS = ("validation", "auth", "too_large", "conflict", "unavailable")
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
UNFINISHED = frozenset(status for status in Status if not status.is_finished)

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STAGE_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)

Family = TypeVar("Family", Counter, Gauge, Histogram)


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
        make = _Families(registry)
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
        self._stages = make.histogram(
            "progress_stage_duration_seconds", "Time in a stage.", STAGE_BUCKETS, "job_type", "stage", "outcome"
        )
        self._requests = make.histogram(
            "progress_http_request_duration_seconds",
            "Time to answer a request; streams are not counted.",
            REQUEST_BUCKETS,
            *("method", "route", "code"),
        )
        self._streams = make.gauge("progress_stream_connections", "Streams now open.", "transport")
        self._disconnects = make.counter(
            "progress_stream_disconnects_total", "Streams that ended.", "transport", "reason"
        )
        self._crashes = make.counter("progress_loop_crashes_total", "Crashes of background loops.", "loop")
        self._overflow = make.counter("progress_label_overflow_total", "Values shown as other.", "label")
        self._stages_by_type: dict[str, set[str]] = {}
        self._begin(job_types, loops)
        self._most_types = len(self._stages_by_type) + MOST_JOB_TYPES

    def pushed(self, job_type: str, result: str) -> None:
        """Count an update by what became of it."""
        self._updates.of(self._shown_type(job_type), result).inc()

    def rejected(self, reason: str) -> None:
        """Count a refused request."""
        self._rejections.of(reason).inc()

    def stage_finished(self, job_type: str, stage: str, outcome: str, seconds: float) -> None:
        """Record how long a stage took; a clock that was set back makes it 0."""
        shown_type = self._shown_type(job_type)
        shown_stage = self._shown_stage(shown_type, stage)
        self._stages.of(shown_type, shown_stage, outcome).observe(max(0.0, seconds))

    def request_finished(self, method: str, route: str, code: int, seconds: float) -> None:
        """Record a finished HTTP request."""
        known = method if method in METHODS else OTHER
        self._requests.of(known, route, str(code)).observe(max(0.0, seconds))

    def stream_opened(self, transport: str) -> None:
        """Count a stream that opened."""
        self._streams.of(transport).inc()
        if transport == "sse":
            self._sse_connections.inc()

    def stream_closed(self, transport: str, reason: str) -> None:
        """Count a stream that ended."""
        self._streams.of(transport).dec()
        self._disconnects.of(transport, reason).inc()

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

    def loop_crashed(self, loop: str) -> None:
        """Count the crash of a supervised loop."""
        self._crashes.of(loop).inc()

    def attach(self, census: Census, is_up: Mapping[str, Callable[[], bool]]) -> None:
        """Let scrapes tell what the census counts, and of each store by name whether it is there."""
        self._census = census
        self._is_up = is_up

    async def render(self, accept: str | None, timeout_seconds: float) -> tuple[bytes, str]:
        """Return the exposition and its content type, in the format that the `Accept` header asks for.

        Families read from the stores are left out when neither answers in time; everything else is there.
        """
        encode, content_type = _negotiated(accept)
        shared = await self._shared(min(MOST_CENSUS_SECONDS, timeout_seconds / 2))
        body = await asyncio.to_thread(encode, _Scrape(self._registry, shared))
        return body, content_type

    def _begin(self, job_types: Sequence[str], loops: Sequence[str]) -> None:
        for job_type in (*job_types, OTHER):
            self._begin_type(job_type)
        for reason in REJECTIONS:
            self._rejections.of(reason)
        for transport in TRANSPORTS:
            self._streams.of(transport)
            for reason in DISCONNECTS:
                self._disconnects.of(transport, reason)
        for loop in loops:
            self._crashes.of(loop)
        for operation, surface, reason in FALLBACKS:
            self._fallbacks.of(operation, surface, reason)
        for label in ("job_type", "stage"):
            self._overflow.of(label)

    def _begin_type(self, job_type: str) -> None:
        self._stages_by_type[job_type] = set()
        for result in RESULTS:
            self._updates.of(job_type, result)

    def _has_series(self, job_type: str) -> bool:
        """Tell whether a job type is shown by its name; it is from now on if there was room."""
        if job_type in self._stages_by_type:
            return True
        if len(self._stages_by_type) >= self._most_types:
            return False
        self._begin_type(job_type)
        return True

    def _shown_type(self, job_type: str) -> str:
        if self._has_series(job_type):
            return job_type
        self._overflow.of("job_type").inc()
        return OTHER

    def _shown_stage(self, shown_type: str, stage: str) -> str:
        known = self._stages_by_type[shown_type]
        if stage not in known and len(known) >= MOST_STAGES:
            self._overflow.of("stage").inc()
            return OTHER
        known.add(stage)
        return stage

    async def _shared(self, timeout_seconds: float) -> list[Metric]:
        """Return which stores are there, and what every replica reads alike from them."""
        up = GaugeMetricFamily("progress_store_up", "1 if the store is there.", labels=["store"])
        for store, is_up in self._is_up.items():
            up.add_metric([store], int(is_up()))
        if self._census is None:
            return [up]
        try:
            async with asyncio.timeout(timeout_seconds):
                counts = await self._census.counts()
        except (TimeoutError, Unavailable):
            return [up]
        return [up, self._active(counts)]

    def _active(self, counts: Mapping[tuple[str, str], int]) -> Metric:
        """Return the unfinished jobs by type; where room is short, the types with most of them come first."""
        unfinished: Tally[str] = Tally()
        for (job_type, status), number in counts.items():
            if status in UNFINISHED:
                unfinished[job_type] += number
        shown = Tally[str]()
        for job_type, number in sorted(unfinished.items(), key=lambda entry: (-entry[1], entry[0])):
            shown[job_type if self._has_series(job_type) else OTHER] += number
        family = GaugeMetricFamily("progress_jobs_active", "Jobs that are not finished.", labels=["job_type"])
        for job_type in self._stages_by_type:
            family.add_metric([job_type], shown[job_type])
        return family


class _Series(Generic[Family]):
    """A family's series by label values: one dict look-up, where the library takes a lock and builds strings."""

    def __init__(self, family: Family) -> None:
        self._family: Family = family
        self._by_labels: dict[tuple[str, ...], Family] = {}

    def of(self, *labels: str) -> Family:
        """Return the series with these label values, a new one at 0."""
        series = self._by_labels.get(labels)
        if series is None:
            series = self._by_labels[labels] = self._family.labels(*map(_encodable, labels))
        return series


class _Families:
    """Makes families in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def plain_counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self._registry)

    def plain_gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def counter(self, name: str, text: str, *labels: str) -> _Series[Counter]:
        return _Series(Counter(name, text, labels, registry=self._registry))

    def gauge(self, name: str, text: str, *labels: str) -> _Series[Gauge]:
        return _Series(Gauge(name, text, labels, registry=self._registry))

    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> _Series[Histogram]:
        return _Series(Histogram(name, text, labels, buckets=buckets, registry=self._registry))


class _Scrape:
    """All families of one answer: those of the registry, and those read from the store for this answer alone."""

    def __init__(self, registry: CollectorRegistry, shared: Iterable[Metric]) -> None:
        self._registry = registry
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        """Yield the families, without the `_created` series that the library can only switch off process-wide."""
        for family in self._registry.collect():
            if family.type in ("counter", "histogram"):
                family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family
        yield from self._shared


def _negotiated(accept: str | None) -> tuple[Callable[[Collector], bytes], str]:
    """Return the encoder and its content type; the library trips over versions such as `abc` and echoes others."""
    try:
        encode, content_type = choose_encoder(accept or "")
    except (TypeError, ValueError):
        return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    if content_type.isascii() and content_type.isprintable():
        return encode, content_type
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


def _encodable(label: str) -> str:
    """Return the text without lone surrogates, which would fail every scrape."""
    return label.encode(errors="replace").decode()
