"""What watchers were last told of each job, so that nobody is told anything older, whichever store answers."""

import json
from collections import OrderedDict
from typing import NamedTuple

from sidecar.watcher import Broadcast

JOBS_REMEMBERED = 20_000


class Reached(NamedTuple):
    """How far a job had come in what was told."""

    attempt: int
    percent: float


class Told:
    """The last change told of each job of a project, as far as it is remembered.

    Within one epoch the order of changes decides. Between epochs, and so between Redis and SQL, a change is older if
    its version is not higher, or if it would take a job back: to a lower percent or out of its end. SQL may lack for a
    moment what Redis has not been asked for yet; such a change is held back until the job has come as far again.
    """

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._last: OrderedDict[str, Broadcast] = OrderedDict()

    def note(self, change: Broadcast) -> None:
        """Remember a change that was told."""
        self._last.pop(change.job_id, None)
        if not change.is_gone:
            self._last[change.job_id] = change
            if len(self._last) > JOBS_REMEMBERED:
                self._last.popitem(last=False)

    def is_older(self, change: Broadcast) -> bool:
        """Whether a change is no news to those who heard everything so far."""
        last = self._last.get(change.job_id)
        if last is None:
            return False
        if last.cursor.epoch == change.cursor.epoch:
            return change.cursor.rev <= last.cursor.rev
        return not change.is_gone and (change.version <= last.version or _goes_back(last, change))


def _goes_back(last: Broadcast, change: Broadcast) -> bool:
    if change.view is None or change.view.job.attempt.rewound is not None:
        return False
    reached = _reached(last)
    if reached.attempt != change.view.job.attempt.number:
        return False
    return change.view.percent < reached.percent or (last.is_end and not change.is_end)


def _reached(change: Broadcast) -> Reached:
    if change.view is not None:
        return Reached(change.view.job.attempt.number, change.view.percent)
    row = json.loads(change.row or b"{}")
    return Reached(row.get("attempt", 0), row.get("percent", 0.0))
