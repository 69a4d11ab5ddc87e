"""Which jobs of a project somebody wants to hear of."""

from collections import OrderedDict
from typing import NamedTuple

from sidecar.hub.broadcast import Broadcast

JOBS_REMEMBERED = 20_000


ANY: frozenset[str] = frozenset()
"""Shared, as each empty set takes 200 bytes, and each of 10,000 streams would have two of its own."""


class Selection(NamedTuple):
    """Jobs of one type (None: of any), in one of these statuses and with one of these ids (empty: whichever)."""

    job_type: str | None = None
    statuses: frozenset[str] = ANY
    job_ids: frozenset[str] = ANY

    @property
    def is_filtered(self) -> bool:
        """Whether more than the id tells if a job belongs to it."""
        return self.job_type is not None or bool(self.statuses)

    def names(self, job_id: str) -> bool:
        """Whether a job is asked for by its id, or any is wanted."""
        return not self.job_ids or job_id in self.job_ids

    def has_type(self, change: Broadcast) -> bool:
        """Whether a change is of a wanted job, whatever its status; true of one that is gone."""
        facts = change.facts
        return self.names(change.job_id) and (facts is None or self.job_type in (None, facts.job_type))

    def has(self, change: Broadcast) -> bool:
        """Whether a job belongs to it as a change has left it; true of one that is gone."""
        facts = change.facts
        return self.has_type(change) and (facts is None or not self.statuses or facts.status in self.statuses)


EVERYTHING = Selection()


def only(job_id: str) -> Selection:
    """Return the selection of one job."""
    return Selection(job_ids=frozenset({job_id}))


class Membership:
    """Which jobs do not belong to a selection, so that one that leaves it is told of once more, and then no more.

    Only what was told counts. A job that nothing was told of yet may be one that a client knows from a snapshot, or
    from an earlier connection: so it is told of, even if it never belonged.
    """

    __slots__ = ("_outside", "_selection")

    def __init__(self, selection: Selection) -> None:
        """Begin with nothing known."""
        self._selection = selection
        self._outside: OrderedDict[str, None] = OrderedDict()

    def wants(self, change: Broadcast) -> bool:
        """Whether a change is to be told of; notes where the job is after it."""
        was_outside = self._outside.pop(change.job_id, self) is None
        if change.is_gone or self._selection.has(change):
            return not (change.is_gone and was_outside)
        self._outside[change.job_id] = None
        if len(self._outside) > JOBS_REMEMBERED:
            self._outside.popitem(last=False)
        return not was_outside and change.version > 1 and self._selection.has_type(change)
