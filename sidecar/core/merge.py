"""The one rule for change: `apply` an update to a job, and `join` two versions of a job that grew apart.

Both are joins of a semilattice: maxima, newest-wins registers and receipts of increments, so that any order and
any repetition of one attempt's unfinished updates end in the same job.
"""

from dataclasses import dataclass, replace

from sidecar.core import ledger, report, settle, stages
from sidecar.core.changes import Line
from sidecar.core.errors import Conflict, InvalidUpdate
from sidecar.core.job import Attempt, Event, Job, Reason, Request, Shown, Status, Update
from sidecar.core.ledger import Ledger, Recognition
from sidecar.core.peaks import merged
from sidecar.core.view import View, is_pause_requested, view


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change amounts to: the job as it is now, its view, and the timeline lines that tell of it.

    `job` is the very object that was passed in when there is nothing to store; the same `version` means that only
    the bookkeeping changed and nobody need be told.
    """

    job: Job
    view: View
    reason: Reason
    applied: bool
    events: tuple[Event, ...] = ()


def apply(job: Job | None, update: Update, now: float) -> Outcome:
    """Return what becomes of `job` when `update` arrives at the Unix time `now`.

    Raises `InvalidUpdate` when the update contradicts the rules, `Conflict` when it names another project or type.
    """
    if job is None:
        return _applied(None, report.new_job(update, now), update, now)
    _check_same_work(job, update)
    asked = update.attempt or job.attempt.number
    if asked < job.attempt.number:
        return _unchanged(job, Reason.STALE_ATTEMPT)
    if asked > job.attempt.number:
        return _applied(view(job), replace(job, attempt=report.new_attempt(asked)), update, now)
    match _recognised(job.attempt, update):
        case Recognition.DUPLICATE:
            return _unchanged(job, Reason.DUPLICATE)
        case Recognition.CONFLICT:
            return _conflict(job, update)
        case Recognition.TOO_OLD:
            return _unchanged(job, Reason.TOO_OLD)
        case Recognition.NEW if job.attempt.final is not None:
            return _late(job, update, now)
        case Recognition.NEW:
            return _applied(view(job), job, update, now)


def control(job: Job, request: Request, now: float) -> Outcome:
    """Return the job with an operator's wish noted; the same wish twice is one. Raises `Conflict` when finished."""
    shown = view(job)
    if shown.is_finished:
        message = f"the job is {shown.status}: nothing is left to {request.value}"
        raise Conflict(message)
    attempt = job.attempt
    match request:
        case Request.CANCEL:
            changed = replace(attempt, cancel_requested=True)
        case Request.PAUSE:
            changed = replace(attempt, pause_asked=attempt.pause_asked + (not is_pause_requested(attempt)))
        case Request.RESUME:
            changed = replace(attempt, pause_asked=attempt.pause_asked + is_pause_requested(attempt))
    if changed == attempt:
        return _unchanged(job, Reason.DUPLICATE)
    return _changed(shown, replace(job, attempt=changed), now)


def lose(job: Job, now: float) -> Outcome:
    """Return the job as lost: nobody has heard of it for too long. A finished or lost one stays as it is."""
    shown = view(job)
    if shown.is_finished:
        return _unchanged(job, Reason.DUPLICATE)
    return _changed(shown, replace(job, attempt=replace(job.attempt, lost_at=now)), now)


def fork(job: Job, lineage: str) -> Job:
    """Return the job as owned by another store, whose counting is kept apart until the versions are joined."""
    return job if job.lineage == lineage else replace(job, lineage=lineage)


def join(a: Job, b: Job) -> Job:
    """Return the one job that two versions amount to; commutative, idempotent, and exact for increments.

    The version is the larger of the two: whoever stores a result that differs from what is stored adds one.
    """
    if a.attempt.number == b.attempt.number:
        attempt = _joined_attempt(a.attempt, b.attempt)
    else:
        attempt = max(a.attempt, b.attempt, key=lambda side: side.number)
    return Job(
        job_id=a.job_id,
        project=a.project,
        job_type=a.job_type,
        attempt=attempt,
        facts=stages.newest_of_each(a.facts, b.facts),
        metadata=stages.newest_of_each(a.metadata, b.metadata),
        plan=stages.newest(a.plan, b.plan),
        created_at=min(a.created_at, b.created_at),
        updated_at=max(a.updated_at, b.updated_at),
        last_contact_at=max(a.last_contact_at, b.last_contact_at),
        last_progress_at=max(a.last_progress_at, b.last_progress_at),
        lineage=max(a.lineage, b.lineage),
        version=max(a.version, b.version),
        event_count=max(a.event_count, b.event_count),
    )


