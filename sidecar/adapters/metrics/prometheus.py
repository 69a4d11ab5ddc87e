"""`Metrics` in a registry of Prometheus. Names, labels and buckets are what dashboards and alerts rely on."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from sidecar.adapters.metrics.exposition import Scrape, negotiated
from sidecar.adapters.metrics.jobs import JobMetrics
from sidecar.adapters.metrics.requests import RequestMetrics
from sidecar.adapters.metrics.series import Families
from sidecar.adapters.metrics.shared import JobFamilies, LimitsOf, NoPast, PastTimes
from sidecar.adapters.metrics.stores import StoreMetrics
from sidecar.adapters.metrics.traffic import families_of
from sidecar.core.errors import Unavailable
from sidecar.core.job import NOTHING
from sidecar.core.stalls import DEFAULT
from sidecar.hub.traffic import Traffic
from sidecar.ports import Census

MOST_CENSUS_SECONDS = 1.0
"""How long a scrape waits for the live store; half of the scrape's own time-out if that is less."""


class PrometheusMetrics(JobMetrics, RequestMetrics, StoreMetrics):
    """`Metrics` in a registry, and what a scrape of it answers.

    Labels come from closed sets and route templates. Of the job types and stages that workers invent the first few
    get series of their own, later ones are `other`. `job_types`, their `stages_by_type` and `loops` are known
    beforehand and begin at 0.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        job_types: Sequence[str] = ("default",),
        loops: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
        stages_by_type: Mapping[str, Sequence[str]] = NOTHING,
    ) -> None:
        """Register the families; `attach` adds what a scrape reads from the stores. `clock` gives Unix seconds."""
        make = Families(registry)
        JobMetrics.__init__(self, make, job_types, stages_by_type)
        RequestMetrics.__init__(self, make)
        StoreMetrics.__init__(self, make)
        self._registry = registry
        self._clock = clock
        self._census: Census | None = None
        self._is_up: Mapping[str, Callable[[], bool]] = {}
        self._most_job_series = 0
        self._traffic: Mapping[str, Traffic] = NOTHING
        self._limits_of: LimitsOf = lambda _: DEFAULT
        self._past: PastTimes = NoPast()
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
        self._crashes = make.counter("progress_loop_crashes_total", "Crashes of background loops.", "loop")
        for loop in loops:
            self._crashes.of(loop)

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

    async def render(self, accept: str | None, timeout_seconds: float) -> tuple[bytes, str]:
        """Return the exposition and its content type, in the format that the `Accept` header asks for.

        Families read from the stores are left out when neither answers in time; everything else is there.
        """
        encode, content_type = negotiated(accept)
        shared = await self._shared(min(MOST_CENSUS_SECONDS, timeout_seconds / 2))
        body = await asyncio.to_thread(encode, Scrape(self._registry, [*families_of(self._traffic), *shared]))
        return body, content_type

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
        families = JobFamilies(self.names, self._limits_of, self._most_job_series, self._past, self._clock(), counts)
        return [up, *families.of_types(), *families.of_jobs(jobs)]
