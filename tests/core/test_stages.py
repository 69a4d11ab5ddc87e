"""The share of each stage, the percent of the whole, and which stage runs."""

import pytest

from sidecar.core.job import PlannedStage
from sidecar.core.view import StageView, View
from tests.core.updates import NOON, PLAN, job_of, push, update, view_of

THIRD = update(seq=1, plan=PLAN, stage="solve", current=74, words={"total": 216})


def stage_of(shown: View, name: str) -> StageView:
    return next(stage for stage in shown.stages if stage.name == name)


def statuses(shown: View) -> list[str]:
    return [stage.status for stage in shown.stages]


def test_percent_is_the_weight_before_the_stage_and_its_own_share() -> None:
    shown = view_of(THIRD)
    assert (shown.percent, shown.stage_percent) == (35.56, 34.26)


@pytest.mark.parametrize(
    ("stage", "percent"), [("read", 5), ("parse", 15), ("solve", 75), ("check", 90), ("save", 99.99)]
)
def test_completed_stage_ends_at_its_exact_upper_bound(stage: str, percent: float) -> None:
    shown = view_of(update(seq=1, plan=PLAN, stage=stage, stage_completed=True))
    assert (shown.percent, shown.stage_percent, stage_of(shown, stage).status) == (percent, 100.0, "completed")


def test_percent_is_capped_until_the_job_is_completed() -> None:
    everything = push(None, update(seq=1, percent=100))
    assert everything.view.percent == 99.99
    assert push(everything.job, update(seq=2, words={"status": "completed"})).view.percent == 100


def test_share_is_held_at_one_where_a_count_passes_the_total() -> None:
    assert view_of(update(current=9, words={"total": 3})).stage_percent == 100


def test_percent_never_falls_when_a_total_grows() -> None:
    shown = view_of(update(seq=1, current=50, words={"total": 100}), update(seq=2, words={"total": 1_000}))
    assert (shown.percent, shown.stage_percent, shown.total) == (50, 5, 1_000)


def test_percent_rises_again_once_the_reports_pass_what_was_shown() -> None:
    grown = job_of(update(seq=1, current=50, words={"total": 100}), update(seq=2, words={"total": 200}))
    assert push(grown, update(seq=3, current=90)).view.percent == 50
    assert push(grown, update(seq=3, current=150)).view.percent == 75


def test_rewind_lowers_what_is_shown() -> None:
    shown = view_of(THIRD, update(seq=2, stage="parse", current=1, words={"total": 10}, rewind=True))
    assert (shown.percent, shown.stage, shown.current) == (6, "parse", 1)
    assert statuses(shown) == ["skipped", "running", "pending", "pending", "pending"]


def test_rewind_without_a_stage_is_of_the_running_one() -> None:
    shown = view_of(THIRD, update(seq=2, current=3, rewind=True))
    assert (shown.stage, shown.current, shown.percent) == ("solve", 3, 15.83)


def test_maximum_ranked_below_a_rewind_counts_no_more_even_when_it_arrives_later() -> None:
    shown = view_of(
        update(seq=1, stage="solve", plan=PLAN),
        update(seq=5, stage="solve", current=2, rewind=True),
        update(seq=4, stage="solve", current=9, percent=80, stage_percent=70, items={"rows": 7}),
    )
    assert (shown.current, shown.percent, shown.stage_percent, dict(shown.items)) == (2, 15, None, {"rows": 0})


def test_increments_survive_a_rewind() -> None:
    shown = view_of(
        update(seq=1, stage="a", add_current=5, add_items={"rows": 2}), update(seq=2, stage="a", rewind=True)
    )
    assert (shown.current, dict(shown.items)) == (5, {"rows": 2})


def test_completion_of_a_stage_is_undone_by_a_rewind() -> None:
    shown = view_of(
        update(seq=1, plan=PLAN, stage="read", stage_completed=True), update(seq=2, stage="read", rewind=True)
    )
    assert (shown.percent, statuses(shown)[0]) == (0, "running")


def test_stages_go_forward_by_declared_order_only() -> None:
    shown = view_of(THIRD, update(seq=2, stage="read", current=3))
    assert (shown.stage, stage_of(shown, "read").current) == ("solve", 3)


def test_stages_before_the_running_one_are_completed_or_skipped_and_later_ones_pending() -> None:
    shown = view_of(update(seq=1, plan=PLAN, stage="read"), update(seq=2, stage="solve"))
    assert statuses(shown) == ["completed", "skipped", "running", "pending", "pending"]
    assert [stage.percent for stage in shown.stages] == [100, None, None, None, None]


def test_completed_job_has_no_pending_stages() -> None:
    shown = view_of(THIRD, update(seq=2, words={"status": "completed"}))
    assert statuses(shown) == ["skipped", "skipped", "completed", "skipped", "skipped"]
    assert shown.stage_percent == stage_of(shown, "solve").percent == 100


def test_stage_in_which_a_job_failed_says_so() -> None:
    shown = view_of(THIRD, update(seq=2, words={"status": "failed"}))
    assert statuses(shown)[2] == "failed"
    assert (shown.percent, shown.stage_percent) == (35.56, 34.26)


