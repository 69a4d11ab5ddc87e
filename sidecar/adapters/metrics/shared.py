"""What a scrape tells of jobs as the stores have them: by type of all, and of some one by one."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple, Protocol

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from sidecar.adapters.metrics.series import OTHER, Names, encodable
from sidecar.core.job import NOTHING, Stall, StallReason, Status
from sidecar.core.stalls import Limits, Settling, advancing_since, calm_until, missed_deadline, threshold, was_known
from sidecar.core.view import View
from sidecar.ports import Counts

UNFINISHED = frozenset(status for status in Status if not status.is_finished)

LimitsOf = Callable[[str], Limits]
"""Gives the limits of a job type."""

NO_LIMITS = Limits(no_progress_seconds=inf)


class PastTimes(Protocol):
    """What has been, by job type (Unix seconds): the oldest job in the queue, the last success; how often is enough."""

    @property
    def queued(self) -> Mapping[str, float]:
        """Since when the job waits that nobody has begun for longest."""
        ...

    @property
    def succeeded(self) -> Mapping[str, float]:
        """When a job last completed."""
        ...

    @property
    def expected(self) -> Mapping[str, float]:
        """How many seconds it may be between two that complete."""
        ...


class NoPast(NamedTuple):
    """Nothing has been."""

    queued: Mapping[str, float] = NOTHING
    succeeded: Mapping[str, float] = NOTHING
    expected: Mapping[str, float] = NOTHING


BY_JOB = ["job_id", "job_type"]


class JobFamilies:
    """Makes the families of one scrape."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a scrape goes by
        self, names: Names, limits_of: LimitsOf, most_jobs: int, past: PastTimes, now: float, counts: Counts
    ) -> None:
        """Keep which types have series, their limits, of how many jobs it is told one by one, and what is and was."""
        self._counts = counts
        jobs_by_type = Tally[str]()
        for (job_type, status), number in counts.jobs.items():
            jobs_by_type[job_type] += number if status in UNFINISHED else 0
        self._alike = names.alike(jobs_by_type)
        self._past = past
        self._now = now
        self._names = names
        self._limits_of = limits_of
        self._most_jobs = most_jobs

    def of_types(self) -> Iterator[Metric]:
        """Yield what is told of each job type, over all of its jobs."""
        jobs = self._counts.jobs
        active = {key: number for key, number in jobs.items() if key[1] in UNFINISHED}
        queued = {key: number for key, number in jobs.items() if key[1] == Status.QUEUED}
        for name, text, numbers in (
            ("progress_jobs_active", "Jobs that are not finished.", active),
            ("progress_jobs_queued", "Jobs that nobody has begun.", queued),
        ):
            family = GaugeMetricFamily(name, text, labels=["job_type"])
            for job_type, number in self._by_type(numbers).items():
                family.add_metric([job_type], number)
            yield family
        yield self._stalled(self._counts.stalled)
        yield from self._limits()
        yield from self._times()

    def of_jobs(self, jobs: Sequence[View]) -> Iterator[Metric]:
        """Yield what is told of unfinished jobs one by one, and how many are left out."""
        total = sum(number for (_, status), number in self._counts.jobs.items() if status in UNFINISHED)
        yield _plain("progress_job_series_limit", "Jobs that may have series of their own.", self._most_jobs)
        yield _plain("progress_job_series_dropped", "Unfinished jobs without.", max(0, total - len(jobs)))
        info = GaugeMetricFamily("progress_job_info", "Always 1; what the job is.", labels=[*BY_JOB, *WORDS])
        for job in jobs:
            words = (job.job.project, job.stage or "", job.status.value)
            info.add_metric([*self._labels(job), *map(encodable, words)], 1)
        yield from (info, self._stuck(jobs))
        for name, text, value in PER_JOB:
            family = GaugeMetricFamily(name, text, labels=BY_JOB)
            for job in jobs:
                found = value(job, self._limits_in_force(job, self._counts.settling))
                if found is not None:
                    family.add_metric(self._labels(job), found)
            yield family

    def _limits_in_force(self, job: View, settling: Settling) -> Limits:
        """Return the limits of a job; none while things settle, but for what stood still before nobody looked."""
        limits = self._limits_of(job.job.job_type)
        clock = Stall(StallReason.NO_PROGRESS, advancing_since(job), threshold(job, limits) or 0.0)
        if calm_until(clock, job, limits, settling) <= self._now or was_known(clock, job, settling):
            return limits
        return NO_LIMITS

    def _stuck(self, jobs: Sequence[View]) -> Metric:
        """Return which of the jobs are stuck, at what and since when; of each also the deadline that it has missed.

        What was promised to somebody is broken whatever else befalls the job.
        """
        family = GaugeMetricFamily(
            "progress_job_stalled_since_timestamp_seconds",
            "Since when the clock runs that says it is stuck.",
            labels=[*BY_JOB, "reason"],
        )
        for job in jobs:
            if (stall := job.job.attempt.stall) is None:
                continue
            family.add_metric([*self._labels(job), stall.reason.value], stall.since)
            missed = missed_deadline(job, self._now, self._limits_of(job.job.job_type))
            if missed is not None and stall.reason is not missed.reason:
                family.add_metric([*self._labels(job), missed.reason.value], missed.since)
        return family

    def _times(self) -> Iterator[Metric]:
        """Yield since when jobs wait, and when one last completed: seconds of the past, absent where there is none.

        Types of which nothing is left but their past take no place from those that run.
        """
        for name, text, times, told in (
            (
                "progress_jobs_queued_oldest_timestamp_seconds",
                "Since when the one waits that waits for longest.",
                self._past.queued,
                min,
            ),
            ("progress_last_success_timestamp_seconds", "When a job last completed.", self._past.succeeded, max),
            (
                "progress_expected_success_interval_seconds",
                "How long it may be between two that complete.",
                self._past.expected,
                min,
            ),
        ):
            shown: dict[str, float] = {}
            for job_type, value in times.items():
                name_shown = job_type if job_type in self._alike else self._names.known(job_type)
                shown[name_shown] = told(shown.get(name_shown, value), value)
            family = GaugeMetricFamily(name, text, labels=["job_type"])
            for job_type, value in shown.items():
                family.add_metric([encodable(job_type)], value)
            yield family

    def _labels(self, job: View) -> list[str]:
        return [job.job.job_id, encodable(self._shown(job.job.job_type))]

    def _shown(self, job_type: str) -> str:
        return job_type if job_type in self._alike else OTHER

    @property
    def _job_types(self) -> Iterable[str]:
        """Every type that has series: also those of which nothing is left, at 0."""
        return dict.fromkeys((*self._names.job_types, *sorted(self._alike)))

    def _by_type(self, numbers: Mapping[tuple[str, str], int]) -> Mapping[str, int]:
        """Return numbers by shown type."""
        shown = Tally[str]()
        for (job_type, _), number in numbers.items():
            shown[self._shown(job_type)] += number
        return {job_type: shown[job_type] for job_type in self._job_types}

    def _stalled(self, stalled: Mapping[tuple[str, str], int]) -> Metric:
        family = GaugeMetricFamily("progress_jobs_stalled", "Jobs that are stuck.", labels=["job_type", "reason"])
        for reason in StallReason:
            numbers = self._by_type({key: number for key, number in stalled.items() if key[1] == reason})
            for job_type, number in numbers.items():
                family.add_metric([job_type, reason.value], number)
        return family

    def _limits(self) -> Iterator[Metric]:
        for name, text, limit in LIMITS:
            family = GaugeMetricFamily(name, text, labels=["job_type"])
            for job_type in self._job_types:
                family.add_metric([encodable(job_type)], limit(self._limits_of(job_type)))
            yield family


