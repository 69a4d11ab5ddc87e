"""Updates, jobs and their stages, counted by type."""

from collections.abc import Mapping, Sequence

from sidecar.adapters.metrics.series import OTHER, Families, Names, labels_of
from sidecar.core.job import NOTHING, Reason
from sidecar.ports import Exemplar

RESULTS = (*Reason, "rejected")
REJECTIONS = ("validation", "auth", "rate_limited", "too_large", "conflict", "unavailable")
OUTCOMES = ("completed", "failed", "cancelled", "lost")
STAGE_OUTCOMES = ("completed", "failed", "cancelled")
"""How stages usually end, of which the series are there before one does."""

LABELS = ("job_type", "stage", "item")

ERROR_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10)
JOB_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)


class JobMetrics:
    """The verbs of `Metrics` that tell of jobs."""

    def __init__(
        self, make: Families, job_types: Sequence[str], stages_by_type: Mapping[str, Sequence[str]] = NOTHING
    ) -> None:
        """Register the families; those of `job_types`, their declared stages and other known labels begin at 0."""
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
        self._stages = make.histogram(
            "progress_stage_duration_seconds", "Time in a stage.", JOB_BUCKETS, "job_type", "stage", "outcome"
        )
        self._overflow = make.counter("progress_label_overflow_total", "Values shown as other.", "label")
        self.names = Names(job_types, self._begin_type, lambda label: self._overflow.of(label).inc())
        for job_type, stages in stages_by_type.items():
            for stage in stages:
                self.stage_started(job_type, stage)
        for reason in REJECTIONS:
            self._rejections.of(reason)
        for label in LABELS:
            self._overflow.of(label)

    def pushed(self, job_type: str, result: str) -> None:
        """Count an update by what became of it."""
        self._updates.of(self.names.job_type(job_type), result).inc()

    def rejected(self, reason: str, job_type: str | None = None) -> None:
        """Count a refused request, under the type that it named if that is a known one."""
        self._rejections.of(reason).inc()
        self._updates.of(self.names.known(job_type or OTHER), "rejected").inc()

    def job_started(self, job_type: str) -> None:
        """Count an attempt whose work began."""
        self._started.of(self.names.job_type(job_type)).inc()

    def job_finished(self, job_type: str, outcome: str, seconds: float | None) -> None:
        """Count an attempt that ended or was lost, and how long it took."""
        shown_type = self.names.job_type(job_type)
        self._finished.of(shown_type, outcome).inc()
        if seconds is not None:
            self._durations.of(shown_type, outcome).observe(max(0.0, seconds))

    def eta_missed(self, job_type: str, ratio: float) -> None:
        """Record how far the ETA that a job gave half way was from the truth."""
        self._eta_errors.of(self.names.job_type(job_type)).observe(ratio)

    def items_counted(self, job_type: str, item: str, number: float) -> None:
        """Count items of a kind that were worked off."""
        shown_type = self.names.job_type(job_type)
        self._items.of(shown_type, self.names.item(shown_type, item)).inc(number)

    def stage_started(self, job_type: str, stage: str) -> None:
        """Let a stage's series be there at 0 before it ends, so that its first end is an increase."""
        shown_type = job_type if self.names.has_series(job_type) else OTHER
        shown_stage = stage if self.names.has_stage(shown_type, stage) else OTHER
        for outcome in STAGE_OUTCOMES:
            self._stages.of(shown_type, shown_stage, outcome)

    def stage_finished(
        self, job_type: str, stage: str, outcome: str, seconds: float, exemplar: Exemplar = None
    ) -> None:
        """Record how long a stage took; a clock that was set back makes it 0."""
        shown_type = self.names.job_type(job_type)
        shown_stage = self.names.stage(shown_type, stage)
        self._stages.of(shown_type, shown_stage, outcome).observe(max(0.0, seconds), labels_of(exemplar))

    def _begin_type(self, job_type: str) -> None:
        self._started.of(job_type)
        self._eta_errors.of(job_type)
        for result in RESULTS:
            self._updates.of(job_type, result)
        for outcome in OUTCOMES:
            self._finished.of(job_type, outcome)
            self._durations.of(job_type, outcome)