def test_stage_that_no_plan_names_is_last_and_weighs_nothing() -> None:
    shown = view_of(THIRD, update(seq=2, stage="upload", current=1, words={"total": 2}))
    assert [(stage.name, stage.weight) for stage in shown.stages[-2:]] == [("save", 10), ("upload", 0)]
    assert shown.percent == 99.99


def test_unplanned_stages_stand_in_the_order_in_which_they_were_first_named() -> None:
    shown = view_of(update(seq=7, stage="late"), update(seq=9, stage="early"), update(seq=3, stage="early"))
    assert [stage.name for stage in shown.stages] == ["early", "late"]
    assert shown.stage == "late"


def test_stages_without_weight_give_no_percent_but_a_stage_percent() -> None:
    shown = view_of(update(seq=1, stage="a", current=1, words={"total": 2}))
    assert (shown.percent, shown.stage_percent) == (0, 50)


def test_plan_with_the_highest_rank_wins() -> None:
    other = (PlannedStage("one"), PlannedStage("two"))
    shown = view_of(update("b", 5, plan=other), update("b", 4, plan=PLAN), update("c", 5, plan=(*other, *PLAN[:1])))
    assert [stage.name for stage in shown.stages] == ["one", "two", "read"]


def test_plan_outlives_an_attempt() -> None:
    shown = view_of(THIRD, update(attempt=2, stage="solve"))
    assert (shown.percent, len(shown.stages)) == (15, 5)


def test_job_without_a_plan_counts_for_itself() -> None:
    shown = view_of(update(current=1, words={"total": 4}))
    assert (shown.percent, shown.stage, shown.stage_percent) == (25, None, 25)


def test_job_counts_for_itself_until_a_stage_runs() -> None:
    early = push(None, update(seq=1, plan=PLAN, current=1, words={"total": 4}))
    assert (early.view.percent, statuses(early.view)) == (25, ["pending"] * 5)
    assert push(early.job, update(seq=2, stage="solve")).view.percent == 25


def test_growing_total_leaves_the_share_open() -> None:
    growing = push(None, update(seq=1, current=21, words={"total": 167, "total_growing": True}))
    assert (growing.view.percent, growing.view.stage_percent, growing.view.total_growing) == (0, None, True)
    settled = push(growing.job, update(seq=2, words={"total_growing": False}))
    assert (settled.view.percent, settled.view.total) == (12.57, 167)


@pytest.mark.parametrize("total", [None, 0])
def test_unknown_total_leaves_the_share_open(total: int | None) -> None:
    shown = view_of(update(current=21, words={"total": total}))
    assert (shown.current, shown.total, shown.stage_percent) == (21, total, None)


def test_larger_of_what_is_stated_and_what_is_counted_is_the_share() -> None:
    shown = view_of(update(stage="a", plan=PLAN[:1], current=1, stage_percent=60, words={"total": 4}))
    assert shown.stage_percent == 60


def test_worker_that_knows_better_states_the_percent() -> None:
    assert view_of(THIRD, update(seq=2, percent=41.234)).percent == 41.23


def test_current_is_the_largest_absolute_and_the_sum_of_the_increments() -> None:
    shown = view_of(
        update("a", 1, current=10),
        update("a", 2, current=4),
        update("b", 1, add_current=3),
        update("c", 1, add_current=2),
    )
    assert shown.current == 15


def test_stage_that_never_counted_has_no_current() -> None:
    assert view_of(update(stage="a")).current is None


def test_kinds_of_items_stay_and_add_up() -> None:
    shown = view_of(update("a", 1, items={"rows": 5}), update("b", 1, add_items={"rows": 2, "errors": 0}))
    assert dict(shown.items) == {"errors": 0, "rows": 7}


def test_stage_times_are_those_at_which_the_server_saw_it_begin_and_end() -> None:
    shown = view_of(update(seq=1, plan=PLAN, stage="read"), update(seq=2), update(seq=3, stage="parse"))
    read, parse, solve, *_ = shown.stages
    assert (read.started_at, read.finished_at, read.duration_seconds) == (NOON, NOON + 2, 2)
    assert (parse.started_at, parse.finished_at, parse.duration_seconds) == (NOON + 2, None, None)
    assert (solve.started_at, solve.duration_seconds) == (None, None)


def test_running_stage_ends_with_the_job() -> None:
    shown = view_of(update(seq=1, stage="a"), update(seq=2, words={"status": "failed"}))
    assert shown.stages[0].duration_seconds == 1


def test_stage_that_is_entered_again_begins_again() -> None:
    shown = view_of(
        update(seq=1, plan=PLAN, stage="read"),
        update(seq=2, stage="parse"),
        update(seq=3, stage="read", rewind=True),
    )
    assert (shown.stages[0].started_at, shown.stages[0].finished_at) == (NOON + 2, None)
    assert (shown.stages[1].started_at, shown.stages[1].status) == (None, "pending")


def test_stage_has_its_label_or_else_its_name() -> None:
    assert view_of(update(plan=PLAN, stage="parse")).stage_label == "Parsing"
    assert view_of(update(plan=PLAN, stage="solve")).stage_label == "solve"
    assert view_of(update(plan=PLAN)).stage_label is None


def test_durations_are_never_negative_when_the_clock_goes_back() -> None:
    job = job_of(update(seq=1, stage="a"))
    assert push(job, update(seq=2, stage="b"), at=NOON - 60).view.stages[0].duration_seconds == 0
