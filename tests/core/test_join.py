"""Two versions of a job that grew apart, united: the cases by hand; the laws are tested beside."""

import pytest

from sidecar.core import merge
from sidecar.core.job import Job, Request, Status, Update, Usual
from sidecar.core.merge import fork, join
from sidecar.core.view import view
from tests.core.updates import NOON, PLAN, job_of, push, update

BASE = job_of(update("w", 1, plan=PLAN, stage="read", current=3, words={"total": 10}))


def side(lineage: str, *updates: Update, at: float = NOON + 10) -> Job:
    return push(fork(BASE, lineage), *updates, at=at).job


def united(a: Job, b: Job) -> Job:
    """Return the joined versions; which is which does not matter."""
    assert join(a, b) == join(b, a)
    return join(a, b)


def test_fork_to_the_same_store_is_the_same_job() -> None:
    job = fork(BASE, "a")
    assert job.lineage == "a"
    assert fork(job, "a") is job


def test_both_sides_count() -> None:
    shown = view(united(side("a", update("x", 1, add_current=4)), side("b", update("y", 1, add_current=5))))
    assert shown.current == 12


def test_both_sides_may_have_created_the_job() -> None:
    a = push(None, update("x", 1, add_current=4), at=NOON + 5).job
    b = push(None, update("y", 1, project="uni", job_type="timetable", add_current=5), at=NOON).job
    job = united(a, b)
    assert (job.project, job.job_type, job.created_at) == ("uni", "timetable", NOON)
    assert view(job).current == 9


def test_times_and_versions_are_the_larger_of_both() -> None:
    a, b = side("a", update("x", 1, current=4)), side("b", update("y", 1), update("y", 2, current=2), at=NOON + 60)
    job = united(a, b)
    assert (job.version, job.event_count) == (max(a.version, b.version), max(a.event_count, b.event_count))
    assert (job.updated_at, job.last_contact_at, job.last_progress_at) == (NOON + 61, NOON + 61, NOON + 10)


def test_higher_attempt_wins() -> None:
    a, b = (
        side("a", update("x", 1, attempt=2, metadata={"k": 2})),
        side("b", update("y", 1, current=9, metadata={"k": 1})),
    )
    job = united(a, b)
    assert (job.attempt, job.metadata["k"].value) == (a.attempt, 2)


def test_first_of_two_ends_stays() -> None:
    failed = side("a", update("x", 1, words={"status": "failed"}), at=NOON + 20)
    completed = side("b", update("y", 1, words={"status": "completed"}), at=NOON + 30)
    shown = view(united(completed, failed))
    assert (shown.status, shown.finished_at, shown.percent) == (Status.FAILED, NOON + 20, 1.5)


@pytest.mark.parametrize("other", ["failed", "cancelled"])
def test_completed_decides_the_tie_of_two_ends(other: str) -> None:
    a = side("a", update("x", 1, words={"status": other}))
    b = side("b", update("y", 1, words={"status": "completed"}))
    assert view(united(a, b)).status is Status.COMPLETED


def test_end_on_one_side_is_the_end() -> None:
    a, b = side("a", update("x", 1, words={"status": "completed"})), side("b", update("y", 1, current=9))
    shown = view(united(a, b))
    assert (shown.status, shown.percent, shown.stages[0].current) == (Status.COMPLETED, 100, 9)


def test_percent_shown_on_either_side_is_held() -> None:
    a = side("a", update("x", 1, stage="read", percent=70), update("x", 2, stage="read", rewind=True, percent=20))
    b = side("b", update("y", 9, stage="read", percent=50))
    assert view(united(a, b)).percent == 50
    assert view(united(side("a", update("x", 1, percent=70)), b)).percent == 70


def test_percent_shown_before_a_rewind_on_the_other_side_is_not_held() -> None:
    a, b = side("a", update("x", 9, stage="read", rewind=True)), side("b", update("y", 3, percent=50))
    assert view(united(a, b)).percent == 0


