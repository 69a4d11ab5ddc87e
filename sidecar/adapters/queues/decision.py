"""What the changes of one job that wait together come to, for whichever store writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sidecar.adapters.queues.pending import Change, MovedError
from sidecar.core.errors import Conflict
from sidecar.core.job import Event
from sidecar.core.merge import Outcome
from sidecar.core.view import View
from sidecar.ports import Cursor, Written

Admit = Callable[[Outcome], Outcome]
"""Lets an outcome be stored, as it is or with fewer events; refuses by raising."""


@dataclass(slots=True)
class Decision:
    """The job before and after some changes, its new timeline lines, and each caller's answer."""

    before: View | None
    changes: Sequence[Change]
    view: View | None
    events: list[Event] = field(default_factory=list)
    outcomes: list[tuple[Change, Outcome | Exception]] = field(default_factory=list)

    @property
    def is_write(self) -> bool:
        """Whether there is anything to store."""
        return self.view is not self.before

    def answer(self, cursor: Cursor) -> None:
        """Give each caller its answer; one that has gone away is passed over."""
        for change, outcome in self.outcomes:
            if change.answer.done():
                continue
            if isinstance(outcome, Exception):
                change.answer.set_exception(outcome)
            else:
                change.answer.set_result(Written(outcome, cursor))


def decided(project: str, before: View | None, changes: Sequence[Change], admit: Admit) -> Decision:
    """Apply the changes of one job one after another; a first one may only create it in this project."""
    decision = Decision(before, changes, before)
    for change in changes:
        if decision.view is None and not change.is_entered:
            if not change.answer.done():
                change.answer.set_exception(MovedError())
            continue
        shown = decision.view
        outcome = _outcome(project, change, shown, admit)
        decision.outcomes.append((change, outcome))
        if isinstance(outcome, Outcome) and (shown is None or outcome.job is not shown.job):
            decision.events += outcome.events
            decision.view = outcome.view
    return decision


def _outcome(project: str, change: Change, before: View | None, admit: Admit) -> Outcome | Exception:
    """Return what a change decides, or what it raises: whatever one caller meets must not fail the others."""
    try:
        outcome = admit(change.change(before))
    except Exception as error:  # noqa: BLE001 - handed on to the caller, unread
        return error
    if outcome.job.project != project:
        return Conflict("the job has another project; a job never changes it")
    return outcome
