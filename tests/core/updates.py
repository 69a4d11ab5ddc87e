"""Updates as the tests of the core need them, and jobs made of them."""

from typing import Any

from sidecar.core import merge
from sidecar.core.job import Job, PlannedStage, Update
from sidecar.core.merge import Outcome
from sidecar.core.peaks import Rank
from sidecar.core.view import View

NOON = 1_700_000_000.0

WHO = {"project", "job_type", "attempt"}

PLAN = (
    PlannedStage("read", 5),
    PlannedStage("parse", 10, "Parsing"),
    PlannedStage("solve", 60),
    PlannedStage("check", 15),
    PlannedStage("save", 10),
)


def update(writer: str = "", seq: int | None = None, key: str | None = None, **fields: Any) -> Update:
    """Return an update as the edge makes it: its digest and what it said are those of its fields."""
    said = {name: value for name, value in fields.items() if name not in WHO}
    identity = f"{writer}.{seq}.{key}.{sorted(said.items(), key=repr)}"
    return Update(
        job_id="job-1", identity=identity, writer=writer, seq=seq, key=key, digest=repr(said), said=said, **fields
    )


def push(job: Job | None, *updates: Update, at: float = NOON) -> Outcome:
    """Return what becomes of the job by the last of these updates, which arrive a second apart."""
    outcome: Outcome | None = None
    for index, given in enumerate(updates):
        outcome = merge.apply(job, given, at + index)
        job = outcome.job
    assert outcome is not None
    return outcome


def job_of(*updates: Update, at: float = NOON) -> Job:
    """Return the job that these updates make."""
    return push(None, *updates, at=at).job


def view_of(*updates: Update, at: float = NOON) -> View:
    """Return how the job looks that these updates make."""
    return push(None, *updates, at=at).view


def lines(outcome: Outcome) -> list[str]:
    """Return the types of the timeline's new lines."""
    return [event.type for event in outcome.events]


def rank(seq: int, writer: str = "") -> Rank:
    """Return the rank of an update of the first attempt."""
    return Rank(1, seq, 0, writer)