def test_pace_of_the_side_that_moved_last_is_kept() -> None:
    a, b = side("a", update("x", 1, current=4), at=NOON + 20), side("b", update("y", 1, current=5), at=NOON + 30)
    assert united(a, b).attempt.points == b.attempt.points


def test_pace_from_before_a_rewind_is_not_kept() -> None:
    a = side("a", update("x", 9, stage="read", rewind=True), at=NOON + 20)
    b = side("b", update("y", 3, current=5), at=NOON + 30)
    assert united(a, b).attempt.points == a.attempt.points


def test_stage_times_are_the_earliest_seen() -> None:
    a = side("a", update("x", 2, stage="parse"), at=NOON + 20)
    b = side("b", update("y", 2, stage="parse"), at=NOON + 30)
    read, parse, *_ = view(united(a, b)).stages
    assert (read.duration_seconds, parse.started_at) == (20, NOON + 20)


def test_stage_that_one_side_entered_again_is_shown_as_running() -> None:
    a = side("a", update("x", 9, stage="read", rewind=True))
    b = side("b", update("y", 2, stage="parse"))
    read, parse, *_ = view(united(a, b)).stages
    assert (read.status, read.finished_at) == ("running", None)
    assert (parse.status, parse.started_at, parse.finished_at) == ("pending", None, None)


def test_wishes_of_both_sides_are_kept() -> None:
    a = merge.control(fork(BASE, "a"), Request.CANCEL, NOON).job
    b = merge.control(fork(BASE, "b"), Request.PAUSE, NOON).job
    attempt = united(a, b).attempt
    assert (attempt.cancel_requested, attempt.pause_asked) == (True, 1)


def test_job_lost_on_one_side_is_back_when_the_other_heard_of_it_later() -> None:
    a = merge.lose(fork(BASE, "a"), NOON + 60).job
    assert view(united(a, side("b", update("y", 1), at=NOON + 90))).status is Status.RUNNING
    assert view(united(a, side("b", update("y", 1), at=NOON + 30))).status is Status.LOST


def test_last_loss_counts() -> None:
    returned = push(merge.lose(fork(BASE, "a"), NOON + 60).job, update("x", 1), at=NOON + 90).job
    lost = merge.lose(fork(BASE, "b"), NOON + 200).job
    assert view(united(returned, lost)).status is Status.LOST


def test_keyed_increment_that_both_sides_took_counts_once() -> None:
    given = update(key="k", stage="read", add_current=4)
    other = update(key="other", stage="read", add_current=2)
    job = united(side("a", given), side("b", given, other))
    assert view(job).current == 9
    assert [push(job, again).reason for again in (given, other)] == ["duplicate", "duplicate"]


def test_unnumbered_update_that_both_sides_took_is_one() -> None:
    given = update(stage="read", current=7, words={"message": "seven"})
    job = united(side("a", given), side("b", update("y", 5), given))
    assert (view(job).current, job.attempt.words["message"].value) == (7, "seven")


def test_of_two_promises_made_half_way_the_first_stays_and_what_is_usual_is_the_same_on_both_sides() -> None:
    job = job_of(update("a", 1, percent=10, usual=(Usual("", 100.0, 0.5, 2.0, 100.0),)))
    early = push(job, update("a", 2, percent=50), at=NOON + 10).job
    late = push(job, update("b", 1, percent=60), at=NOON + 20).job
    assert None not in (early.attempt.halfway, late.attempt.halfway)
    both = united(early, late).attempt
    assert (both.halfway, both.usual) == (early.attempt.halfway, job.attempt.usual)


def test_a_promise_from_before_a_rewind_is_not_kept() -> None:
    job = job_of(update("a", 1, percent=10))
    promised = push(job, update("a", 2, percent=50), at=NOON + 10).job
    rewound = push(job, update("b", 3, rewind=True, percent=5), at=NOON + 20).job
    assert promised.attempt.halfway is not None
    assert united(promised, rewound).attempt.halfway is None
