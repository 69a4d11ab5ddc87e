"""Rate and ETA, from the last ten points."""

import pytest

from sidecar.core import pace
from sidecar.core.job import Point
from sidecar.core.pace import Eta
from sidecar.core.view import View
from tests.core.updates import NOON, job_of, push, update, view_of


def point(at: float, percent: float, count: int | None = None, stage: str = "") -> Point:
    return Point(at, percent, count, stage)


def window(*points: Point) -> tuple[Point, ...]:
    kept: tuple[Point, ...] = ()
    for each in points:
        kept = pace.moved(kept, each)
    return kept


def eta_of(shown: View) -> Eta:
    assert shown.eta is not None
    return shown.eta


def test_window_keeps_the_last_ten_points() -> None:
    kept = window(*(point(at * 60, at) for at in range(30)))
    assert [p.percent for p in kept] == list(range(20, 30))


def test_standing_still_is_no_new_point() -> None:
    assert window(point(0, 5), point(60, 5), point(120, 5)) == (point(0, 5),)


def test_hundred_reports_a_second_still_span_ten_seconds() -> None:
    kept = window(*(point(at / 128, at / 100) for at in range(3_000)))
    assert 8 <= kept[-1].at - kept[0].at <= 11


def test_point_of_another_stage_replaces_none() -> None:
    kept = window(point(0, 1), point(0.1, 2), point(0.2, 2, stage="b"), point(0.3, 3, stage="b"))
    assert [(p.percent, p.stage) for p in kept] == [(1, ""), (2, ""), (3, "b")]


def test_no_rate_before_two_points() -> None:
    assert pace.rate(()) is None
    assert pace.rate((point(0, 0, 5),)) is None
    assert pace.rate((point(0, 0, 5), point(0, 1, 9))) is None


def test_rate_is_units_per_second_over_the_window() -> None:
    assert pace.rate((point(0, 0, 0), point(10, 5, 30), point(20, 9, 50))) == 2.5


def test_rate_is_of_the_stage_that_runs_now() -> None:
    assert pace.rate((point(0, 0, 0), point(10, 5, 900), point(20, 6, 0, "b"), point(30, 7, 10, "b"))) == 1


def test_rate_is_never_negative() -> None:
    assert pace.rate((point(0, 0, 50), point(10, 5, 30))) == 0


def test_points_without_a_count_give_no_rate() -> None:
    assert pace.rate((point(0, 0), point(10, 5))) is None


def test_no_eta_before_anything_moved() -> None:
    assert pace.eta((), 0, NOON, NOON + 10) is None
    assert pace.eta((point(NOON, 0),), 0, NOON, NOON + 10) is None


def test_no_eta_before_any_time_passed() -> None:
    assert pace.eta((point(NOON, 50),), 50, NOON, NOON) is None


def test_eta_falls_back_on_elapsed_time_and_share() -> None:
    assert pace.eta((point(NOON + 10, 25),), 25, NOON, NOON + 10) == Eta(30, 20, 60, NOON + 40)


def test_eta_is_a_moving_average_of_the_window() -> None:
    even = tuple(point(at, at * 2) for at in range(5, 15))
    assert pace.eta(even, 28, 0, 14) == Eta(36, 36, 36, 50)


def test_uneven_pace_widens_the_range() -> None:
    found = pace.eta((point(0, 0), point(10, 5), point(20, 40), point(30, 45)), 45, 0, 30)
    assert found is not None
    assert found.low_seconds < found.seconds < found.high_seconds <= 4 * found.seconds


def test_points_of_one_moment_have_no_speed_between_them() -> None:
    found = pace.eta((point(0, 0), point(0, 20)), 20, 0, 10)
    assert found == Eta(40, 26.67, 80, 50)


def test_estimate_beyond_a_hundred_years_is_none() -> None:
    assert pace.eta((), 0.01, 0, 86400 * 365) is None


def test_at_completion_nothing_is_left() -> None:
    shown = view_of(update(seq=1, current=1, words={"total": 4}), update(seq=2, words={"status": "completed"}))
    assert shown.eta == Eta(0, 0, 0, NOON + 1)


def test_window_of_a_job_moves_the_eta() -> None:
    shown = view_of(*(update(seq=n, current=n, words={"total": 100}) for n in range(21)))
    assert (eta_of(shown).seconds, shown.rate_per_second) == (80, 1)


def test_standing_still_makes_the_eta_grow() -> None:
    moving = push(None, *(update(seq=n, current=n, words={"total": 100}) for n in range(21)))
    still = push(moving.job, update(seq=99, words={"message": "hm"}), at=NOON + 50)
    assert eta_of(still.view).seconds > eta_of(moving.view).seconds


def test_growing_total_has_a_rate_but_no_eta() -> None:
    shown = view_of(*(update(seq=n, current=n, words={"total": 100, "total_growing": True}) for n in range(4)))
    assert (shown.eta, shown.rate_per_second) == (None, 1)
    assert push(shown.job, update(seq=9, percent=40), at=NOON + 9).view.eta is None


@pytest.mark.parametrize("status", ["queued", "paused", "blocked", "failed", "cancelled"])
def test_job_that_does_not_run_has_no_eta(status: str) -> None:
    assert view_of(update(seq=1, current=1, words={"total": 4}), update(seq=2, words={"status": status})).eta is None


def test_rewind_starts_the_pace_anew() -> None:
    job = job_of(*(update(seq=n, current=n, words={"total": 100}) for n in range(9)))
    shown = push(job, update(seq=9, current=1, rewind=True), at=NOON + 9).view
    assert shown.rate_per_second is None
    assert len(shown.job.attempt.points) == 1


def test_eta_ends_where_its_seconds_say() -> None:
    found = eta_of(view_of(*(update(seq=n, current=n, words={"total": 7}) for n in range(4))))
    assert found.finish_at == pytest.approx(NOON + 3 + found.seconds, abs=0.01)
