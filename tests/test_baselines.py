"""When a job is overdue, by the past of its type."""

import pytest

from sidecar.background.baselines import MOST_TYPES, REFRESH_SECONDS, SUCCESSES, Baselines
from sidecar.core.stalls import Limits
from sidecar.core.usual import LEAST_RUNS, Run
from tests.pasts import Past


def declared(job_type: str) -> Limits:
    return Limits(silent_seconds=7.0) if job_type == "import" else Limits(silent_seconds=8.0, overdue_factor=3.0)


def runs(count: int) -> list[Run]:
    """Return runs of 10, 20, 30 ... seconds."""
    return [Run(10.0 * number, {}) for number in range(1, count + 1)]


async def test_type_with_enough_successes_is_overdue_after_a_multiple_of_what_most_take() -> None:
    past = Past()
    past.queued = {"crawl": 6.0}
    baselines = Baselines(past, declared)
    assert baselines.limits("import") == Limits(silent_seconds=7.0)
    past.runs = {"import": runs(20), "crawl": runs(LEAST_RUNS - 1)}
    await baselines.refresh()
    assert baselines.limits("import") == Limits(silent_seconds=7.0, overdue_seconds=1.5 * 190)
    assert baselines.limits("crawl") == Limits(silent_seconds=8.0, overdue_factor=3.0)
    assert (baselines.usual("import")[0].seconds, baselines.usual("crawl")) == (105.0, ())
    assert past.asked == [("crawl", SUCCESSES), ("import", SUCCESSES)]
    assert (baselines.succeeded, baselines.queued) == ({"import": 1.0, "crawl": 2.0}, {"crawl": 6.0})


async def test_type_may_have_a_multiple_of_its_own() -> None:
    baselines = Baselines(Past({"crawl": runs(20)}), declared)
    await baselines.refresh()
    assert baselines.limits("crawl").overdue_seconds == 3 * 190


async def test_only_so_many_types_are_looked_at_those_in_which_something_completed_last() -> None:
    past = Past({f"t{number}": [] for number in range(MOST_TYPES + 2)})
    await Baselines(past, declared).refresh()
    asked = [job_type for job_type, _ in past.asked]
    assert (len(asked), asked[0], asked[-1]) == (MOST_TYPES, f"t{MOST_TYPES + 1}", "t2")


async def test_past_is_looked_at_again_and_again() -> None:
    past, slept = Past({"import": []}), []

    class EnoughError(Exception):
        """The test has seen enough."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        await Baselines(past, declared).run(sleep)
    assert (slept, len(past.asked)) == ([REFRESH_SECONDS] * 3, 3)
