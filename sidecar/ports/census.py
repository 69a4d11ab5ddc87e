"""How many jobs there are, and which need somebody's eye: the port of what is counted beside the jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.core.stalls import Settling
from sidecar.core.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many jobs there are over all projects by (type, status), and of these the stuck ones by (type, reason).

    `settling` tells since when and until when hardly any is said to be stuck, as the watchdog was away.
    """

    jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    stalled: Mapping[tuple[str, str], int] = field(default_factory=dict)
    settling: Settling = field(default_factory=Settling)


class Census(Protocol):
    """Counts kept beside the jobs, so that nobody reads every job to count them. Raises `StoreUnavailable`."""

    async def counts(self) -> Counts:
        """Return how many jobs there are."""
        ...

    async def outstanding(self, limit: int) -> list[View]:
        """Return at most so many unfinished jobs: those that are stuck, then those longest without progress."""
        ...
