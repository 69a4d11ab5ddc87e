"""What watchers were last told of each job, so that nobody is told anything older, whichever store answers."""

import json
from collections import OrderedDict
from typing import NamedTuple

from sidecar.hub.broadcast import Broadcast
from sidecar.ports import Cursor

JOBS_REMEMBERED = 20_000


class Reached(NamedTuple):
    """How far a job had come in what was told."""

    attempt: int
    percent: float


class Mark(NamedTuple):
    """What is kept of a change: no whole job, of which 20,000 would take a gigabyte."""

    cursor: Cursor
    version: int
    is_end: bool
    reached: Reached | None
    row: bytes | None


class Told:
    """The last change told of each job of a project, and what was shown of it in snapshots, as far as remembered.

    Within one epoch the order of changes decides. Between epochs, and so between Redis and SQL, a change is older if
    its version is not higher, or if it would take a job back: to a lower percent or out of its end. SQL may lack for a
    moment what Redis has not been asked for yet; such a change is held back until the job has come as far again.
    """

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._told: OrderedDict[str, Mark] = OrderedDict()
        self._shown: OrderedDict[str, Mark] = OrderedDict()

    def note(self, change: Broadcast) -> None:
        """Remember a change that all watchers were told."""
        _put(self._told, change)

    def show(self, change: Broadcast) -> None:
        """Remember a change that some watcher was shown in a snapshot; the others have yet to hear of it."""
        shown = self._shown.get(change.job_id)
        if shown is None or shown.cursor.epoch != change.cursor.epoch or shown.cursor.rev < change.cursor.rev:
            _put(self._shown, change)

    def lacks(self, change: Broadcast) -> bool:
        """Whether a job, as the store that serves now has it, has yet to come as far again as everybody was told."""
        told = self._told.get(change.job_id)
        return told is not None and _is_behind(change, told)

    def place_shown(self, change: Broadcast) -> Cursor | None:
        """Return where, in another epoch, some were shown in a snapshot just what a change tells; None if nowhere."""
        shown = self._shown.get(change.job_id)
        is_same = shown is not None and not change.is_gone and shown.version == change.version
        return shown.cursor if shown is not None and is_same and shown.cursor.epoch != change.cursor.epoch else None

    def is_older(self, change: Broadcast) -> bool:
        """Whether a change is no news to those who heard everything so far."""
        told, shown = self._told.get(change.job_id), self._shown.get(change.job_id)
        if told is not None and told.cursor.epoch == change.cursor.epoch:
            return change.cursor.rev <= told.cursor.rev
        if told is not None and _is_behind(change, told, or_equal=True):
            return True
        return shown is not None and _is_behind(change, shown)  # the same as was shown is news to all others


def _put(known: OrderedDict[str, Mark], change: Broadcast) -> None:
    known.pop(change.job_id, None)
    if not change.is_gone:
        known[change.job_id] = _mark(change)
        if len(known) > JOBS_REMEMBERED:
            known.popitem(last=False)


def _mark(change: Broadcast) -> Mark:
    reached = None if change.view is None else Reached(change.view.job.attempt.number, change.view.percent)
    return Mark(change.cursor, change.version, change.is_end, reached, change.row)


def _is_behind(change: Broadcast, known: Mark, *, or_equal: bool = False) -> bool:
    """Whether a change is older than what is known of another epoch, or just that."""
    if known.cursor.epoch == change.cursor.epoch or change.is_gone:
        return False
    return change.version < known.version + or_equal or _goes_back(known, change)


def _reached_by(mark: Mark) -> Reached:
    return mark.reached or _reached(mark.row)


def _goes_back(last: Mark, change: Broadcast) -> bool:
    if change.view is None or change.view.job.attempt.rewound is not None:
        return False
    reached = _reached_by(last)
    if reached.attempt != change.view.job.attempt.number:
        return False
    return change.view.percent < reached.percent or (last.is_end and not change.is_end)


def _reached(row: bytes | None) -> Reached:
    told = json.loads(row or b"{}")
    return Reached(told.get("attempt", 0), told.get("percent", 0.0))
