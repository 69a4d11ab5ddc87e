"""What a job looks like from outside: everything shown, derived from what is stored."""

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.core import forecast, pace, stages
from sidecar.core.job import Attempt, Job, PlannedStage, Status
from sidecar.core.peaks import Number
from sidecar.core.stages import JOB

COMPLETE = 100.0

PENDING = "pending"
SKIPPED = "skipped"
"""What a stage may be beside a job's statuses."""


class StageView(NamedTuple):
    """One stage as shown; `status` is pending, running, skipped or the status that ended it."""

    name: str
    label: str
    weight: float
    status: str
    percent: float | None
    current: Number | None
    total: Number | None
    started_at: float | None
    finished_at: float | None

    @property
    def duration_seconds(self) -> float | None:
        """How long the stage took, None before it ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round(self.finished_at - self.started_at, 3)


class View(NamedTuple):
    """A job as shown: what everything else hangs on is kept, the rest is worked out when it is asked for.

    `order` is the plan and what was reported beside it, `percent` 0-100 with two decimals. `stage_percent` is the
    share of the running stage (of the job, if none runs), None while indeterminate; `current` is its count.
    """

    job: Job
    order: tuple[PlannedStage, ...]
    status: Status
    percent: float
    stage: str | None
    stage_percent: float | None
    current: Number | None

    @property
    def is_finished(self) -> bool:
        """Whether the attempt is over (a lost one may still come back)."""
        return self.status.is_finished

    @property
    def is_over(self) -> bool:
        """Whether the attempt is over for good: it has finished, and is not only lost."""
        return self.status.is_finished and self.status is not Status.LOST

    @property
    def stage_label(self) -> str | None:
        """The running stage's label, its name if it has none."""
        return next((stage.label or stage.name for stage in self.order if stage.name == self.stage), None)

    @property
    def total(self) -> Number | None:
        """What `current` counts up to, None if unknown."""
        return _total(self._name, self.job.attempt)

    @property
    def total_growing(self) -> bool:
        """Whether the total is still being discovered."""
        return stages.is_growing(self._name, self.job.attempt)

    @property
    def items(self) -> Mapping[str, Number]:
        """The counts by kind."""
        return stages.items(self.job.attempt)

    @property
    def stages(self) -> tuple[StageView, ...]:
        """Every stage, in order."""
        reached = stages.place(self.order, self._name)
        return tuple(
            _stage_view(planned, index - reached, self.job.attempt, self.status)
            for index, planned in enumerate(self.order)
        )

    @property
    def eta(self) -> pace.Eta | None:
        """When it may end, as of its last change."""
        attempt = self.job.attempt
        if self.status is Status.COMPLETED and attempt.final is not None:
            return pace.eta((), COMPLETE, attempt.final.at, attempt.final.at)
        if self.status is not Status.RUNNING or self.total_growing or attempt.started_at is None:
            return None
        now = self.job.updated_at
        known = forecast.eta(attempt.usual, self._standing(attempt.started_at, now), now) if attempt.usual else None
        return pace.eta(attempt.points, self.percent, attempt.started_at, now) if known is None else known

    @property
    def rate_per_second(self) -> float | None:
        """Units per second of the running stage."""
        rate = pace.rate(self.job.attempt.points)
        return None if rate is None else round(rate, 3)

    @property
    def finished_at(self) -> float | None:
        """When the attempt ended or was lost (Unix seconds)."""
        attempt = self.job.attempt
        if attempt.final is not None:
            return attempt.final.at
        return attempt.lost_at if self.status is Status.LOST else None

    @property
    def halfway_seconds(self) -> float | None:
        """How long it took until half of it was done, None if nobody saw that."""
        attempt = self.job.attempt
        if attempt.halfway is None or attempt.started_at is None:
            return None
        return attempt.halfway.at - attempt.started_at

    @property
    def eta_error_ratio(self) -> float | None:
        """How far the ETA given half way was from the truth, as a multiple of what was left; None before the end."""
        halfway, final = self.job.attempt.halfway, self.job.attempt.final
        if halfway is None or final is None or final.status is not Status.COMPLETED or final.at <= halfway.at:
            return None
        return abs(halfway.seconds / (final.at - halfway.at) - 1)

    @property
    def _name(self) -> str:
        return self.stage or JOB

    def _standing(self, started_at: float, now: float) -> forecast.Standing:
        """Return where the job stands, for whoever knows how long such jobs take."""
        if self.stage is None:
            share = self.percent / COMPLETE if self.stage_percent is not None or self.percent > 0 else None
            lately = pace.percent_rate(self.job.attempt.points)
            return forecast.Standing(JOB, 0.0, now - started_at, share, None if lately is None else lately / COMPLETE)
        stage = self.job.attempt.stages[self.stage]
        began = started_at if stage.started_at is None else max(started_at, stage.started_at)
        share = None if self.stage_percent is None else self.stage_percent / COMPLETE
        units, total = pace.rate(self.job.attempt.points), self.total
        lately = units / total if units is not None and total else None
        return forecast.Standing(self.stage, began - started_at, now - began, share, lately)


