"""The one rule for change: `apply` an update to a job, and `join` two versions of a job that grew apart.

Both are joins of a semilattice: maxima, newest-wins registers and receipts of increments, so that any order and
any repetition of one attempt's unfinished updates end in the same job.
"""

from typing import NamedTuple, assert_never

from sidecar.core import attempts, ledger, report, settle, stages
from sidecar.core.changes import Line
from sidecar.core.errors import Conflict, InvalidUpdate
from sidecar.core.job import Attempt, Event, Job, Reason, Request, Stall, StallReason, Status, Update
from sidecar.core.ledger import EMPTY, Recognition
from sidecar.core.view import StageView, View, is_pause_requested, status, view


class Outcome(NamedTuple):
    """What a change amounts to: the job as it is now, its view, the timeline lines that tell of it, ended stages.

    `job` is the very object that was passed in when there is nothing to store; the same `version` means that only
    the bookkeeping changed and nobody need be told.
    """

    job: Job
    view: View
    reason: Reason
    applied: bool
    events: tuple[Event, ...] = ()
    ended: tuple[StageView, ...] = ()


def apply(job: Job | None, update: Update, now: float) -> Outcome:
    """Return what becomes of `job` when `update` arrives at the Unix time `now`.

    Raises `InvalidUpdate` when the update contradicts the rules, `Conflict` when it names another project or type.
    """
    return applied(None if job is None else view(job), update, now)


def applied(before: View | None, update: Update, now: float) -> Outcome:
    """Do what `apply` does, for whoever knows already how the job looks."""
    if before is None:
        return _applied(None, report.new_job(update, now), update, now)
    job = before.job
    _check_same_work(job, update)
    now = max(now, job.updated_at)
    if update.attempt is not None and update.attempt > job.attempt.number:
        return _applied(before, job._replace(attempt=report.new_attempt(update)), update, now)
    refused = _refused(job.attempt, update)
    if refused is not None:
        return _unchanged(before, refused)
    if job.attempt.final is not None:
        return _late(before, update, now)
    return _applied(before, job, update, now)


def control(job: Job, request: Request, now: float) -> Outcome:
    """Return the job with an operator's wish noted; the same wish twice is one. Raises `Conflict` when finished."""
    shown = view(job)
    if shown.is_finished:
        raise Conflict(f"the job is {shown.status}: nothing is left to {request.value}")
    asked = _asked(job.attempt, request)
    if asked is job.attempt:
        return _unchanged(shown, Reason.DUPLICATE)
    return _changed(shown, job._replace(attempt=asked), now)


def lose(job: Job, now: float) -> Outcome:
    """Return the job as lost: nobody has heard of it for too long. A finished or lost one stays as it is."""
    shown = view(job)
    if shown.is_finished or now <= job.last_contact_at:
        return _unchanged(shown, Reason.DUPLICATE)
    return _changed(shown, job._replace(attempt=job.attempt._replace(lost_at=now)), now)


def stall(before: View, judged: Stall | None, now: float) -> Outcome:
    """Return the job with what a judge found: stuck at something, or (None) at nothing."""
    present = before.job.attempt.stall
    if before.is_finished or (judged.reason if judged else None) == (present.reason if present else None):
        return _unchanged(before, Reason.DUPLICATE)
    job = before.job._replace(attempt=before.job.attempt._replace(stall=judged))
    return _changed(before, job, now, origin=f"{job.attempt.number}/stall/{now!r}")


def fork(job: Job, lineage: str) -> Job:
    """Return the job as owned by another store, whose counting is kept apart until the versions are joined."""
    return job if job.lineage == lineage else job._replace(lineage=lineage)


