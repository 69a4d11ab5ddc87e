"""When a job counts as lost: nobody has spoken of it for too long."""

from math import inf
from typing import NamedTuple

from sidecar.core.job import Status
from sidecar.core.view import View

WAITING = (Status.PAUSED, Status.BLOCKED)
"""What is expected to be silent for longer."""


DEAF_SECONDS = 30.0
"""A pause between two looks that is longer was a time in which nobody could hear."""


class Patience(NamedTuple):
    """How long a job may stay silent (seconds): one that should run, and one that is paused or blocked."""

    lost_seconds: float
    abandoned_seconds: float


def is_lost(shown: View, now: float, patience: Patience) -> bool:
    """Whether an unfinished job has been silent for too long."""
    if shown.is_finished:
        return False
    limit = patience.abandoned_seconds if shown.status in WAITING else patience.lost_seconds
    return now - shown.job.last_contact_at > limit


def calm_until(last: float | None, now: float, present: float, most_seconds: float) -> float:
    """Return until when silence counts for nothing, given until when it does at present.

    After a time in which nobody could hear for as long as that was, but no longer than `most_seconds`: workers may have
    spoken in vain. `last` is when somebody last listened, None if that is not known.
    """
    deaf_seconds = inf if last is None else now - last
    return present if deaf_seconds <= DEAF_SECONDS else max(present, now + min(deaf_seconds, most_seconds))
