"""When a job counts as stuck, by which clock, and what settles it."""

from typing import Any

import pytest

from sidecar.core import merge
from sidecar.core.attempts import joined
from sidecar.core.document import document, row
from sidecar.core.job import Job, Request, Stall, StallReason
from sidecar.core.merge import Outcome
from sidecar.core.stalls import (
    DEFAULT,
    Limits,
    Settling,
    advancing_since,
    calm_until,
    due_at,
    judged,
    missed_deadline,
    threshold,
)
from sidecar.core.view import View, view
from tests.core.updates import NOON, PLAN, job_of, lines, push, update, view_of

LIMITS = Limits(stages={"solve": 1800.0})
SECOND = 1.0


def reason(shown: View, seconds: float, limits: Limits = LIMITS) -> str | None:
    """Return what a job is stuck at, so long after it was made."""
    stall = judged(shown, NOON + seconds, limits)
    return None if stall is None else stall.reason.value


def stalled(job: Job, seconds: float, limits: Limits = LIMITS) -> Outcome:
    """Return the job with what is found so long after it was made."""
    return merge.stall(view(job), judged(view(job), NOON + seconds, limits), NOON + seconds)


def saying(status: str, **fields: Any) -> View:
    return view_of(update("w", 1, words={"status": status}, **fields))


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({}, 300.0),
        ({"interval_seconds": 5.0}, 60.0),
        ({"interval_seconds": 100}, 300.0),
        ({"interval_seconds": 400}, 1200.0),
    ],
)
def test_job_is_silent_after_its_time_or_three_intervals(facts: dict[str, Any], limit: float) -> None:
    shown = view_of(update("w", 1, current=1, facts=facts))
    limits = LIMITS._replace(no_progress_seconds=1e6)
    assert reason(shown, limit - SECOND, limits) is None
    assert reason(shown, limit, limits) == "silent"
    assert due_at(shown, limits) == NOON + limit


def test_job_that_only_speaks_makes_no_progress() -> None:
    job = job_of(update("w", 1, current=1))
    for number in range(1, 5):
        job = push(job, update("w", 1 + number, current=1, words={"message": str(number)}), at=NOON + 200 * number).job
    assert reason(view(job), 599) is None
    assert reason(view(job), 800) == "no_progress"
    assert judged(view(job), NOON + 800, LIMITS) == Stall(StallReason.NO_PROGRESS, NOON, 600.0)


def test_stage_may_have_a_limit_of_its_own() -> None:
    shown = view_of(update("w", 1, plan=PLAN, stage="solve", current=1))
    limits = LIMITS._replace(silent_seconds=1e6)
    assert reason(shown, 1799, limits) is None
    assert reason(shown, 1800, limits) == "no_progress"
    assert threshold(shown, limits) == 1800.0
    assert threshold(view_of(update("w", 1, plan=PLAN, stage="read", current=1)), limits) == 600.0


@pytest.mark.parametrize(
    ("facts", "since", "limit"),
    [({"deadline_at": NOON + 50}, NOON + 50, 0.0), ({"max_runtime_seconds": 50.0}, NOON, 50.0)],
)
def test_job_beyond_its_deadline_or_its_runtime_is_stuck(facts: dict[str, Any], since: float, limit: float) -> None:
    shown = view_of(update("w", 1, current=1, facts=facts))
    assert reason(shown, 49) is None
    assert judged(shown, NOON + 50, LIMITS) == Stall(StallReason.DEADLINE, since, limit)


@pytest.mark.parametrize(
    ("facts", "longest"),
    [({}, 40.0), ({"max_runtime_seconds": 60}, 60.0), ({"max_runtime_seconds": None}, 40.0)],
)
def test_type_may_say_how_long_its_jobs_may_run_if_their_workers_do_not(facts: dict[str, Any], longest: float) -> None:
    shown, limits = view_of(update("w", 1, current=1, facts=facts)), LIMITS._replace(max_runtime_seconds=40.0)
    assert reason(shown, longest - SECOND, limits) is None
    assert judged(shown, NOON + longest, limits) == Stall(StallReason.DEADLINE, NOON, longest)


