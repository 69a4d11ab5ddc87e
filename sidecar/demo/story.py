"""How one job goes, as a list of what its worker says and when. Pure: dice and limits are arguments."""

import random
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from sidecar.demo.fates import Fate
from sidecar.demo.kinds import Kind, Stage

Report = Mapping[str, Any]

TROUBLE_AT = 0.45
"""Which share of its work a job has done when trouble comes; its longest stage runs then."""

PAST_LIMIT = 1.5
"""How many times its limit a stalled job stays so, and `FOR_ALERTS_SECONDS` more, so that alerts fire and resolve."""

FOR_ALERTS_SECONDS = 120.0
SLOWER = {Fate.SLOW: 9.0, Fate.DEADLINE: 3.0}
DEAD_FOR = 2.0
"""How many times as long as a silent job's is the silence of one whose worker is dead."""

HEARTBEAT_SECONDS = 4.0
MOST_TICKS = 2_000


class Limits(NamedTuple):
    """How long (seconds) the sidecar lets the clocks of a job run."""

    silent_seconds: float = 300.0
    no_progress_seconds: float = 600.0
    not_started_seconds: float = 180.0
    cancel_stuck_seconds: float = 300.0


class Ask(StrEnum):
    """What somebody else than its worker can ask for a job: the last part of a path of the API."""

    CANCEL = "cancel"
    NEXT_ATTEMPT = "attempts"


class Step(NamedTuple):
    """What happens next to a job: some seconds pass, somebody asks for something, and its worker says something.

    `says` without a word is a heartbeat.
    """

    seconds: float
    says: Report
    ask: Ask | None = None


class Part(NamedTuple):
    """All that decides how a job goes. `limits` are in the story's own seconds, asked for when they are needed."""

    kind: Kind
    fate: Fate
    dice: random.Random
    limits: Callable[[], Limits]


def story(part: Part) -> Iterator[Step]:
    """Yield what the worker of a job does, from the first word to the last."""
    if part.fate is Fate.QUEUED:
        yield Step(0, _introduction(part) | {"status": "queued", "message": "waiting for a worker"})
        yield Step(_beyond(part.limits().not_started_seconds), {"status": "running", "message": "a worker came"})
    else:
        yield Step(0, _introduction(part) | {"status": "running", "message": part.kind.title})
    if part.fate in {Fate.FAILED, Fate.RETRIED}:
        yield from _failure(part)
        if part.fate is Fate.FAILED:
            return
        yield Step(5, {"attempt": 2, **_introduction(part), "status": "running", "message": "second attempt"})
    yield from _work(part, _troubled(part))
    yield Step(1, {"status": "completed", "message": "done", "result": {"seed": part.dice.randrange(1000)}})


def _introduction(part: Part) -> dict[str, Any]:
    told: dict[str, Any] = {"labels": {"fate": part.fate.value}, "detail": part.kind.title}
    if part.fate is Fate.DEADLINE:
        told["max_runtime_seconds"] = part.kind.seconds / 2
    if part.fate not in {Fate.SILENT, Fate.LOST}:  # what they miss is not an interval
        told["interval_seconds"] = HEARTBEAT_SECONDS
    return told


def _failure(part: Part) -> Iterator[Step]:
    """Yield the first part of the work, and the error that ends it."""
    for step in _work(part, None):
        if part.dice.random() < 0.03:  # noqa: PLR2004 - sooner or later
            break
        yield step
    kind, message = part.kind.error
    context = {"job_type": part.kind.job_type, "fate": part.fate.value}
    error = {"type": kind, "message": message, "context": context, "stack": f"{kind}: {message}"}
    yield Step(1, {"status": "failed", "message": message, "error": error})


def _work(part: Part, trouble: Callable[[Part], Iterator[Step]] | None) -> Iterator[Step]:
    """Yield the reports of all stages, with the trouble in the middle of them."""
    slowness = part.dice.lognormvariate(0, 0.35) * SLOWER.get(part.fate, 1.0)
    done_seconds, trouble_at = 0.0, TROUBLE_AT * part.kind.seconds
    for stage in part.kind.stages:
        for step in _ticks(part, stage, slowness):
            if trouble is not None and done_seconds >= trouble_at:
                yield from trouble(part)
                trouble = None
            yield step
            done_seconds += stage.seconds / stage.ticks
        yield Step(0, {"stage": stage.name, "stage_status": "completed"})