LIMITS: Iterable[tuple[str, str, Callable[[Limits], float]]] = (
    (
        "progress_stall_threshold_seconds",
        "How long jobs may make no progress.",
        lambda limits: limits.no_progress_seconds,
    ),
    ("progress_heartbeat_threshold_seconds", "How long jobs may say nothing.", lambda limits: limits.silent_seconds),
    ("progress_queue_threshold_seconds", "How long jobs may wait to begin.", lambda limits: limits.not_started_seconds),
)


def _plain(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family


def _in_force(job: View, limits: Limits) -> float:
    found = threshold(job, limits)
    return inf if found is None else found


def _estimated_end(job: View, _: Limits) -> float | None:
    eta = job.eta
    return None if eta is None else eta.finish_at


WORDS = ("project", "stage", "status")

PER_JOB: Iterable[tuple[str, str, Callable[[View, Limits], float | None]]] = (
    ("progress_job_completion_ratio", "Share done, 0 to 1.", lambda job, _: job.percent / 100),
    ("progress_job_started_timestamp_seconds", "When its work began.", lambda job, _: job.job.attempt.started_at),
    (
        "progress_job_last_update_timestamp_seconds",
        "When it was last heard of.",
        lambda job, _: job.job.last_contact_at,
    ),
    (
        "progress_job_last_advance_timestamp_seconds",
        "When it last got on, was begun or went on.",
        lambda job, _: advancing_since(job),
    ),
    ("progress_job_estimated_end_timestamp_seconds", "When it may end.", _estimated_end),
    ("progress_job_stall_threshold_seconds", "How long it may make no progress now; +Inf: for ever.", _in_force),
)
