"""What is learnt from the last runs of a type."""

import pytest

from sidecar.core.job import PlannedStage
from sidecar.core.stages import JOB
from sidecar.core.usual import LEAST_RUNS, MOST_STAGES, Run, learnt, plan, weighed


def runs(*stages: tuple[str, float], count: int = LEAST_RUNS, grows: float = 0.0) -> list[Run]:
    """Return runs in which every stage takes so long, and by `grows` longer each time."""
    return [
        Run(
            sum(seconds for _, seconds in stages) * (1 + grows * number),
            {name: seconds * (1 + grows * number) for name, seconds in stages},
        )
        for number in range(count)
    ]


def test_nothing_is_learnt_from_a_few_runs() -> None:
    assert learnt(runs(("a", 1.0), count=LEAST_RUNS - 1)) == ()
    assert len(learnt(runs(("a", 1.0)))) == 2


def test_the_whole_comes_first_and_then_the_stages_as_they_follow() -> None:
    whole, load, solve = learnt(runs(("load", 10.0), ("solve", 90.0)))
    assert (whole.stage, whole.seconds, whole.after_seconds) == (JOB, 100.0, 0.0)
    assert (load.stage, load.seconds, load.until_seconds, load.after_seconds) == ("load", 10.0, 10.0, 90.0)
    assert (solve.stage, solve.seconds, solve.until_seconds, solve.after_seconds) == ("solve", 90.0, 100.0, 0.0)


def test_a_stage_that_few_runs_have_is_not_usual() -> None:
    found = learnt([*runs(("a", 1.0), ("b", 1.0), count=9), *runs(("a", 1.0), ("retry", 5.0), ("b", 1.0), count=8)])
    assert [each.stage for each in found] == [JOB, "a", "b"]


def test_more_stages_than_anybody_can_weigh_are_not_learnt() -> None:
    many = [(f"s{number}", 1.0) for number in range(MOST_STAGES + 1)]
    assert [each.stage for each in learnt(runs(*many))] == [JOB]
    assert len(learnt(runs(*many[:-1]))) == 1 + MOST_STAGES


def test_what_follows_a_long_stage_is_long_where_that_was_so() -> None:
    _, first, _ = learnt(runs(("load", 10.0), ("solve", 90.0), grows=0.2, count=50))
    assert first.slope == pytest.approx(1.0, abs=0.1)
    assert [first.after_low, first.after_high] == pytest.approx([1.0, 1.0], abs=0.1)


def test_what_follows_is_not_tied_to_what_was_where_they_had_nothing_to_do_with_each_other() -> None:
    mixed = [Run(a + b, {"load": a, "solve": b}) for a in (5.0, 10.0, 20.0) for b in (50.0, 100.0, 200.0, 400.0)]
    _, load, _ = learnt(mixed)
    assert load.slope == pytest.approx(0.0, abs=0.05)
    assert [load.after_low, load.after_high] == pytest.approx([0.37, 2.6], abs=0.1)


@pytest.mark.parametrize(("halfway", "curve"), [(25.0, 2.0), (50.0, 1.0), (75.0, 0.42), (0.0, 4.0), (100.0, 0.25)])
def test_where_half_of_the_time_lies_is_learnt(halfway: float, curve: float) -> None:
    (whole,) = learnt([Run(100.0, {}, halfway)] * LEAST_RUNS)
    assert whole.curve == pytest.approx(curve, abs=0.01)


def test_time_and_share_are_alike_where_nobody_saw_the_half() -> None:
    (whole,) = learnt([Run(100.0, {})] * LEAST_RUNS + [Run(100.0, {}, 10.0)] * (LEAST_RUNS - 1))
    assert whole.curve == 1.0


def test_runs_that_took_no_time_are_learnt_from() -> None:
    found = learnt([Run(0.0, {"a": 0.0, "b": 0.0}, 0.0)] * LEAST_RUNS)
    assert [each.seconds for each in found] == [0.0, 0.0, 0.0]
    assert plan(found) is None


def test_usual_stages_weigh_what_they_take() -> None:
    known = learnt(runs(("load", 10.0), ("solve", 90.0)))
    assert plan(known) == (PlannedStage("load", 10.0), PlannedStage("solve", 90.0))
    assert plan(known[:1]) is None


def test_announced_stages_are_weighed_if_all_of_them_are_known() -> None:
    known = learnt(runs(("load", 10.0), ("solve", 90.0)))
    announced = (PlannedStage("solve", 1.0, "Solving"), PlannedStage("load", 1.0))
    assert weighed(announced, known) == (PlannedStage("solve", 90.0, "Solving"), PlannedStage("load", 10.0))
    assert weighed((*announced, PlannedStage("new", 1.0)), known) is None
