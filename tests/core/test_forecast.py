"""When a job may end: what its past and its own pace say, on simulated runs and in the corners."""

from statistics import median

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.core.forecast import Standing, eta
from sidecar.core.job import Usual
from sidecar.core.pace import LONGEST_SECONDS
from sidecar.core.stages import JOB
from sidecar.core.view import view
from tests.core.eta_table import errors
from tests.core.runs import SHAPES, Shape, drifting, steady, ten_times_apart, two_humped
from tests.core.updates import NOON, job_of, push, update, view_of

WHOLE = Usual(JOB, 100.0, 0.5, 2.0, 100.0)
LOAD = Usual("load", 10.0, 0.5, 2.0, 10.0, 90.0, 1.0, 0.8, 1.25)
SOLVE = Usual("solve", 90.0, 0.5, 2.0, 100.0)
KNOWN = (WHOLE, LOAD, SOLVE)


def seconds(standing: Standing) -> float:
    """Return how long a job that stands there may yet take."""
    found = eta(KNOWN, standing, NOON)
    assert found is not None
    assert 0 <= found.low_seconds <= found.seconds <= found.high_seconds
    assert found.finish_at == pytest.approx(NOON + found.seconds, abs=0.01)
    return found.seconds


def errors_of(shape: Shape, *, is_learnt: bool) -> list[float]:
    """Return the median error at 25, 50 and 75 % of the time."""
    return [median(column) for column in errors(shape, is_learnt=is_learnt, runs=40)]


@pytest.mark.parametrize("shape", [ten_times_apart, drifting])
def test_history_beats_the_moving_average_where_pace_changes_on_the_way(shape: Shape) -> None:
    learnt, moving = errors_of(shape, is_learnt=True), errors_of(shape, is_learnt=False)
    assert all(a < b for a, b in zip(learnt[:2], moving[:2], strict=True))
    assert learnt[2] < moving[2] + 0.05