def _joined_attempt(a: Attempt, b: Attempt) -> Attempt:
    keys = ledger.joined(a.keys, b.keys, ledger.KEYS_REMEMBERED)
    writers = {
        name: ledger.joined(a.writers.get(name, Ledger()), b.writers.get(name, Ledger()), ledger.SEQS_REMEMBERED)
        for name in sorted(a.writers.keys() | b.writers.keys())
    }
    rewound = stages.latest(a.rewound, b.rewound)
    return Attempt(
        number=a.number,
        newest=max(a.newest, b.newest),
        writers=writers,
        keys=keys,
        added=ledger.total(map(ledger.counted, [keys, *writers.values()])),
        words=stages.newest_of_each(a.words, b.words),
        worked=stages.latest(a.worked, b.worked),
        stages={
            name: stages.joined(a.stages.get(name) or b.stages[name], b.stages.get(name) or a.stages[name])
            for name in sorted(a.stages.keys() | b.stages.keys())
        },
        percent=merged(a.percent, b.percent),
        items={
            kind: merged(a.items.get(kind, ()), b.items.get(kind, ()))
            for kind in sorted(a.items.keys() | b.items.keys())
        },
        rewound=rewound,
        shown=Shown(rewound, max(side.shown.percent for side in (a, b) if side.rewound == rewound)),
        points=max(a.points, b.points, key=lambda points: [(p.at, p.percent) for p in points[-1:]]),
        final=min(
            (final for final in (a.final, b.final) if final is not None),
            key=lambda final: (final.at, list(Status).index(final.status), repr(final)),
            default=None,
        ),
        lost_at=stages.latest(a.lost_at, b.lost_at),
        cancel_requested=a.cancel_requested or b.cancel_requested,
        pause_asked=max(a.pause_asked, b.pause_asked),
        started_at=stages.earliest(a.started_at, b.started_at),
        sampled_at=stages.latest(a.sampled_at, b.sampled_at),
    )


def _check_same_work(job: Job, update: Update) -> None:
    for name, mine, theirs in (
        ("project", job.project, update.project),
        ("job_type", job.job_type, update.job_type),
    ):
        if theirs not in (None, mine):
            message = f"the job has another {name}; a job never changes it"
            raise Conflict(message)


def _recognised(attempt: Attempt, update: Update) -> Recognition:
    if update.seq is not None:
        return ledger.recognise(attempt.writers.get(update.writer, Ledger()), update.seq, update.digest)
    if update.key is not None:
        return ledger.recognise(attempt.keys, update.key, update.digest)
    return Recognition.NEW


def _unchanged(job: Job, reason: Reason) -> Outcome:
    return Outcome(job, view(job), reason, applied=False)


def _conflict(job: Job, update: Update) -> Outcome:
    if update.seq is None:
        raise InvalidUpdate("Idempotency-Key", "was used before with another body")
    return _unchanged(job, Reason.CONFLICT)


def _late(job: Job, update: Update, now: float) -> Outcome:
    """Keep on the timeline what a finished job was still told, once."""
    if update.is_heartbeat:
        return _unchanged(job, Reason.LATE)
    told = report.receipted(job, update, now, counts=False)
    event = Event(f"{_origin(job, update)}:0", job.event_count + 1, "late", now, job.attempt.number, update.said)
    told = replace(told, event_count=event.number)
    return Outcome(told, view(told), Reason.LATE, applied=False, events=(event,))


def _applied(before: View | None, job: Job, update: Update, now: float) -> Outcome:
    """Take the update in; `before` is how the job looked, `job` carries the attempt that the update is for."""
    in_order = update.seq is None or update.seq > job.attempt.writers.get(update.writer, Ledger()).top
    reason = Reason.APPLIED if in_order else Reason.OUT_OF_ORDER
    told = report.in_contact(report.told(job, update, now), now)
    if before is not None and _is_quiet(before, told, update, in_order=in_order):
        return Outcome(told, view(told), reason, applied=in_order)
    line = (update.event.type, dict(update.event.details)) if update.event else None
    return _changed(before, told, now, reason=reason, origin=_origin(told, update), line=line)


def _is_quiet(before: View, told: Job, update: Update, *, in_order: bool) -> bool:
    """Whether only the bookkeeping changed: a heartbeat, or an old report that had nothing to add."""
    if before.job.attempt.number != told.attempt.number or before.status is Status.LOST:
        return False
    return update.is_heartbeat or (not in_order and update.event is None and _said(told) == _said(before.job))


def _said(job: Job) -> tuple[object, ...]:
    """Return all that workers report, to tell whether a report changed any of it."""
    attempt = job.attempt
    return (
        (job.facts, job.metadata, job.plan, attempt.final, attempt.rewound),
        (attempt.words, attempt.stages, attempt.percent, attempt.items, attempt.added),
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
    after, events = settle.settled(before, job, now, origin, line)
    return Outcome(after.job, after, reason, applied=True, events=events)


def _origin(job: Job, update: Update) -> str:
    if update.seq is None:
        return update.key or update.identity
    return f"{job.attempt.number}/{update.writer}/{update.seq}"
