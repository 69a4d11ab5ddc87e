"""The jobs that writers work on, and what each push says of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

PROJECT = "faults"
STAGES = ("fetch", "solve", "store")
STAGE_TOTAL = 40
CURRENT = "current"
LATENESS = 3
"""By how much a report may be behind the newest one of its job."""

EVENT_SHARE, MESSAGE_SHARE, ADD_SHARE, KEY_SHARE = 0.1, 0.3, 0.5, 0.1
FINISHED = ("completed", "failed", "cancelled")
OTHER_END_SHARE = 0.3
"""How many jobs do not end well, of those that end before all of their work is done."""

AGAIN_SHARE = 0.5
"""How many of those that failed are tried again."""


class Shape(StrEnum):
    """How the progress of a job is told."""

    COUNTED = "counted"
    ADDED = "added"
    STAGED = "staged"


class Fate(StrEnum):
    """What is known of a push: nothing yet, that it was taken, or that its job had finished before."""

    OPEN = "open"
    KEPT = "kept"
    LATE = "late"
    STALE = "stale"
    """Another attempt had begun."""

    DOUBTFUL = "doubtful"
    """Recognised, but perhaps as one that came late."""


@dataclass(slots=True)
class Job:
    """An attempt at a job, as its writers know it."""

    job_id: str
    shape: Shape
    total: int
    attempt: int = 1
    progress: int = 0
    is_ended: bool = False


@dataclass(slots=True)
class Push:
    """One report, and what became of it. Counters of a stage are named `stage:` and its name.

    It is recognised by its writer and seq, or by them as an idempotency key: then it says neither.
    """

    job: Job
    writer: str
    seq: int
    maxima: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    event_id: str | None = None
    has_message: bool = False
    is_end: bool = False
    ending: str = "completed"
    """The status of an end."""

    has_key: bool = False
    fate: Fate = Fate.OPEN
    tries: int = 0
    first_sent_at: float = 0.0
    sent_at: float = 0.0
    """When the try began that was answered, or else the last one."""

    answered_at: float = 0.0

    @property
    def tag(self) -> str:
        """What tells it from all others."""
        return f"{self.seq} {self.writer}"

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with it."""
        return {"Idempotency-Key": self.tag} if self.has_key else {}

    @property
    def body(self) -> dict[str, Any]:
        """What is sent, the same at each try."""
        plan = {"stages": [{"name": name} for name in STAGES]}
        said: dict[str, Any] = {"project": PROJECT, "job_type": self.job.shape, "attempt": self.job.attempt}
        said |= {} if self.has_key else {"writer": self.writer, "seq": self.seq}
        said |= plan if self.job.shape is Shape.STAGED else {"total": self.job.total}
        said |= self._counters()
        if self.event_id is not None:
            said["event"] = {"type": "note", "details": {"id": self.event_id}}
        if self.has_message:
            said["message"] = self.tag
        if self.is_end:
            said |= {"status": self.ending, **outcome(self.ending, self.tag)}
        return said

    def _counters(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for name, value in self.maxima.items():
            if name == CURRENT:
                said["current"] = value
            elif name.startswith("stage:"):
                said |= {"stage": name.removeprefix("stage:"), "current": value, "total": STAGE_TOTAL}
            else:
                said.setdefault("items", {})[name] = value
        for name, value in self.sums.items():
            add = said.setdefault("add", {})
            if name == CURRENT:
                add["current"] = value
            else:
                add.setdefault("items", {})[name] = value
        return said


def outcome(ending: str, tag: str) -> dict[str, Any]:
    """Return what came of a job, as its end tells it."""
    if ending == "completed":
        return {"result": {"of": tag}}
    return {"error": {"message": tag}} if ending == "failed" else {}


def new_job(number: int, random: Random, *, is_long: bool) -> Job:
    """Return a job of some shape; a long one gets more reports of each writer than are remembered one by one."""
    if is_long:
        return Job(f"job-{number}", random.choice([Shape.COUNTED, Shape.ADDED]), random.randint(1200, 1800))
    shape = random.choice(list(Shape))
    total = len(STAGES) * STAGE_TOTAL if shape is Shape.STAGED else random.randint(60, 160)
    return Job(f"job-{number}", shape, total)


def after(ended: Push, number: int, random: Random, *, is_long: bool) -> Job:
    """Return what is worked on when a job has ended: perhaps that job again, else a new one."""
    if ended.ending == "failed" and random.random() < AGAIN_SHARE:
        return Job(ended.job.job_id, ended.job.shape, ended.job.total, ended.job.attempt + 1)
    return new_job(number, random, is_long=is_long)


def next_push(job: Job, writer: str, seq: int, random: Random) -> Push:
    """Return what a writer says next of a job, which gets a little further."""
    job.progress = min(job.total, job.progress + random.randint(0, 2))
    at = max(0, job.progress - random.randint(0, LATENESS))
    push = Push(job, writer, seq)
    push.is_end = not job.is_ended and (job.progress == job.total or random.random() < 1 / job.total)
    if push.is_end and job.progress < job.total and random.random() < OTHER_END_SHARE:
        push.ending = random.choice(FINISHED[1:])
    _count(push, job.total if push.is_end and push.ending == "completed" else at, random)
    if random.random() < EVENT_SHARE:
        push.event_id = f"{writer}-{seq}"
    push.has_key = random.random() < KEY_SHARE
    # Without a seq the newest message would be the last to come.
    push.has_message = not push.has_key and random.random() < MESSAGE_SHARE
    job.is_ended = job.is_ended or push.is_end
    return push


def _count(push: Push, at: int, random: Random) -> None:
    match push.job.shape:
        case Shape.COUNTED:
            push.maxima = {CURRENT: at, "files": at}
        case Shape.ADDED:
            push.sums[CURRENT] = random.randint(1, 2)
        case Shape.STAGED:
            stage, current = divmod(min(at, push.job.total - 1), STAGE_TOTAL)
            push.maxima = {f"stage:{STAGES[stage]}": current}
    if random.random() < ADD_SHARE:
        push.sums["rows"] = random.randint(1, 9)
