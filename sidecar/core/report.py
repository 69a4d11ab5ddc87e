"""How one update changes what is kept of a job: registers, maxima and receipts, nothing derived."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from sidecar.core import ledger, limits, stages
from sidecar.core.job import Attempt, Final, Job, Json, Register, Registers, Stage, Status, Update
from sidecar.core.ledger import Ledger
from sidecar.core.peaks import Peaks, Rank, raised

STAGE_WORDS = ("total", "total_growing")


def new_job(update: Update, now: float) -> Job:
    """Return the job that a first update creates, before anything that it says is counted.

    Its lineage is the update's own until a store takes it over, so that two sides of a split that both create it
    count apart.
    """
    return Job(
        job_id=update.job_id,
        project=update.project or "default",
        job_type=update.job_type or "default",
        attempt=new_attempt(update.attempt or 1),
        created_at=now,
        updated_at=now,
        last_contact_at=now,
        last_progress_at=now,
        lineage=update.identity,
    )


def new_attempt(number: int) -> Attempt:
    """Return an attempt of which nothing is known yet."""
    return Attempt(number=number, newest=Rank(number, -1, 0, ""))


def told(job: Job, update: Update, now: float) -> Job:
    """Return the job with all that the update says. Raises `InvalidUpdate` for what breaks a rule."""
    stage = update.stage or stages.running(stages.ordered(stages.plan_of(job), job.attempt.stages), job.attempt)
    limits.check(job, update, stage)
    rank = rank_of(job.attempt, update)
    counted = receipted(job, update, now, stage)
    changed = replace(
        counted,
        attempt=_attempt(counted.attempt, update, rank, stage, now),
        facts=_registered(job.facts, rank, update.facts),
        metadata=_registered(job.metadata, rank, update.metadata),
        plan=stages.newest(job.plan, Register(rank, update.plan)) if update.plan else job.plan,
    )
    if update.metadata:
        limits.check_metadata(changed.metadata)
    return changed


def rank_of(attempt: Attempt, update: Update) -> Rank:
    """Return the place of the update in the newest-wins order of its attempt."""
    if update.seq is not None:
        return Rank(attempt.number, update.seq, 0, update.writer)
    return Rank(attempt.number, attempt.newest.seq, attempt.newest.tick + 1, update.identity)


def receipted(job: Job, update: Update, now: float, stage: str = stages.JOB, *, counts: bool = True) -> Job:
    """Return the job with the update entered in its ledgers; its increments too unless it `counts` no more."""
    attempt = job.attempt
    amounts = _amounts(update, stage) if counts else {}
    mine, keys = attempt.writers.get(update.writer, Ledger()), attempt.keys
    enter = partial(ledger.accept, digest=update.digest, amounts=amounts, lineage=job.lineage, at=now)
    if update.seq is not None:
        mine = enter(mine, update.seq)
    elif update.key is not None:
        keys = enter(keys, update.key)
    if counts:
        absolutes, increments = limits.counters(update, stage)
        mine = replace(mine, absolutes=mine.absolutes | absolutes, increments=mine.increments | increments)
    writers = limits.without_surplus_windows({**attempt.writers, update.writer: mine}, update.writer)
    added = ledger.total([attempt.added, amounts]) if amounts else attempt.added
    return replace(job, attempt=replace(attempt, writers=writers, keys=keys, added=added))


def in_contact(job: Job, now: float) -> Job:
    """Return the job as just heard of; a lost one is thereby back."""
    return replace(job, last_contact_at=max(job.last_contact_at, now, job.attempt.lost_at or 0.0))


def _attempt(attempt: Attempt, update: Update, rank: Rank, stage: str, now: float) -> Attempt:
    words = {name: value for name, value in update.words.items() if name not in STAGE_WORDS}
    status = words.get("status")
    final = Final(now, Status(status), words.get("error"), words.get("result")) if _finishes(status) else None
    if final is not None:
        del words["status"]
    rewound = stages.latest(rank, attempt.rewound) if update.rewind else attempt.rewound
    return replace(
        attempt,
        newest=max(attempt.newest, rank),
        words=_registered(attempt.words, rank, words),
        worked=stages.latest(rank, attempt.worked) if _is_work(update) else attempt.worked,
        stages=_stages(attempt.stages, update, rank, stage),
        percent=_raised(attempt.percent, rank, update.percent),
        items={**attempt.items, **{k: raised(attempt.items.get(k, ()), rank, n) for k, n in update.items.items()}},
        rewound=rewound,
        points=attempt.points if rewound == attempt.rewound else (),
        final=final,
    )


def _finishes(status: Json) -> bool:
    return status is not None and Status(status).is_finished


def _is_work(update: Update) -> bool:
    return bool(
        update.stage or update.items or update.add_items or update.add_current is not None
    ) or any(number is not None for number in (update.current, update.percent, update.stage_percent))


def _stages(known: Mapping[str, Stage], update: Update, rank: Rank, name: str) -> Mapping[str, Stage]:
    words = {word: value for word, value in update.words.items() if word in STAGE_WORDS}
    counts = update.current is not None or update.stage_percent is not None
    if not (update.stage or update.rewind or update.stage_completed or words or counts):
        return known
    stage = known.get(name, Stage(first=rank, named=rank))
    named = replace(
        stage,
        first=min(stage.first, rank),
        named=max(stage.named, rank),
        current=_raised(stage.current, rank, update.current),
        percent=_raised(stage.percent, rank, update.stage_percent),
        words=_registered(stage.words, rank, words),
        ended=stages.latest(rank, stage.ended) if update.stage_completed else stage.ended,
    )
    return {**known, name: named}


def _raised(peaks: Peaks, rank: Rank, value: float | None) -> Peaks:
    return peaks if value is None else raised(peaks, rank, value)


def _registered(known: Registers, rank: Rank, given: Mapping[str, Json]) -> Registers:
    if not given:
        return known
    return stages.newest_of_each(known, {name: Register(rank, value) for name, value in given.items()})


def _amounts(update: Update, stage: str) -> dict[str, int]:
    amounts = {f"items:{kind}": amount for kind, amount in update.add_items.items()}
    if update.add_current is not None:
        amounts[f"current:{stage}"] = update.add_current
    return amounts
