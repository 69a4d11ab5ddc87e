"""When a job is overdue, by the past of its type."""

from collections.abc import Mapping

import pytest

from sidecar.baselines import LEAST_SUCCESSES, REFRESH_SECONDS, SUCCESSES, Baselines
from sidecar.core.stalls import Limits
from sidecar.history import Durations


class Past:
    """A past that the test makes up."""

    def __init__(self) -> None:
        self.found: Mapping[str, Durations] = {}
        self.asked: list[int] = []

    async def recent(self, successes: int) -> Mapping[str, Durations]:
        self.asked.append(successes)
        return self.found

    async def last_successes(self) -> Mapping[str, float]:
        return {"import": 5.0}

    async def oldest_queued(self) -> Mapping[str, float]:
        return {"crawl": 6.0}


def declared(job_type: str) -> Limits:
    return Limits(silent_seconds=7.0 if job_type == "import" else 8.0)


async def test_type_with_enough_successes_is_overdue_after_a_multiple_of_what_most_take() -> None:
    past = Past()
    baselines = Baselines(past, declared, 1.5)
    assert baselines.limits("import") == Limits(silent_seconds=7.0)
    past.found = {
        "import": Durations(LEAST_SUCCESSES, 10.0, 100.0, 200.0),
        "crawl": Durations(LEAST_SUCCESSES - 1, 10.0, 100.0, 200.0),
    }
    await baselines.refresh()
    assert baselines.limits("import") == Limits(silent_seconds=7.0, overdue_seconds=150.0)
    assert baselines.limits("crawl") == Limits(silent_seconds=8.0)
    assert past.asked == [SUCCESSES]
    assert (baselines.succeeded, baselines.queued) == ({"import": 5.0}, {"crawl": 6.0})


async def test_past_is_looked_at_again_and_again() -> None:
    past, slept = Past(), []

    class EnoughError(Exception):
        """The test has seen enough."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        await Baselines(past, declared, 2.0).run(sleep)
    assert (slept, len(past.asked)) == ([REFRESH_SECONDS] * 3, 3)
