"""What is sent to watchers, as families of metrics: read from plain counters at each scrape."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from sidecar.hub.traffic import BUCKETS, Traffic

BOUNDS = (*map(floatToGoString, BUCKETS), "+Inf")


def families_of(traffic: Mapping[str, Traffic]) -> Iterator[Metric]:
    """Yield the families; `traffic` is by transport."""
    sent = CounterMetricFamily("progress_stream_events_sent", "Changes of jobs sent to watchers.", labels=["transport"])
    coalesced = CounterMetricFamily(
        "progress_stream_events_coalesced", "Changes that a newer one of their job replaced.", labels=["transport"]
    )
    delays = HistogramMetricFamily(
        "progress_stream_delivery_seconds", "Time from a change until it was sent.", labels=["transport"]
    )
    for transport, told in traffic.items():
        sent.add_metric([transport], told.sent)
        coalesced.add_metric([transport], told.coalesced)
        buckets = list(zip(BOUNDS, map(float, accumulate(told.delays)), strict=True))
        delays.add_metric([transport], buckets, told.delay_seconds)
    yield from (sent, coalesced, delays)