def view(job: Job) -> View:
    """Return the job as it is shown."""
    order = stages.ordered(stages.plan_of(job), job.attempt.stages)
    attempt, now = job.attempt, status(job)
    name = stages.running(order, attempt)
    current = stages.count(name, attempt)
    if now is Status.COMPLETED:
        return View(job, order, now, COMPLETE, name or None, COMPLETE, current)
    done = stages.share(name, attempt)
    percent = _reached(attempt, stages.percent(order, name, done or 0.0, attempt))
    return View(job, order, now, percent, name or None, None if done is None else round(100 * done, 2), current)


def status(job: Job) -> Status:
    """Return the status: how it ended, else lost, else what its worker says."""
    attempt = job.attempt
    if attempt.final is not None:
        return attempt.final.status
    if attempt.lost_at is not None and job.last_contact_at < attempt.lost_at:
        return Status.LOST
    return told(attempt)


def told(attempt: Attempt) -> Status:
    """Return the worker's newest word on an unfinished attempt, else running; work ends the wait in a queue."""
    register = attempt.words.get("status")
    if register is None:
        return Status.RUNNING
    if register.value == Status.QUEUED and attempt.worked is not None and attempt.worked > register.rank:
        return Status.RUNNING
    return Status(register.value)


def has_begun(attempt: Attempt) -> bool:
    """Whether the work ever began; what is cancelled or lost while it waits never does."""
    ended_by_work = attempt.final is not None and attempt.final.status in (Status.COMPLETED, Status.FAILED)
    return ended_by_work or told(attempt) is Status.RUNNING


def is_pause_requested(attempt: Attempt) -> bool:
    """Whether the last of pause and resume was pause: each change of mind counts one."""
    return attempt.pause_asked % 2 == 1


def _reached(attempt: Attempt, reported: float) -> float:
    """Return what the reports amount to, and never less than was shown since the last rewind."""
    return max(reported, attempt.shown.percent) if attempt.shown.since == attempt.rewound else reported


def _total(name: str, attempt: Attempt) -> Number | None:
    stage = attempt.stages.get(name)
    total = None if stage is None else stages.word(stage.words, "total")
    return total if isinstance(total, int | float) else None


def _percent(name: str, attempt: Attempt, *, ended: bool) -> float | None:
    share = 1.0 if ended else stages.share(name, attempt)
    return None if share is None else round(100 * share, 2)


def _stage_view(planned: PlannedStage, offset: int, attempt: Attempt, now: Status) -> StageView:
    name, state = planned.name, _stage_status(planned.name, offset, attempt, now)
    stage = attempt.stages.get(name)
    return StageView(
        name=name,
        label=planned.label or name,
        weight=planned.weight,
        status=state,
        percent=_percent(name, attempt, ended=state == Status.COMPLETED),
        current=stages.count(name, attempt),
        total=_total(name, attempt),
        started_at=stage.started_at if stage and state != PENDING else None,
        finished_at=stage.finished_at if stage and state not in (PENDING, Status.RUNNING) else None,
    )


def _stage_status(name: str, offset: int, attempt: Attempt, now: Status) -> str:
    if offset < 0:
        return Status.COMPLETED if name in attempt.stages else SKIPPED
    if offset > 0:
        return SKIPPED if now is Status.COMPLETED else PENDING
    if now is Status.COMPLETED or stages.has_ended(name, attempt):
        return Status.COMPLETED
    return now if now.is_finished else Status.RUNNING
