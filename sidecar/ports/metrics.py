"""What is counted: the port of whoever counts it."""

from collections.abc import Mapping
from typing import Protocol

Exemplar = Mapping[str, str] | None
"""The ids that lead from an observation to its span, None if there is none."""


class Metrics(Protocol):
    """What is counted, as verbs. Cheap, never raises, never blocks."""

    def pushed(self, job_type: str, result: str) -> None:
        """Count an update by what became of it (a `Reason`, or `rejected`)."""
        ...

    def rejected(self, reason: str, job_type: str | None = None) -> None:
        """Count a refused request: validation, auth, rate_limited, too_large, conflict or unavailable.

        `job_type` is what it named, None if nobody could read that.
        """
        ...

    def job_started(self, job_type: str) -> None:
        """Count a job, or an attempt of one, whose work began."""
        ...

    def job_finished(self, job_type: str, outcome: str, seconds: float | None) -> None:
        """Count an attempt that ended or was lost, and how long it took if it ever began."""
        ...

    def eta_missed(self, job_type: str, ratio: float) -> None:
        """Record how far the ETA that a job gave half way was from the truth, as a multiple of what was left."""
        ...

    def items_counted(self, job_type: str, item: str, number: float) -> None:
        """Count items of a kind that were worked off."""
        ...

    def stage_started(self, job_type: str, stage: str) -> None:
        """Note that a job entered a stage, before it is known how that ends."""
        ...

    def stage_finished(
        self, job_type: str, stage: str, outcome: str, seconds: float, exemplar: Exemplar = None
    ) -> None:
        """Record how long a stage took."""
        ...

    def request_began(self) -> None:
        """Count a request that is under way; streams are reported here too, until they begin."""
        ...

    def request_ended(self) -> None:
        """Count it no more."""
        ...

    def request_finished(self, method: str, route: str, code: int, seconds: float, exemplar: Exemplar = None) -> None:
        """Record a finished HTTP request by its route template; streams are not reported here."""
        ...

    def stream_opened(self, transport: str) -> None:
        """Count a stream that opened (`sse` or `websocket`)."""
        ...

    def stream_closed(self, transport: str, reason: str, seconds: float) -> None:
        """Count a stream that ended, and how long it was open.

        The reason is client, done, slow_consumer, lifetime, expired, shutdown or error.
        """
        ...

    def stream_resumed(self, result: str) -> None:
        """Count how a watch began: it was `replayed` what it had missed, or given the state.

        That is a `snapshot` for who has heard nothing, `unknown_cursor` for who has, of which we know nothing.
        """
        ...

    def stream_missed(self) -> None:
        """Count a stream read for which the live store held nothing."""
        ...

    def fell_back(self, operation: str, surface: str, reason: str) -> None:
        """Count an operation that SQL served because Redis could not: it is unavailable, or has lost a job (miss)."""
        ...

    def recorded(self, lines: int) -> None:
        """Count timeline lines that were recorded."""
        ...

    def outbox(self, lines: int, size_bytes: int, limit_bytes: int, oldest_at: float | None) -> None:
        """Note what waits to be recorded, of how much that may, and since when (Unix seconds)."""
        ...

    def sample_dropped(self) -> None:
        """Count a progress sample that found no room in the outbox."""
        ...

    def store_answered(self, store: str, operation: str, seconds: float) -> None:
        """Record how long a store (redis, sql) took to answer."""
        ...

    def store_failed(self, store: str, operation: str, kind: str) -> None:
        """Count an operation that a store did not do: it was unavailable or busy, or refused."""
        ...

    def loop_lagged(self, seconds: float) -> None:
        """Note by how much the event loop was late lately, at worst."""
        ...

    def loop_crashed(self, loop: str) -> None:
        """Count the crash of a supervised loop."""
        ...
