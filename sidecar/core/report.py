"""How one update changes what is kept of a job: registers, maxima and receipts, nothing derived."""

from collections.abc import Mapping
from functools import partial

from sidecar.core import ledger, limits, stages
from sidecar.core.job import Attempt, Final, Job, Json, Register, Registers, Stage, Status, Update
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
        attempt=new_attempt(update),
        created_at=now,
        updated_at=now,
        last_contact_at=now,
        last_progress_at=now,
        lineage=update.identity,
    )


def new_attempt(update: Update) -> Attempt:
    """Return the attempt that an update begins, of which nothing is known yet."""
    number = update.attempt or 1
    return Attempt(number=number, newest=Rank(number, -1, 0, ""), usual=update.usual)


def told(job: Job, update: Update, now: float) -> Job:
    """Return the job with all that the update says. Raises `InvalidUpdate` for what breaks a rule."""
    stage = update.stage or stages.running(stages.ordered(stages.plan_of(job), job.attempt.stages), job.attempt)
    limits.check(job, update, stage)
    rank = rank_of(job.attempt, update)
    metadata = _registered(job.metadata, rank, update.metadata)
    if update.metadata:
        limits.check_metadata(job.metadata, metadata)
    return job._replace(
        attempt=_attempt(receipted(job, update, now, stage), update, rank, stage, now),
        facts=_registered(_traced(job.facts, rank, update), rank, update.facts),
        metadata=metadata,
        plan=stages.newest(job.plan, Register(rank, update.plan)) if update.plan else job.plan,
        last_contact_at=max(job.last_contact_at, now),
    )


def heard(job: Job, update: Update, now: float) -> Job:
    """Return the job with a heartbeat entered: somebody lives, and nothing else."""
    return job._replace(attempt=receipted(job, update, now), last_contact_at=max(job.last_contact_at, now))


def rank_of(attempt: Attempt, update: Update) -> Rank:
    """Return the place of the update in the newest-wins order of its attempt."""
    if update.seq is not None:
        return Rank(attempt.number, update.seq, 0, update.writer)
    return Rank(attempt.number, attempt.newest.seq, attempt.newest.tick + 1, update.identity)


def receipted(job: Job, update: Update, now: float, stage: str | None = None) -> Attempt:
    """Return the attempt with the update entered in its ledgers; it counts for `stage`, for nothing without one."""
    attempt, name = job.attempt, update.writer
    amounts = {} if stage is None else _amounts(update, stage)
    known = attempt.writers.get(name, ledger.EMPTY)
    mine, keys = known, attempt.keys
    enter = partial(ledger.accept, digest=update.digest, amounts=amounts, lineage=job.lineage, at=now)
    if stage is not None:
        mine = ledger.marked(mine, *limits.counters(update, stage))
    if update.seq is not None:
        mine = enter(mine, update.seq)
    elif update.key is not None:
        keys = enter(keys, update.key)
    writers = attempt.writers if mine is known else limits.with_writer(attempt.writers, name, mine)
    added = ledger.total([attempt.added, amounts]) if amounts else attempt.added
    return attempt._replace(writers=writers, keys=keys, added=added)


def _attempt(attempt: Attempt, update: Update, rank: Rank, stage: str, now: float) -> Attempt:
    given = {name: value for name, value in update.words.items() if name not in STAGE_WORDS}
    ending = Status(given["status"]) if "status" in given else Status.RUNNING
    if ending.is_finished:
        del given["status"]
    words = _registered(attempt.words, rank, given)
    rewound = stages.latest(rank, attempt.rewound) if update.rewind else attempt.rewound
    items = {kind: raised(attempt.items.get(kind, ()), rank, count) for kind, count in update.items.items()}
    return attempt._replace(
        newest=max(attempt.newest, rank),
        words=words,
        worked=stages.latest(rank, attempt.worked) if _is_work(update) else attempt.worked,
        stages=_stages(attempt.stages, update, rank, stage),
        percent=_raised(attempt.percent, rank, update.percent),
        items={**attempt.items, **items} if items else attempt.items,
        rewound=rewound,
        points=attempt.points if rewound == attempt.rewound else (),
        halfway=attempt.halfway if rewound == attempt.rewound else None,
        final=_final(ending, words, given, now) if ending.is_finished else None,
    )


def _final(ending: Status, words: Registers, given: Mapping[str, Json], now: float) -> Final:
    """Return the end with what was last said of it; an error that the work got over does not stay with it."""
    got_over = ending is Status.COMPLETED and "error" not in given
    error = None if got_over else stages.word(words, "error")
    return Final(now, ending, error, stages.word(words, "result"))


def _is_work(update: Update) -> bool:
    numbers = (update.current, update.percent, update.stage_percent, update.add_current)
    return bool(update.stage or update.items or update.add_items) or numbers.count(None) < len(numbers)


def _stages(known: Mapping[str, Stage], update: Update, rank: Rank, name: str) -> Mapping[str, Stage]:
    words = {word: value for word, value in update.words.items() if word in STAGE_WORDS}
    counts = update.current is not None or update.stage_percent is not None
    if not (update.stage or update.rewind or update.stage_completed or words or counts):
        return known
    stage = known.get(name, Stage(first=rank, named=rank))
    named = stage._replace(
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
    newer = {
        name: Register(rank, value) for name, value in given.items() if name not in known or known[name].rank < rank
    }
    return {**known, **newer}


def _traced(facts: Registers, rank: Rank, update: Update) -> Registers:
    """Return the facts with the trace of a request: below every word of the worker, and the first one stays."""
    if update.trace_id is None:
        return facts
    first = Rank(rank.attempt, -2 - rank.seq, -rank.tick, rank.writer)
    return _registered(facts, first, {"trace_id": update.trace_id})


def _amounts(update: Update, stage: str) -> dict[str, int]:
    amounts = {f"items:{kind}": amount for kind, amount in update.add_items.items()}
    if update.add_current is not None:
        amounts[f"current:{stage}"] = update.add_current
    return amounts