def test_deadline_is_missed_by_a_job_that_nobody_has_begun_too() -> None:
    shown = view_of(update("w", 1, words={"status": "queued"}, facts={"deadline_at": NOON + 50}))
    patient = LIMITS._replace(not_started_seconds=1e6)
    assert judged(shown, NOON + 49, patient) is None
    assert judged(shown, NOON + 50, patient) == Stall(StallReason.DEADLINE, NOON + 50, 0.0)
    assert reason(shown, 180) == "not_started"


def test_missed_deadline_stays_missed_whatever_tells_more_of_the_job() -> None:
    shown = view_of(update("w", 1, current=1, facts={"deadline_at": NOON + 50}))
    missed = Stall(StallReason.DEADLINE, NOON + 50, 0.0)
    assert missed_deadline(shown, NOON + 49, LIMITS) is None
    assert [missed_deadline(shown, NOON + seconds, LIMITS) for seconds in (50, 5_000)] == [missed] * 2
    assert reason(shown, 5_000) == "silent"


def test_longer_runtime_than_that_of_its_type_settles_at_the_next_look() -> None:
    limits = LIMITS._replace(max_runtime_seconds=40.0)
    told = push(
        stalled(job_of(update("w", 1, current=1)), 40, limits).job,
        update("w", 2, facts={"max_runtime_seconds": 90}),
        at=NOON + 50,
    )
    assert told.job.attempt.stall is not None
    assert due_at(told.view, limits) == NOON + 50
    assert reason(told.view, 51, limits) is None


def test_job_that_takes_longer_than_such_jobs_do_is_overdue() -> None:
    shown = view_of(update("w", 1, current=1))
    assert reason(shown, 250, LIMITS._replace(overdue_seconds=200.0)) == "overdue"
    assert reason(shown, 250) is None


def test_queued_job_is_stuck_when_nobody_begins() -> None:
    shown = saying("queued")
    assert reason(shown, 179) is None
    assert reason(shown, 180) == "not_started"
    assert threshold(shown, LIMITS) is None
    begun = push(stalled(shown.job, 180).job, update("w", 2, current=1), at=NOON + 200)
    assert begun.job.attempt.stall is None
    assert "recovered" in lines(begun)


def test_job_that_goes_on_after_it_was_asked_to_stop_is_stuck() -> None:
    asked = merge.control(job_of(update("w", 1, current=1)), Request.CANCEL, NOON + 10)
    assert reason(view(asked.job), 309) == "silent"
    assert reason(view(asked.job), 310) == "cancel_stuck"
    stuck = stalled(asked.job, 310).job
    moving = push(stuck, update("w", 2, current=2), at=NOON + 320).job
    assert moving.attempt.stall == stuck.attempt.stall
    over = push(moving, update("w", 3, words={"status": "cancelled"}), at=NOON + 330)
    assert over.job.attempt.stall is None


@pytest.mark.parametrize("status", ["paused", "blocked", "completed", "failed"])
def test_clocks_stand_while_a_job_waits_and_when_it_has_ended(status: str) -> None:
    shown = saying(status, facts={"deadline_at": NOON + 1})
    assert reason(shown, 1e6) is None
    assert due_at(shown, LIMITS) is None
    assert threshold(shown, LIMITS) is None


def test_clocks_begin_anew_when_a_job_goes_on() -> None:
    job = push(job_of(update("w", 1, current=1)), update("w", 2, words={"status": "paused"}), at=NOON + 100).job
    job = push(job, update("w", 3, words={"status": "running"}), at=NOON + 10_000).job
    assert reason(view(job), 10_000 + 299) is None
    assert reason(view(job), 10_000 + 300) == "silent"


def waited(*moments: tuple[float, str], facts: dict[str, Any] | None = None) -> Job:
    """Return a job that began at noon and was in these statuses from then on, so many seconds later."""
    job = job_of(update("w", 1, current=1, facts=facts or {}))
    for seq, (seconds, status) in enumerate(moments, start=2):
        job = push(job, update("w", seq, words={"status": status}), at=NOON + seconds).job
    return job


