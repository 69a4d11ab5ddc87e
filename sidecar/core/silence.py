"""When a job counts as lost: nobody has spoken of it for too long."""

from typing import NamedTuple

from sidecar.core.job import Status
from sidecar.core.view import View

WAITING = (Status.PAUSED, Status.BLOCKED)
"""What is expected to be silent for longer."""


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