def join(a: Job, b: Job) -> Job:
    """Return the one job that two versions amount to; commutative, idempotent, and exact for increments.

    The version is the larger of the two: whoever stores a result that differs from what is stored adds one.
    """
    if a.attempt.number == b.attempt.number:
        attempt = attempts.joined(a.attempt, b.attempt)
    else:
        attempt = max(a.attempt, b.attempt, key=lambda side: side.number)
    older = min(a, b, key=lambda side: (side.created_at, side.project, side.job_type))
    return Job(
        job_id=a.job_id,
        project=older.project,
        job_type=older.job_type,
        attempt=attempt,
        facts=stages.newest_of_each(a.facts, b.facts),
        metadata=stages.newest_of_each(a.metadata, b.metadata),
        plan=stages.newest(a.plan, b.plan),
        created_at=older.created_at,
        updated_at=max(a.updated_at, b.updated_at),
        last_contact_at=max(a.last_contact_at, b.last_contact_at),
        last_progress_at=max(a.last_progress_at, b.last_progress_at),
        lineage=max(a.lineage, b.lineage),
        version=max(a.version, b.version),
        event_count=max(a.event_count, b.event_count),
        unknown=stages.either(a.unknown, b.unknown),
    )


def united(before: View | None, other: Job, now: float) -> Outcome:
    """Return what a job becomes when a version of it from another store is joined in.

    The very same object if that brings nothing new, the other version as it is if that holds all and is a later one.
    Anything else is a new version: neither side has seen it yet. Of two ends the one that does not stay is told as
    `late`.
    """
    if before is None:
        return Outcome(other, view(other), Reason.APPLIED, applied=True)
    job = before.job
    if job._replace(lineage="") == other._replace(lineage=""):
        return _unchanged(before, Reason.DUPLICATE)
    joined = join(job, other)
    if _is_same(joined, job):
        return _unchanged(before, Reason.DUPLICATE)
    is_later = other.version > job.version or _shown(other) == _shown(job)
    if is_later and _is_same(joined, other):
        return Outcome(other, view(other), Reason.APPLIED, applied=True)
    events = _overruled(job, other, joined, now)
    told = joined._replace(version=joined.version + 1, event_count=joined.event_count + len(events))
    return Outcome(told, view(told), Reason.APPLIED, applied=True, events=events)


def _shown(job: Job) -> tuple[object, ...]:
    """Return all that tells a watcher one version of a job from another."""
    attempt = job.attempt
    wishes = (attempt.cancel_requested, is_pause_requested(attempt))
    return (*_said(job), attempt.number, status(job), wishes, attempt.shown.percent)


def _is_same(joined: Job, side: Job) -> bool:
    """Whether a join came to what one side held already, whoever owns it."""
    return joined._replace(lineage="") == join(side, side)._replace(lineage="")


def _overruled(a: Job, b: Job, joined: Job, now: float) -> tuple[Event, ...]:
    """Return the line that tells of the end which does not stay, none if there were not two of this attempt."""
    number = joined.attempt.number
    finals = [side.attempt.final for side in (a, b) if side.attempt.number == number and side.attempt.final is not None]
    lost = [final for final in finals if final != joined.attempt.final]
    return tuple(
        Event(
            f"{number}:late/{final.status}/{final.at!r}",
            joined.event_count + 1,
            "late",
            max(now, joined.updated_at),
            number,
            {"status": final.status.value, "error": final.error, "result": final.result},
        )
        for final in lost
    )


def _asked(attempt: Attempt, request: Request) -> Attempt:
    """Return the attempt with a wish noted, itself if it already was."""
    match request:
        case Request.CANCEL if not attempt.cancel_requested:
            return attempt._replace(cancel_requested=True)
        case Request.PAUSE if not is_pause_requested(attempt):
            return attempt._replace(pause_asked=attempt.pause_asked + 1)
        case Request.RESUME if is_pause_requested(attempt):
            return attempt._replace(pause_asked=attempt.pause_asked + 1)
        case Request.CANCEL | Request.PAUSE | Request.RESUME:
            return attempt
        case _:
            assert_never(request)


def _check_same_work(job: Job, update: Update) -> None:
    if update.project not in (None, job.project):
        raise Conflict("the job has another project; a job never changes it")
    if update.job_type not in (None, job.job_type):
        raise Conflict("the job has another job_type; a job never changes it")


