"""Two versions of a job that grew apart, united: the cases by hand; the laws are tested beside."""

import pytest

from sidecar.core import merge
from sidecar.core.job import Job, Request, Status, Update
from sidecar.core.merge import fork, join
from sidecar.core.view import view
from tests.core.updates import NOON, PLAN, job_of, push, update

BASE = job_of(update("w", 1, plan=PLAN, stage="read", current=3, words={"total": 10}))


def side(lineage: str, *updates: Update, at: float = NOON + 10) -> Job:
    return push(fork(BASE, lineage), *updates, at=at).job


def test_fork_to_the_same_store_is_the_same_job() -> None:
    job = fork(BASE, "a")
    assert job.lineage == "a"
    assert fork(job, "a") is job


def test_both_sides_count() -> None:
    united = view(join(side("a", update("x", 1, add_current=4)), side("b", update("y", 1, add_current=5))))
    assert united.current == 12


def test_both_sides_may_have_created_the_job() -> None:
    a = push(None, update("x", 1, add_current=4), at=NOON + 5).job
    b = push(None, update("y", 1, project="uni", job_type="timetable", add_current=5), at=NOON).job
    united = join(a, b)
    assert (united.project, united.job_type, united.created_at) == ("uni", "timetable", NOON)
    assert view(united).current == 9
    assert united == join(b, a)


def test_times_and_versions_are_the_larger_of_both() -> None:
    a, b = side("a", update("x", 1, current=4)), side("b", update("y", 1), update("y", 2, current=2), at=NOON + 60)
    united = join(a, b)
    assert (united.version, united.event_count) == (max(a.version, b.version), max(a.event_count, b.event_count))
    assert (united.updated_at, united.last_contact_at, united.last_progress_at) == (NOON + 61, NOON + 61, NOON + 10)


def test_higher_attempt_wins() -> None:
    a, b = (
        side("a", update("x", 1, attempt=2, metadata={"k": 2})),
        side("b", update("y", 1, current=9, metadata={"k": 1})),
    )
    united = join(a, b)
    assert united == join(b, a)
    assert (united.attempt, united.metadata["k"].value) == (a.attempt, 2)


def test_first_of_two_ends_stays() -> None:
    failed = side("a", update("x", 1, words={"status": "failed"}), at=NOON + 20)
    completed = side("b", update("y", 1, words={"status": "completed"}), at=NOON + 30)
    united = view(join(completed, failed))
    assert (united.status, united.finished_at, united.percent) == (Status.FAILED, NOON + 20, 1.5)


@pytest.mark.parametrize("other", ["failed", "cancelled"])
def test_completed_decides_the_tie_of_two_ends(other: str) -> None:
    a = side("a", update("x", 1, words={"status": other}))
    b = side("b", update("y", 1, words={"status": "completed"}))
    assert view(join(a, b)).status is view(join(b, a)).status is Status.COMPLETED


def test_end_on_one_side_is_the_end() -> None:
    a, b = side("a", update("x", 1, words={"status": "completed"})), side("b", update("y", 1, current=9))
    united = view(join(a, b))
    assert (united.status, united.percent, united.stages[0].current) == (Status.COMPLETED, 100, 9)


def test_percent_shown_on_either_side_is_held() -> None:
    a = side("a", update("x", 1, stage="read", percent=70), update("x", 2, stage="read", rewind=True, percent=20))
    b = side("b", update("y", 9, stage="read", percent=50))
    assert view(join(a, b)).percent == 50
    assert view(join(side("a", update("x", 1, percent=70)), b)).percent == 70


def test_percent_shown_before_a_rewind_on_the_other_side_is_not_held() -> None:
    a, b = side("a", update("x", 9, stage="read", rewind=True)), side("b", update("y", 3, percent=50))
    assert view(join(a, b)).percent == view(join(b, a)).percent == 0


def test_pace_of_the_side_that_moved_last_is_kept() -> None:
    a, b = side("a", update("x", 1, current=4), at=NOON + 20), side("b", update("y", 1, current=5), at=NOON + 30)
    assert join(a, b).attempt.points == join(b, a).attempt.points == b.attempt.points


def test_pace_from_before_a_rewind_is_not_kept() -> None:
    a = side("a", update("x", 9, stage="read", rewind=True), at=NOON + 20)
    b = side("b", update("y", 3, current=5), at=NOON + 30)
    assert join(a, b).attempt.points == a.attempt.points


def test_stage_times_are_the_earliest_seen() -> None:
    a = side("a", update("x", 2, stage="parse"), at=NOON + 20)
    b = side("b", update("y", 2, stage="parse"), at=NOON + 30)
    read, parse, *_ = view(join(a, b)).stages
    assert (read.duration_seconds, parse.started_at) == (20, NOON + 20)


def test_stage_that_one_side_entered_again_is_shown_as_running() -> None:
    a = side("a", update("x", 9, stage="read", rewind=True))
    b = side("b", update("y", 2, stage="parse"))
    read, parse, *_ = view(join(a, b)).stages
    assert (read.status, read.finished_at) == ("running", None)
    assert (parse.status, parse.started_at, parse.finished_at) == ("pending", None, None)


def test_wishes_of_both_sides_are_kept() -> None:
    a = merge.control(fork(BASE, "a"), Request.CANCEL, NOON).job
    b = merge.control(fork(BASE, "b"), Request.PAUSE, NOON).job
    united = join(a, b).attempt
    assert (united.cancel_requested, united.pause_asked) == (True, 1)


def test_job_lost_on_one_side_is_back_when_the_other_heard_of_it_later() -> None:
    a = merge.lose(fork(BASE, "a"), NOON + 60).job
    assert view(join(a, side("b", update("y", 1), at=NOON + 90))).status is Status.RUNNING
    assert view(join(a, side("b", update("y", 1), at=NOON + 30))).status is Status.LOST


def test_keyed_increment_that_both_sides_took_counts_once() -> None:
    given = update(key="k", stage="read", add_current=4)
    united = join(side("a", given), side("b", given))
    assert view(united).current == 7
    assert push(united, given).reason == "duplicate"


def test_unnumbered_update_that_both_sides_took_is_one() -> None:
    given = update(stage="read", current=7, words={"message": "seven"})
    united = join(side("a", given), side("b", update("y", 5), given))
    assert (view(united).current, united.attempt.words["message"].value) == (7, "seven")
