"""Updates and changes as the tests of the stores need them."""

import secrets
from collections.abc import Sequence
from typing import Any

from sidecar.core import merge
from sidecar.core.job import Request, Status, Update
from sidecar.core.merge import Outcome
from sidecar.core.view import View
from sidecar.ports import ChangeJob, LiveStore, Written

NOON = 1_700_000_000.0


def update(job_id: str = "job-1", **fields: Any) -> Update:
    """Return an update that says at least something."""
    return Update(job_id=job_id, identity=secrets.token_hex(8), said={"said": True}, **fields)


def push(given: Update, now: float = NOON) -> ChangeJob:
    """Return the change that applies an update at a time."""
    return lambda before: merge.applied(before, given, now)


def finish(job_id: str = "job-1", status: Status = Status.COMPLETED, now: float = NOON) -> ChangeJob:
    """Return the change that finishes a job."""
    return push(update(job_id, words={"status": status.value}), now)


def ask(request: Request, now: float = NOON) -> ChangeJob:
    """Return the change that notes an operator's wish."""

    def change(before: View | None) -> Outcome:
        assert before is not None
        return merge.control(before.job, request, now)

    return change


async def give(store: LiveStore, changes: Sequence[tuple[str, ChangeJob]], at_a_time: int = 100) -> None:
    """Apply many changes, all of which are taken; a slow machine is to be slow with a hundred only."""
    for start in range(0, len(changes), at_a_time):
        answers = await store.update_many(changes[start : start + at_a_time])
        assert [answer for answer in answers if not isinstance(answer, Written)] == []