def _refused(attempt: Attempt, update: Update) -> Reason | None:
    """Return why an update cannot count, None if it may."""
    if update.attempt is not None and update.attempt < attempt.number:
        return Reason.STALE_ATTEMPT
    recognised = _recognised(attempt, update)
    if recognised is Recognition.NEW:
        return None
    if recognised is Recognition.CONFLICT and update.seq is None:
        raise InvalidUpdate("Idempotency-Key", "was used before with another body")
    return Reason(recognised.value)


def _recognised(attempt: Attempt, update: Update) -> Recognition:
    if update.seq is not None:
        return ledger.recognise(attempt.writers.get(update.writer, EMPTY), update.seq, update.digest)
    if update.key is not None:
        return ledger.recognise(attempt.keys, update.key, update.digest)
    return Recognition.NEW


def _unchanged(shown: View, reason: Reason) -> Outcome:
    return Outcome(shown.job, shown, reason, applied=False)


def _late(before: View, update: Update, now: float) -> Outcome:
    """Keep on the timeline what a finished job was still told, once."""
    if update.is_heartbeat:
        return _unchanged(before, Reason.LATE)
    job = before.job
    number = job.event_count + 1
    event = Event(f"{_origin(job, update)}:late", number, "late", now, job.attempt.number, update.said)
    told = job._replace(attempt=report.receipted(job, update, now), event_count=number)
    return Outcome(told, before._replace(job=told), Reason.LATE, applied=False, events=(event,))


def _applied(before: View | None, job: Job, update: Update, now: float) -> Outcome:
    """Take the update in; `before` is how the job looked, `job` carries the attempt that the update is for."""
    in_order = update.seq is None or update.seq > job.attempt.writers.get(update.writer, EMPTY).top
    reason = Reason.APPLIED if in_order else Reason.OUT_OF_ORDER
    told = report.heard(job, update, now) if update.is_heartbeat else report.told(job, update, now)
    if before is not None and _is_quiet(before, told, update, in_order=in_order):
        return Outcome(told, before._replace(job=told), reason, applied=in_order)
    line = (update.event.type, dict(update.event.details)) if update.event else None
    return _changed(before, told, now, reason=reason, origin=_origin(told, update), line=line)


def _is_quiet(before: View, told: Job, update: Update, *, in_order: bool) -> bool:
    """Whether only the bookkeeping changed: a heartbeat, or an old report that had nothing to add."""
    attempt = before.job.attempt
    if attempt.number != told.attempt.number or before.status is Status.LOST:
        return False
    if attempt.stall is not None and attempt.stall.reason is StallReason.SILENT:
        return False
    return update.is_heartbeat or (not in_order and update.event is None and _said(told) == _said(before.job))


def _said(job: Job) -> tuple[object, ...]:
    """Return all that workers report, to tell whether a report changed any of it."""
    attempt = job.attempt
    return (
        (job.facts, job.metadata, stages.ordered(stages.plan_of(job), attempt.stages)),
        (attempt.words, attempt.percent, attempt.items, attempt.added, attempt.worked, attempt.rewound, attempt.final),
        {name: (s.named, s.current, s.percent, s.words, s.ended) for name, s in attempt.stages.items()},
    )


def _changed(  # noqa: PLR0913 - what a change is made of
    before: View | None,
    job: Job,
    now: float,
    *,
    reason: Reason = Reason.APPLIED,
    origin: str | None = None,
    line: Line | None = None,
) -> Outcome:
    origin = origin or f"{job.lineage}/{job.event_count + 1}"
    settled = settle.settled(before, job, max(now, job.updated_at), origin, line)
    return Outcome(settled.view.job, settled.view, reason, applied=True, events=settled.events, ended=settled.ended)


def _origin(job: Job, update: Update) -> str:
    """Return what names an update among all of its job, the same wherever it is applied."""
    if update.seq is not None:
        return f"{job.attempt.number}/{update.writer}/{update.seq}"
    return update.identity if update.key is None else f"key/{job.attempt.number}/{update.key}"
