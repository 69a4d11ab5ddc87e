"""What is sent to watchers over one transport: counted as plain numbers, as there may be a million in a second."""

from bisect import bisect_left

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper bounds (seconds) of the buckets into which delays are counted; the last bucket has none."""


class Traffic:
    """`sent` events of jobs, those `coalesced` into a newer state of their job, and how late they were sent.

    `delays` counts deliveries by the buckets of `BUCKETS`, `delay_seconds` is the sum of them.
    """

    __slots__ = ("coalesced", "delay_seconds", "delays", "sent")

    def __init__(self) -> None:
        """Begin at 0."""
        self.sent = 0
        self.coalesced = 0
        self.delay_seconds = 0.0
        self.delays = [0] * (len(BUCKETS) + 1)

    def delivered(self, seconds: float, watchers: int = 1) -> None:
        """Count how long after its change an event was sent to so many watchers."""
        late = max(0.0, seconds)
        self.delays[bisect_left(BUCKETS, late)] += watchers
        self.delay_seconds += late * watchers
