"""The stores, what falls back from one to the other, and what waits between them."""

import time
from itertools import product

from sidecar.adapters.metrics.requests import REQUEST_BUCKETS
from sidecar.adapters.metrics.series import Families

FALLBACKS = (
    *(("update", "ingest", "unavailable"), ("delete", "ingest", "unavailable"), ("counts", "metrics", "unavailable")),
    ("outstanding", "metrics", "unavailable"),
    *((operation, "rest", "unavailable") for operation in ("get", "page", "timeline")),
    *((operation, "stream", "unavailable") for operation in ("get", "page", "since", "projects")),
    *(("get", surface, "miss") for surface in ("rest", "stream")),
    ("update", "ingest", "miss"),
)
STORE_OPERATIONS = (
    *("update", "update_many", "get", "page", "delete", "since", "timeline", "projects", "counts", "outstanding"),
)
STORES = ("redis", "sql")
STORE_FAILURES = ("unavailable", "refused", "busy")
RECORD_FAILURES = (
    ("redis", "record", "unreadable"),
    *(("sql", "record", kind) for kind in ("unavailable", "busy")),
)


class StoreMetrics:
    """The verbs of `Metrics` that tell of stores."""

    def __init__(self, make: Families) -> None:
        """Register the families; what is known of their labels begins at 0."""
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
        self._store_seconds = make.histogram(
            "progress_store_operation_duration_seconds",
            "Time that a store took to answer.",
            REQUEST_BUCKETS,
            *("store", "operation"),
        )
        self._store_errors = make.counter(
            "progress_store_errors_total", "Operations that a store did not do.", "store", "operation", "kind"
        )
        for answer in product(STORES, STORE_OPERATIONS):
            self._store_seconds.of(*answer)
        for failure in (*product(STORES, STORE_OPERATIONS, STORE_FAILURES), *RECORD_FAILURES):
            self._store_errors.of(*failure)
        for fallback in FALLBACKS:
            self._fallbacks.of(*fallback)

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
