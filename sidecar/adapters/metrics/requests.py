"""Requests, and the streams that watch."""

from itertools import product

from sidecar.adapters.metrics.jobs import JOB_BUCKETS
from sidecar.adapters.metrics.series import OTHER, Families, labels_of
from sidecar.ports import Exemplar

RESUMES = ("replayed", "snapshot", "unknown_cursor")
TRANSPORTS = ("sse", "websocket")
DISCONNECTS = ("client", "done", "slow_consumer", "lifetime", "expired", "shutdown", "error")
PUSHES = (
    *product(("/v1/jobs", "/v1/jobs/{job_id}", "/v1/updates"), ("200", "500", "503")),
    ("/v1/jobs", "201"),
)
"""Routes that take updates, with the codes by which their service is judged."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class RequestMetrics:
    """The verbs of `Metrics` that tell of requests and streams."""

    def __init__(self, make: Families) -> None:
        """Register the families; what is known of their labels begins at 0."""
        self._requests = make.histogram(
            "progress_http_request_duration_seconds",
            "Time to answer a request; streams are not counted.",
            REQUEST_BUCKETS,
            *("method", "route", "code"),
        )
        self._in_flight = make.plain_gauge("progress_http_requests_in_flight", "Requests under way.")
        self._sse_connections = make.plain_counter("sse_connections_total", "Event streams opened.")
        self._sse_misses = make.plain_counter("sse_redis_misses_total", "Stream reads that Redis had nothing for.")
        self._streams = make.gauge("progress_stream_connections", "Streams now open.", "transport")
        self._stream_limit = make.plain_gauge("progress_stream_connections_limit", "Streams that may be open.")
        self._stream_seconds = make.histogram(
            "progress_stream_connection_duration_seconds", "How long streams were open.", JOB_BUCKETS, "transport"
        )
        self._resumes = make.counter("progress_stream_resumes_total", "Watches that began, by how.", "result")
        self._disconnects = make.counter(
            "progress_stream_disconnects_total", "Streams that ended.", "transport", "reason"
        )
        for pushed, code in PUSHES:
            self._requests.of("POST", pushed, code)
        for result in RESUMES:
            self._resumes.of(result)
        for transport in TRANSPORTS:
            self._streams.of(transport)
            self._stream_seconds.of(transport)
        for transport, reason in product(TRANSPORTS, DISCONNECTS):
            self._disconnects.of(transport, reason)

    def request_began(self) -> None:
        """Count a request that is under way."""
        self._in_flight.inc()

    def request_ended(self) -> None:
        """Count it no more."""
        self._in_flight.dec()

    def request_finished(self, method: str, route: str, code: int, seconds: float, exemplar: Exemplar = None) -> None:
        """Record a finished HTTP request."""
        known = method if method in METHODS else OTHER
        self._requests.of(known, route, str(code)).observe(max(0.0, seconds), labels_of(exemplar))

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

    def allow_streams(self, most: int) -> None:
        """Tell how many streams may be open."""
        self._stream_limit.set(most)
