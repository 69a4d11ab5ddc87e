"""What operators and the watchdog may do to a job."""

import pytest

from sidecar.core import merge
from sidecar.core.document import document
from sidecar.core.errors import Conflict
from sidecar.core.job import Job, Reason, Request, Status
from sidecar.core.view import view
from tests.core.updates import NOON, job_of, lines, push, update, view_of


def asked(job: Job, *requests: Request) -> Job:
    for request in requests:
        job = merge.control(job, request, NOON + 5).job
    return job


def wishes(job: Job) -> tuple[object, object]:
    shown = document(view(job))
    return shown["cancel_requested"], shown["pause_requested"]


def test_cancel_is_noted_for_the_worker() -> None:
    job = job_of(update())
    outcome = merge.control(job, Request.CANCEL, NOON + 5)
    assert (outcome.applied, lines(outcome), wishes(outcome.job)) == (True, ["cancel_requested"], (True, False))
    assert (outcome.job.version, outcome.job.updated_at, outcome.job.last_contact_at) == (2, NOON + 5, NOON)


def test_pause_and_resume_are_noted_for_the_worker() -> None:
    job = job_of(update())
    paused = merge.control(job, Request.PAUSE, NOON)
    resumed = merge.control(paused.job, Request.RESUME, NOON)
    assert (lines(paused), wishes(paused.job)) == (["pause_requested"], (False, True))
    assert (lines(resumed), wishes(resumed.job)) == (["resume_requested"], (False, False))


@pytest.mark.parametrize("request_", [Request.CANCEL, Request.PAUSE])
def test_asking_twice_is_one_request(request_: Request) -> None:
    once = asked(job_of(update()), request_)
    twice = merge.control(once, request_, NOON + 9)
    assert (twice.job, twice.reason, twice.applied, twice.events) == (once, Reason.DUPLICATE, False, ())
    assert twice.job is once


def test_resuming_what_was_not_asked_to_pause_is_nothing() -> None:
    job = job_of(update())
    assert merge.control(job, Request.RESUME, NOON).job is job


def test_pause_may_be_asked_again_after_a_resume() -> None:
    assert wishes(asked(job_of(update()), Request.PAUSE, Request.RESUME, Request.PAUSE)) == (False, True)


@pytest.mark.parametrize("request_", list(Request))
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_nothing_can_be_asked_of_a_finished_job(request_: Request, status: str) -> None:
    with pytest.raises(Conflict, match=f"{status}.*{request_.value}"):
        merge.control(job_of(update(words={"status": status})), request_, NOON)


def test_nothing_can_be_asked_of_a_lost_job() -> None:
    with pytest.raises(Conflict, match="lost"):
        merge.control(merge.lose(job_of(update()), NOON + 60).job, Request.CANCEL, NOON + 61)


def test_job_that_nobody_hears_from_is_lost() -> None:
    outcome = merge.lose(job_of(update(current=1, words={"total": 2})), NOON + 60)
    assert (outcome.view.status, outcome.view.finished_at, outcome.view.percent) == (Status.LOST, NOON + 60, 50)
    assert (lines(outcome), outcome.view.eta) == (["lost"], None)


def test_lost_job_is_lost_once() -> None:
    job = merge.lose(job_of(update()), NOON + 60).job
    assert merge.lose(job, NOON + 120).job is job


def test_finished_job_is_not_lost() -> None:
    job = job_of(update(words={"status": "failed"}))
    assert merge.lose(job, NOON + 60).job is job


def test_job_that_was_heard_of_meanwhile_is_not_lost() -> None:
    job = job_of(update())
    assert merge.lose(job, NOON).job is job


def test_lost_job_returns_with_a_live_update() -> None:
    lost = merge.lose(job_of(update(seq=1, current=1)), NOON + 60).job
    outcome = push(lost, update(seq=2, current=2), at=NOON + 90)
    assert (outcome.view.status, outcome.view.finished_at, outcome.view.current) == (Status.RUNNING, None, 2)
    assert lines(outcome) == ["returned", "progress"]


def test_lost_job_returns_with_a_heartbeat_and_that_is_a_change() -> None:
    lost = merge.lose(job_of(update(seq=1)), NOON + 60).job
    outcome = push(lost, update(), at=NOON + 90)
    assert (lines(outcome), outcome.job.version) == (["returned"], lost.version + 1)


def test_lost_job_returns_by_a_clock_that_is_behind() -> None:
    lost = merge.lose(job_of(update(seq=1)), NOON + 60).job
    assert push(lost, update(), at=NOON + 30).view.status is Status.RUNNING


def test_lost_job_may_finish() -> None:
    lost = merge.lose(job_of(update(seq=1)), NOON + 60).job
    outcome = push(lost, update(seq=2, words={"status": "completed"}), at=NOON + 90)
    assert (outcome.view.status, lines(outcome)) == (Status.COMPLETED, ["returned", "progress", "completed"])


def test_duplicate_does_not_bring_a_lost_job_back() -> None:
    lost = merge.lose(job_of(update(seq=1)), NOON + 60).job
    assert push(lost, update(seq=1), at=NOON + 90).view.status is Status.LOST


def test_lost_job_may_be_lost_again() -> None:
    returned = push(merge.lose(job_of(update(seq=1)), NOON + 60).job, update(), at=NOON + 90).job
    assert lines(merge.lose(returned, NOON + 200)) == ["lost"]


def test_job_lost_in_the_queue_never_started() -> None:
    lost = merge.lose(job_of(update(words={"status": "queued"})), NOON + 60)
    assert (lost.job.attempt.started_at, lines(lost)) == (None, ["lost"])
    assert push(lost.job, update(), at=NOON + 90).view.status is Status.QUEUED


def test_lost_stage_is_shown_as_lost_and_does_not_end() -> None:
    stage = merge.lose(job_of(update(stage="a")), NOON + 60).view.stages[0]
    assert (stage.status, stage.finished_at) == ("lost", None)


def test_higher_attempt_reopens_a_lost_job() -> None:
    lost = merge.lose(job_of(update(seq=1)), NOON + 60).job
    assert push(lost, update(attempt=2), at=NOON + 90).view.status is Status.RUNNING


def test_control_keeps_times_from_falling() -> None:
    job = job_of(update(current=1))
    assert merge.control(job, Request.CANCEL, NOON - 60).job.updated_at == NOON


def test_worker_hears_of_a_wish_while_it_pauses() -> None:
    assert view_of(update(words={"status": "paused"})).status is Status.PAUSED
    assert wishes(asked(job_of(update(words={"status": "paused"})), Request.CANCEL)) == (True, False)
