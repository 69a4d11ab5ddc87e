"""A job's way through its statuses: waiting, running, the first end that wins, and what comes too late."""

from typing import Any

import pytest

from sidecar.core import merge
from sidecar.core.job import Job, Reason, Status
from sidecar.core.merge import Outcome
from tests.core.updates import NOON, job_of, push, update, view_of

COMPLETED = update("w", 9, words={"status": "completed"})


def assert_untouched(outcome: Outcome, job: Job, reason: Reason) -> None:
    assert (outcome.reason, outcome.applied, outcome.events) == (reason, False, ())
    assert outcome.job is job


def test_nobodys_word_on_status_means_running() -> None:
    assert view_of(update(current=1)).status is Status.RUNNING


@pytest.mark.parametrize("status", ["queued", "running", "paused", "blocked"])
def test_worker_says_the_status(status: str) -> None:
    assert view_of(update(words={"status": status})).status == status


@pytest.mark.parametrize(
    "work",
    [{"current": 0}, {"stage": "a"}, {"percent": 0}, {"stage_percent": 0}, {"items": {"x": 0}}, {"add_current": 0}],
)
def test_work_ends_the_wait_in_a_queue(work: dict[str, Any]) -> None:
    shown = view_of(update(seq=1, words={"status": "queued"}), update(seq=2, **work))
    assert (shown.status, shown.job.attempt.started_at) == (Status.RUNNING, NOON + 1)


def test_words_do_not_end_the_wait_in_a_queue() -> None:
    shown = view_of(update(seq=1, words={"status": "queued"}), update(seq=2, words={"message": "third in line"}))
    assert (shown.status, shown.job.attempt.started_at) == (Status.QUEUED, None)


def test_job_that_is_queued_again_after_its_work_is_queued() -> None:
    assert view_of(update(seq=1, current=1), update(seq=2, words={"status": "queued"})).status is Status.QUEUED


@pytest.mark.parametrize(("status", "started_at"), [("completed", NOON + 1), ("failed", NOON + 1), ("cancelled", None)])
def test_job_cancelled_in_the_queue_never_started(status: str, started_at: float | None) -> None:
    shown = view_of(update(seq=1, words={"status": "queued"}), update(seq=2, words={"status": status}))
    assert (shown.status, shown.job.attempt.started_at, shown.finished_at) == (status, started_at, NOON + 1)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_first_finished_status_wins(status: str) -> None:
    job = job_of(update("w", 1, words={"status": status}))
    for other in ("completed", "failed", "cancelled", "running"):
        outcome = push(job, update("v", 1, words={"status": other}))
        assert (outcome.reason, outcome.view.status, outcome.view.finished_at) == (Reason.LATE, status, NOON)


@pytest.mark.parametrize(("status", "percent"), [("completed", 100), ("failed", 50), ("cancelled", 50)])
def test_only_completion_makes_it_a_hundred_percent(status: str, percent: float) -> None:
    shown = view_of(update(seq=1, current=1, words={"total": 2}), update(seq=2, words={"status": status}))
    assert shown.percent == percent


def test_older_seq_may_finish_the_job() -> None:
    outcome = push(job_of(update("w", 5, words={"status": "paused"})), update("w", 4, words={"status": "failed"}))
    assert (outcome.view.status, outcome.reason) == (Status.FAILED, Reason.OUT_OF_ORDER)


def test_finished_job_keeps_a_late_update_on_its_timeline_once() -> None:
    job = job_of(update("w", 1, current=3), COMPLETED)
    late = push(job, update("w", 2, current=5, words={"message": "more"}), at=NOON + 60)
    assert (late.reason, late.applied, late.view.current) == (Reason.LATE, False, 3)
    assert [(event.type, event.at) for event in late.events] == [("late", NOON + 60)]
    assert late.events[0].details == {"current": 5, "words": {"message": "more"}}
    assert (late.job.version, late.job.last_contact_at) == (job.version, job.last_contact_at)
    assert late.job.event_count == late.events[0].number == job.event_count + 1
    assert_untouched(push(late.job, update("w", 2, current=5, words={"message": "more"})), late.job, Reason.DUPLICATE)


def test_late_increment_is_not_counted() -> None:
    job = push(job_of(update("w", 1, add_current=3), COMPLETED), update("w", 2, add_current=5)).job
    assert merge.join(job, job).attempt.added == {"current:": 3}


def test_late_heartbeat_is_nothing() -> None:
    job = job_of(COMPLETED)
    assert_untouched(push(job, update("w")), job, Reason.LATE)


def test_repeated_finish_is_a_duplicate() -> None:
    job = job_of(COMPLETED)
    assert_untouched(push(job, COMPLETED), job, Reason.DUPLICATE)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_higher_attempt_reopens_a_finished_job(status: str) -> None:
    job = job_of(update(words={"status": status}))
    assert push(job, update(attempt=2)).view.status is Status.RUNNING


def test_result_and_error_may_come_before_the_end() -> None:
    said = update(seq=1, words={"error": {"message": "disk full"}, "result": [1]})
    final = job_of(said, update(seq=2, words={"status": "failed"})).attempt.final
    assert final is not None
    assert (final.error, final.result) == ({"message": "disk full"}, [1])


def test_error_that_the_work_got_over_does_not_stay_with_its_completion() -> None:
    said = update(seq=1, words={"error": {"message": "once"}})
    quiet = job_of(said, update(seq=2, words={"status": "completed"})).attempt.final
    spoken = job_of(said, update(seq=2, words={"status": "completed", "error": {"message": "two rows"}})).attempt.final
    assert quiet is not None
    assert spoken is not None
    assert (quiet.error, spoken.error) == (None, {"message": "two rows"})
