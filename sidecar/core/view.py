"""What a job looks like from outside: everything shown, derived from what is stored."""

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core import pace, stages
from sidecar.core.job import Attempt, Job, PlannedStage, Status
from sidecar.core.peaks import Number

COMPLETE = 100.0


@dataclass(frozen=True, slots=True)
class StageView:
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


@dataclass(frozen=True, slots=True)
class View:
    """A job as shown. `percent` is 0-100 with two decimals; `stage_percent` is None while indeterminate."""

    job: Job
    status: Status
    percent: float
    stage: str | None
    stage_label: str | None
    stage_percent: float | None
    current: Number | None
    total: Number | None
    total_growing: bool
    items: Mapping[str, Number]
    stages: tuple[StageView, ...]
    eta: pace.Eta | None
    rate_per_second: float | None
    finished_at: float | None

    @property
    def is_finished(self) -> bool:
        """Whether the attempt is over (a lost one may still come back)."""
        return self.status.is_finished


def status(job: Job) -> Status:
    """Return the status: how it ended, else lost, else the worker's newest word, else running."""
    attempt = job.attempt
    if attempt.final is not None:
        return attempt.final.status
    if attempt.lost_at is not None and job.last_contact_at < attempt.lost_at:
        return Status.LOST
    register = attempt.words.get("status")
    if register is None:
        return Status.RUNNING
    if register.value == Status.QUEUED and attempt.worked is not None and attempt.worked > register.rank:
        return Status.RUNNING
    return Status(register.value)


def percent(job: Job) -> float:
    """Return the percent of the whole job: 100 only when completed, never less than was shown."""
    attempt = job.attempt
    if attempt.final is not None and attempt.final.status is Status.COMPLETED:
        return COMPLETE
    derived = stages.percent(stages.ordered(stages.plan_of(job), attempt.stages), attempt)
    held = attempt.shown.percent if attempt.shown.since == attempt.rewound else 0.0
    return max(derived, held)


def view(job: Job) -> View:
    """Return everything that is shown of a job."""
    attempt = job.attempt
    order = stages.ordered(stages.plan_of(job), attempt.stages)
    name = stages.running(order, attempt)
    now, whole = status(job), percent(job)
    share = stages.share(name, attempt)
    labels = {stage.name: stage.label or stage.name for stage in order}
    growing = stages.is_growing(name, attempt)
    return View(
        job=job,
        status=now,
        percent=whole,
        stage=name or None,
        stage_label=labels.get(name),
        stage_percent=None if share is None else round(100 * share, 2),
        current=stages.count(name, attempt),
        total=_total(name, attempt),
        total_growing=growing,
        items=stages.items(attempt),
        stages=_stage_views(order, name, attempt, now),
        eta=_eta(job, now, whole, growing=growing),
        rate_per_second=_rounded(pace.rate(attempt.points)) if attempt.points else None,
        finished_at=_finished_at(attempt, now),
    )


def _finished_at(attempt: Attempt, now: Status) -> float | None:
    if attempt.final is not None:
        return attempt.final.at
    return attempt.lost_at if now is Status.LOST else None


def _eta(job: Job, now: Status, whole: float, *, growing: bool) -> pace.Eta | None:
    if now is Status.COMPLETED:
        return pace.eta((), whole, job.created_at, job.updated_at)
    started_at = job.attempt.started_at
    if now is not Status.RUNNING or growing or started_at is None:
        return None
    return pace.eta(job.attempt.points, whole, started_at, job.updated_at)


def _total(name: str, attempt: Attempt) -> Number | None:
    stage = attempt.stages.get(name)
    total = None if stage is None else stages.word(stage.words, "total")
    return total if isinstance(total, int | float) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _stage_views(
    order: tuple[PlannedStage, ...], current: str, attempt: Attempt, now: Status
) -> tuple[StageView, ...]:
    names = [planned.name for planned in order]
    reached = names.index(current) if current in names else -1
    shown = []
    for index, planned in enumerate(order):
        state = _stage_status(planned.name, index - reached, attempt, now)
        share = 1.0 if state == Status.COMPLETED else stages.share(planned.name, attempt)
        stage = attempt.stages.get(planned.name)
        shown.append(
            StageView(
                name=planned.name,
                label=planned.label or planned.name,
                weight=planned.weight,
                status=state,
                percent=None if share is None else round(100 * share, 2),
                current=stages.count(planned.name, attempt),
                total=_total(planned.name, attempt),
                started_at=stage.started_at if stage else None,
                finished_at=stage.finished_at if stage else None,
            )
        )
    return tuple(shown)


def _stage_status(name: str, offset: int, attempt: Attempt, now: Status) -> str:
    if offset < 0:
        return Status.COMPLETED if name in attempt.stages else "skipped"
    if offset > 0:
        return "skipped" if now is Status.COMPLETED else "pending"
    if now is Status.COMPLETED or stages.has_ended(name, attempt):
        return Status.COMPLETED
    return now if now.is_finished else Status.RUNNING


def is_pause_requested(attempt: Attempt) -> bool:
    """Whether the last of pause and resume was pause: each change of mind counts one."""
    return attempt.pause_asked % 2 == 1