@pytest.mark.parametrize("shape", [steady, two_humped])
def test_history_loses_little_where_the_pace_says_all(shape: Shape) -> None:
    learnt, moving = errors_of(shape, is_learnt=True), errors_of(shape, is_learnt=False)
    assert all(a < b + 0.1 for a, b in zip(learnt, moving, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_half_of_the_runs_end_within_a_quarter_of_what_was_said(shape: Shape) -> None:
    assert max(errors_of(shape, is_learnt=True)) < 0.25


NUMBERS = st.floats(0, 1e8)
RATIOS = st.floats(0.001, 1_000)
SHARES = st.none() | st.floats(0, 1)
TINIEST = 5e-324


@given(
    st.builds(
        Usual, st.just("a"), NUMBERS, RATIOS, RATIOS, NUMBERS, NUMBERS, st.floats(0, 1.5), RATIOS, RATIOS, st.just(1.0)
    ),
    st.builds(
        Usual, st.just("b"), NUMBERS, RATIOS, RATIOS, NUMBERS, NUMBERS, st.floats(0, 1.5), RATIOS, RATIOS, st.just(1.0)
    ),
    st.builds(Standing, st.sampled_from(["", "a", "b"]), NUMBERS, NUMBERS, SHARES, st.none() | st.floats(0, 1)),
    st.floats(0.25, 4),
)
@example(WHOLE, WHOLE, Standing(JOB, 0.0, TINIEST, 0.5, None), 1.0)
@example(WHOLE, WHOLE, Standing(JOB, 0.0, 50.0, TINIEST, None), 4.0)
@example(WHOLE, WHOLE, Standing(JOB, 0.0, 50.0, 0.5, TINIEST), 1.0)
@example(WHOLE, WHOLE._replace(stage="a", seconds=TINIEST), Standing("a", 0.0, 50.0, 0.5, None), 1.0)
def test_whatever_is_known_the_range_is_in_order_and_within_a_lifetime(
    first: Usual, second: Usual, standing: Standing, curve: float
) -> None:
    found = eta((WHOLE._replace(curve=curve), first, second), standing, NOON)
    if found is not None:
        assert 0 <= found.low_seconds <= found.seconds <= found.high_seconds <= LONGEST_SECONDS
        assert found.finish_at == pytest.approx(NOON + found.seconds, abs=0.01)


def test_what_would_take_for_ever_is_not_told() -> None:
    endless = (WHOLE, Usual("load", 10.0, 0.5, 2.0, 10.0, 1e12))
    assert eta(endless, Standing("load", 0.0, 5.0, 0.5), NOON) is None


def test_a_stage_that_nobody_knows_leaves_it_to_the_pace() -> None:
    assert eta(KNOWN, Standing("other", 0.0, 1.0, 0.5), NOON) is None
    assert eta((), Standing(JOB, 0.0, 1.0, 0.5), NOON) is None


def test_before_anything_moved_it_is_what_it_usually_is() -> None:
    assert seconds(Standing("load", 0.0, 0.0, None)) == 100.0
    assert seconds(Standing("load", 0.0, 0.0, 0.0)) == 100.0
    assert seconds(Standing(JOB, 0.0, 0.0, None)) == 100.0


def test_a_stage_that_is_done_leaves_what_follows_it() -> None:
    assert seconds(Standing("load", 0.0, 10.0, 1.0)) == 90.0
    assert seconds(Standing("solve", 10.0, 90.0, 1.0)) == 0.0


def test_what_follows_takes_as_much_longer_as_what_was() -> None:
    assert seconds(Standing("load", 0.0, 20.0, 1.0)) == 180.0
    assert seconds(Standing("solve", 20.0, 0.0, None)) == 180.0
    assert seconds(Standing("solve", 1e9, 0.0, None)) == 90.0 * 20


def test_what_was_says_nothing_of_what_follows_if_it_took_no_time() -> None:
    assert seconds(Standing("solve", 0.0, 0.0, None)) == 90.0


def test_a_pace_that_is_as_ever_changes_nothing() -> None:
    assert seconds(Standing("solve", 10.0, 45.0, 0.5)) == pytest.approx(45.0)


def test_a_job_unlike_all_before_it_is_believed() -> None:
    assert seconds(Standing("solve", 10.0, 900.0, 0.5)) == pytest.approx(900.0, rel=0.1)
    assert seconds(Standing("solve", 10.0, 0.9, 0.5)) == pytest.approx(0.9, rel=0.1)


def test_the_pace_of_late_counts_with_that_of_all() -> None:
    slower = seconds(Standing("solve", 10.0, 45.0, 0.5, pace=0.5 / 90))
    assert 45.0 < slower < 90.0


def test_a_stage_that_says_nothing_counts_down_and_then_waits() -> None:
    left = [seconds(Standing("solve", 10.0, spent, None)) for spent in (0.0, 60.0, 89.0, 120.0, 179.0, 1_000.0)]
    assert left == [90.0, 30.0, 1.0, 30.0, pytest.approx(17.9), 100.0]


def test_a_job_without_stages_is_told_by_the_past_of_the_whole() -> None:
    begun = push(None, update(seq=1, current=0, words={"total": 100}, usual=(WHOLE,)))
    shown = push(begun.job, update(seq=2, current=10), at=NOON + 10).view
    assert shown.eta is not None
    assert shown.eta.seconds == pytest.approx(90.0, rel=0.01)


def test_a_job_that_was_heard_of_once_is_told_by_its_past_alone() -> None:
    shown = view_of(update(seq=1, percent=10, usual=(WHOLE,)))
    assert shown.eta is not None
    assert shown.eta.seconds == pytest.approx(90.0)


def test_without_a_past_the_pace_alone_counts() -> None:
    moving = view_of(update(seq=1, current=0, words={"total": 100}), update(seq=2, current=10))
    assert moving.eta is not None
    assert moving.eta.seconds == pytest.approx(9.0)


def test_what_is_said_half_way_is_kept_and_compared_with_the_end() -> None:
    job = job_of(update(seq=1, percent=0), update(seq=2, percent=40))
    assert view(job).halfway_seconds is None
    job = push(job, update(seq=3, percent=50), at=NOON + 10).job
    job = push(job, update(seq=4, percent=60), at=NOON + 12).job
    promised = job.attempt.halfway
    assert promised is not None
    assert (promised.at, view(job).halfway_seconds, view(job).eta_error_ratio) == (NOON + 10, 10.0, None)
    shown = push(job, update(seq=5, words={"status": "completed"}), at=NOON + 10 + 2 * promised.seconds).view
    assert shown.eta_error_ratio == pytest.approx(0.5)


def test_nothing_is_compared_where_half_way_was_passed_unseen_or_the_end_was_none() -> None:
    late = push(job_of(update(seq=1, percent=0)), update(seq=2, percent=80), at=NOON + 10)
    assert late.job.attempt.halfway is None
    done = push(late.job, update(seq=3, words={"status": "completed"}), at=NOON + 20)
    assert done.view.eta_error_ratio is None
    half = push(job_of(update(seq=1, percent=0)), update(seq=2, percent=50), at=NOON + 10)
    failed = push(half.job, update(seq=3, words={"status": "failed"}), at=NOON + 20)
    assert (half.job.attempt.halfway is None, failed.view.eta_error_ratio) == (False, None)


def test_what_is_said_half_way_is_said_again_after_a_rewind() -> None:
    job = push(job_of(update(seq=1, percent=0)), update(seq=2, percent=50), at=NOON + 10).job
    job = push(job, update(seq=3, rewind=True, percent=10), at=NOON + 20).job
    assert job.attempt.halfway is None
    job = push(job, update(seq=4, percent=55), at=NOON + 30).job
    assert view(job).halfway_seconds == 30.0