@pytest.mark.parametrize("status", ["paused", "blocked"])
@pytest.mark.parametrize(
    ("facts", "limits", "found"),
    [
        ({}, LIMITS._replace(overdue_seconds=200.0), "overdue"),
        ({"max_runtime_seconds": 200.0}, LIMITS, "deadline"),
    ],
)
def test_time_in_which_a_job_waits_is_no_runtime(
    facts: dict[str, Any], limits: Limits, found: str, status: str
) -> None:
    shown = view(waited((100, status), (10_000, "running"), (10_050, status), (20_000, "running"), facts=facts))
    assert reason(shown, 20_001, limits) is None
    assert reason(shown, 20_049, limits) is None
    assert due_at(shown, limits) == NOON + 20_050
    assert judged(shown, NOON + 20_050, limits) == Stall(StallReason(found), NOON + 19_850, 200.0)


def test_another_word_of_a_job_that_waits_is_the_same_wait() -> None:
    shown = view(waited((100, "paused"), (500, "blocked"), (900, "paused"), (1_000, "running")))
    assert shown.job.attempt.waited_seconds == 900.0


def test_wait_counts_from_the_begin_of_the_work() -> None:
    job = push(view_of(update("w", 1, words={"status": "paused"})).job, update("w", 2, current=1), at=NOON + 50).job
    job = push(job, update("w", 3, words={"status": "running"}), at=NOON + 100).job
    assert (job.attempt.started_at, job.attempt.waited_seconds) == (NOON + 100, 0.0)
    assert reason(view(job), 100 + 200, LIMITS._replace(silent_seconds=1e6, overdue_seconds=200.0)) == "overdue"


def test_next_attempt_has_not_waited() -> None:
    job = waited((100, "paused"), (500, "running"))
    again = push(job, update("w", 9, attempt=2, words={"status": "paused"}), at=NOON + 600).job
    assert (again.attempt.waited_seconds, again.attempt.waiting_since) == (0.0, NOON + 600)


def test_two_versions_of_a_job_agree_on_how_long_it_waited() -> None:
    paused = waited((100, "paused"))
    resumed = push(paused, update("w", 3, words={"status": "running"}), at=NOON + 400).job
    again = push(paused, update("w", 4, words={"status": "paused"}), at=NOON + 500).job
    both = merge.join(resumed, again)
    assert both == merge.join(again, resumed)
    assert push(both, update("w", 5, words={"status": "running"}), at=NOON + 600).job.attempt.waited_seconds == 500.0


def test_job_that_an_older_release_left_waiting_has_waited_since_its_last_change() -> None:
    paused = waited((100, "paused"))
    paused = paused._replace(attempt=paused.attempt._replace(waiting_since=None))
    resumed = push(paused, update("w", 3, words={"status": "running"}), at=NOON + 400).job
    assert resumed.attempt.waited_seconds == 300.0


def test_what_is_asked_of_progress_counts_from_when_the_job_got_on_was_begun_or_went_on() -> None:
    job = push(job_of(update("w", 1, words={"status": "queued"})), update("w", 2, current=1), at=NOON + 100).job
    assert advancing_since(view(job)) == NOON + 100
    job = push(job, update("w", 3, words={"status": "paused"}), at=NOON + 200).job
    assert advancing_since(view(job)) == NOON + 100
    job = push(job, update("w", 4, words={"status": "running"}), at=NOON + 10_000).job
    assert advancing_since(view(job)) == NOON + 10_000
    limits = LIMITS._replace(silent_seconds=1e6)
    assert judged(view(job), NOON + 10_600, limits) == Stall(StallReason.NO_PROGRESS, NOON + 10_000, 600.0)
    job = push(job, update("w", 5, attempt=2), at=NOON + 20_000).job
    assert advancing_since(view(job)) == NOON + 20_000