def _ticks(part: Part, stage: Stage, slowness: float) -> Iterator[Step]:
    yield Step(0, {"stage": stage.name, "current": 0, "unit": stage.unit, **_total(stage, 0), "message": stage.message})
    for tick in range(1, stage.ticks + 1):
        seconds = slowness * stage.seconds / stage.ticks * part.dice.lognormvariate(0, 0.7)
        current = round(stage.total * tick / stage.ticks)
        told = {"stage": stage.name, "current": current, **_total(stage, tick)}
        yield Step(seconds, told | _counts(part, stage, tick) | {"message": f"{stage.unit}: {current}"})


def _total(stage: Stage, tick: int) -> dict[str, Any]:
    """Return what is known of the total: while it is still being discovered, it grows in steps."""
    if not stage.is_discovery:
        return {"total": stage.total}
    if tick == stage.ticks:
        return {"total": stage.total, "total_growing": False}
    return {"total": round(stage.total * (tick + 1) / stage.ticks), "total_growing": True}


def _counts(part: Part, stage: Stage, tick: int) -> dict[str, Any]:
    """Return the items of one tick; a batched kind tells what was added, the others what there is."""
    each = stage.total / stage.ticks
    if part.kind.is_batched:
        added = {name: max(1, round(share * each)) for name, share in stage.items}
        return {"add": {"items": added}, "resume": {"last_id": tick}} if added else {"resume": {"last_id": tick}}
    return {"items": {name: round(share * each * tick) for name, share in stage.items}} if stage.items else {}


def _troubled(part: Part) -> Callable[[Part], Iterator[Step]] | None:
    return {
        Fate.CANCELLED: _cancelled,
        Fate.PAUSED: _paused,
        Fate.BLOCKED: _blocked,
        Fate.HANGING: _hanging,
        Fate.SILENT: _silent,
        Fate.STUBBORN: _stubborn,
        Fate.LOST: _lost,
    }.get(part.fate)


def _beyond(limit_seconds: float) -> float:
    return PAST_LIMIT * limit_seconds + FOR_ALERTS_SECONDS


def _beats(seconds: float, says: Report) -> Iterator[Step]:
    """Yield sign after sign of life for so long."""
    count = min(MOST_TICKS, max(1, round(seconds / HEARTBEAT_SECONDS)))
    for _ in range(count):
        yield Step(seconds / count, says)


def _cancelled(_part: Part) -> Iterator[Step]:
    yield Step(1, {"message": "somebody asks for this job to end"}, Ask.CANCEL)
    yield from _beats(2 * HEARTBEAT_SECONDS, {})


def _paused(_part: Part) -> Iterator[Step]:
    yield Step(1, {"status": "paused", "message": "paused for the night"})
    yield from _beats(30, {})
    yield Step(1, {"status": "running", "message": "resumed"})


def _blocked(part: Part) -> Iterator[Step]:
    event = {"type": "credential_status_change", "details": {"status": "expired"}}
    waiting = {"status": "blocked", "blocked_on": part.kind.blocked_on, "message": "waiting", "event": event}
    yield Step(1, waiting)
    yield from _beats(40, {})
    event = {"type": "credential_status_change", "details": {"status": "renewed"}}
    yield Step(1, {"status": "running", "message": "going on", "event": event})


def _hanging(part: Part) -> Iterator[Step]:
    yield Step(1, {"message": "no answer from the machine that does the work"})
    yield from _beats(_beyond(part.limits().no_progress_seconds), {})
    yield Step(1, {"message": "it answers again"})


def silent_for(limits: Limits) -> float:
    """Return how long (seconds) a silent job says nothing."""
    return _beyond(limits.silent_seconds)


def lost_for(limits: Limits) -> float:
    """Return how long (seconds) nothing is said of a job whose worker is dead."""
    return DEAD_FOR * silent_for(limits)


def _silent(part: Part) -> Iterator[Step]:
    yield Step(silent_for(part.limits()), {"message": "back after a network failure"})


def _stubborn(part: Part) -> Iterator[Step]:
    yield Step(1, {"message": "somebody asks for this job to end"}, Ask.CANCEL)
    yield from _beats(_beyond(part.limits().cancel_stuck_seconds), {"message": "cannot stop here"})


def _lost(part: Part) -> Iterator[Step]:
    yield Step(
        lost_for(part.limits()),
        {"attempt": 2, "status": "running", "message": "another worker takes it up"},
        Ask.NEXT_ATTEMPT,
    )