def test_next_attempt_begins_with_fresh_clocks() -> None:
    job = stalled(job_of(update("w", 1, current=1)), 300).job
    again = push(job, update("w", 2, attempt=2), at=NOON + 5_000).job
    assert again.attempt.stall is None
    assert reason(view(again), 5_000 + 299) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [({}, ["recovered"]), ({"current": 2}, ["recovered", "progress"]), ({"words": {"status": "paused"}}, None)],
)
def test_any_word_settles_a_silence(fields: dict[str, Any], told: list[str] | None) -> None:
    job = stalled(job_of(update("w", 1, current=1)), 300).job
    assert job.attempt.stall is not None
    heard = push(job, update("w", 2, **fields), at=NOON + 400)
    assert heard.job.attempt.stall is None
    assert heard.job.version == job.version + 1
    if told is not None:
        assert lines(heard) == told


def test_only_progress_settles_that_there_is_none() -> None:
    job = job_of(update("w", 1, current=1), update("w", 2, current=1, words={"message": "still"}), at=NOON)
    job = push(job, update("w", 3, words={"message": "here"}), at=NOON + 500).job
    stuck = stalled(job, 601).job
    assert stuck.attempt.stall is not None
    assert stuck.attempt.stall.reason is StallReason.NO_PROGRESS
    talking = push(stuck, update("w", 4, words={"message": "and here"}), at=NOON + 610).job
    assert talking.attempt.stall == stuck.attempt.stall
    assert push(talking, update("w", 5, current=2), at=NOON + 620).job.attempt.stall is None


@pytest.mark.parametrize(
    ("facts", "cure"),
    [
        ({"deadline_at": NOON + 50}, {"deadline_at": NOON + 5_000}),
        ({"deadline_at": NOON + 50}, {"deadline_at": None}),
        ({"max_runtime_seconds": 50.0}, {"max_runtime_seconds": 5_000}),
        ({"max_runtime_seconds": 50.0, "deadline_at": NOON + 60}, {"max_runtime_seconds": 55.0}),
    ],
)
def test_another_deadline_settles_that_it_was_missed(facts: dict[str, Any], cure: dict[str, Any]) -> None:
    job = stalled(job_of(update("w", 1, current=1, facts=facts)), 51).job
    assert job.attempt.stall is not None
    told = push(job, update("w", 2, facts=cure), at=NOON + 52)
    assert (told.job.attempt.stall, lines(told)) == (None, ["recovered"])


@pytest.mark.parametrize(
    "facts", [{"deadline_at": NOON + 51}, {"deadline_at": NOON + 20}, {"max_runtime_seconds": 1e6}, {}]
)
def test_deadline_that_is_past_as_well_settles_nothing(facts: dict[str, Any]) -> None:
    job = stalled(job_of(update("w", 1, current=1, facts={"deadline_at": NOON + 50})), 51).job
    assert push(job, update("w", 2, current=2, facts=facts), at=NOON + 52).job.attempt.stall == job.attempt.stall


@pytest.mark.parametrize("found", [StallReason.DEADLINE, StallReason.OVERDUE])
def test_lateness_by_the_limits_of_a_type_is_settled_by_the_end_alone(found: StallReason) -> None:
    job = merge.stall(view_of(update("w", 1, current=1)), Stall(found, NOON, 1.0), NOON + 2).job
    moving = push(job, update("w", 2, current=2), at=NOON + 3).job
    assert moving.attempt.stall == job.attempt.stall
    assert push(moving, update("w", 3, words={"status": "failed"}), at=NOON + 4).job.attempt.stall is None


def test_stall_is_told_once_and_shown() -> None:
    outcome = stalled(job_of(update("w", 1, current=1)), 300)
    assert lines(outcome) == ["stalled"]
    assert dict(outcome.events[0].details) == {
        "reason": "silent",
        "since": "2023-11-14T22:13:20.000Z",
        "threshold_seconds": 300.0,
    }
    assert document(outcome.view)["stall"] == outcome.events[0].details
    assert row(outcome.view)["stall_reason"] == "silent"
    again = merge.stall(outcome.view, judged(outcome.view, NOON + 301, LIMITS), NOON + 301)
    assert again.job is outcome.job


def test_stall_that_is_taken_back_is_told() -> None:
    outcome = stalled(job_of(update("w", 1, current=1)), 300)
    cleared = merge.stall(outcome.view, None, NOON + 310)
    assert (lines(cleared), cleared.job.attempt.stall) == (["recovered"], None)
    assert merge.stall(cleared.view, None, NOON + 320).job is cleared.job


def test_another_reason_is_told_without_a_recovery() -> None:
    outcome = stalled(job_of(update("w", 1, current=1)), 300)
    other = merge.stall(outcome.view, Stall(StallReason.CANCEL_STUCK, NOON, 300.0), NOON + 400)
    assert lines(other) == ["stalled"]


def test_finished_job_is_not_stalled_any_more() -> None:
    shown = saying("completed")
    assert merge.stall(shown, Stall(StallReason.SILENT, NOON, 1.0), NOON + 9).job is shown.job


def test_stuck_job_is_due_again_only_for_what_tells_more() -> None:
    job = merge.stall(view_of(update("w", 1, current=1)), Stall(StallReason.NO_PROGRESS, NOON, 600.0), NOON + 600)
    assert due_at(job.view, LIMITS) == NOON + 300
    impatient = LIMITS._replace(silent_seconds=1.0)
    assert due_at(stalled(job.job, 600, impatient).view, impatient) is None


@pytest.mark.parametrize(
    "limits", [LIMITS._replace(overdue_seconds=900.0), LIMITS], ids=["they take longer now", "nobody knows any more"]
)
def test_stuck_job_is_due_at_once_when_its_clock_is_another(limits: Limits) -> None:
    job = merge.stall(view_of(update("w", 1, current=1)), Stall(StallReason.OVERDUE, NOON, 200.0), NOON + 200).job
    moved = push(job, update("w", 2, current=2), at=NOON + 250)
    assert due_at(moved.view, LIMITS._replace(overdue_seconds=200.0)) == NOON + 310
    assert due_at(moved.view, LIMITS._replace(overdue_seconds=200.0, silent_seconds=10.0)) == NOON + 260
    assert due_at(moved.view, limits) == NOON + 250
    lost = merge.lose(moved.job, NOON + 1e6)
    assert due_at(lost.view._replace(job=moved.job), limits) is None


def test_two_versions_of_a_job_agree_on_its_stall() -> None:
    job = job_of(update("w", 1, current=1))
    a = stalled(job, 300).job.attempt
    b = merge.stall(view(job), Stall(StallReason.NO_PROGRESS, NOON + 1, 600.0), NOON + 700).job.attempt
    assert joined(a, b).stall == joined(b, a).stall == b.stall
    assert joined(a, job.attempt).stall == a.stall
    ended = push(job, update("w", 2, words={"status": "completed"})).job.attempt
    assert joined(a, ended).stall is None


@pytest.mark.parametrize(
    ("outage", "facts", "limit", "settles"),
    [
        (400.0, {}, 300.0, 400.0),
        (3_600.0, {}, 0.0, 3_600.0),
        (250_000.0, {}, 300.0, 3_600.0),
        (250_000.0, {}, 7_200.0, 7_200.0),
        (250_000.0, {"interval_seconds": 3_600}, 0.0, 10_800.0),
    ],
)
def test_things_settle_as_long_as_nobody_looked_or_until_who_lives_has_spoken(
    outage: float, facts: dict[str, Any], limit: float, settles: float
) -> None:
    shown = view_of(update("w", 1, current=1, facts=facts))
    settling = Settling(NOON, NOON + outage)
    assert calm_until(Stall(StallReason.NO_PROGRESS, NOON, limit), shown, LIMITS, settling) == NOON + settles


def test_limits_of_what_is_not_declared() -> None:
    assert Limits(300.0, 60.0, 600.0, 180.0, 300.0) == DEFAULT
