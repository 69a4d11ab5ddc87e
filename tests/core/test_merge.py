"""What becomes of a job when an update arrives: every reason, and what each leaves behind."""

from typing import Any

import pytest

from sidecar.core import merge
from sidecar.core.errors import Conflict, InvalidUpdate
from sidecar.core.job import Job, Reason, Request, Status, Update, WorkerEvent
from sidecar.core.merge import Outcome
from tests.core.updates import NOON, job_of, lines, push, update, view_of

COMPLETED = update("w", 9, words={"status": "completed"})


def refusal(job: Job | None, given: Update) -> str:
    """Return the field for which the update is refused."""
    with pytest.raises(InvalidUpdate) as caught:
        merge.apply(job, given, NOON)
    return caught.value.field


def assert_untouched(outcome: Outcome, job: Job, reason: Reason) -> None:
    assert (outcome.reason, outcome.applied, outcome.events) == (reason, False, ())
    assert outcome.job is job


def test_first_update_creates_the_job() -> None:
    outcome = push(None, update(project="uni", job_type="timetable", current=3))
    assert (outcome.reason, outcome.applied, outcome.view.current) == (Reason.APPLIED, True, 3)
    assert (outcome.job.project, outcome.job.job_type, outcome.job.attempt.number) == ("uni", "timetable", 1)
    assert (outcome.job.version, outcome.job.created_at, outcome.job.updated_at) == (1, NOON, NOON)


def test_job_has_a_default_project_and_type() -> None:
    job = job_of(update())
    assert (job.project, job.job_type) == ("default", "default")


def test_first_update_may_be_of_a_later_attempt() -> None:
    assert job_of(update(attempt=3)).attempt.number == 3


def test_every_change_is_a_version() -> None:
    assert job_of(*(update(seq=n, current=n) for n in range(5))).version == 5


def test_repeated_seq_is_a_duplicate() -> None:
    job = job_of(update("w", 1, add_current=2))
    assert_untouched(push(job, update("w", 1, add_current=2)), job, Reason.DUPLICATE)


def test_duplicate_answers_with_the_present_numbers() -> None:
    job = job_of(update("w", 1, current=2), update("w", 2, current=7))
    assert push(job, update("w", 1, current=2)).view.current == 7


def test_repeated_key_is_a_duplicate() -> None:
    job = job_of(update(key="k", add_current=2))
    assert_untouched(push(job, update(key="k", add_current=2)), job, Reason.DUPLICATE)


def test_seq_is_each_writers_own() -> None:
    assert view_of(update("a", 1, add_current=2), update("b", 1, add_current=2)).current == 4


def test_seq_names_the_update_even_if_it_has_a_key() -> None:
    job = job_of(update("w", 1, key="k", add_current=2))
    assert push(job, update("w", 2, key="k", add_current=2)).view.current == 4


def test_repeated_seq_with_another_body_is_a_conflict() -> None:
    job = job_of(update("w", 1, current=2))
    assert_untouched(push(job, update("w", 1, current=3)), job, Reason.CONFLICT)


def test_repeated_key_with_another_body_is_invalid() -> None:
    assert refusal(job_of(update(key="k", add_current=2)), update(key="k", add_current=3)) == "Idempotency-Key"


def test_unknown_seq_below_the_window_is_too_old() -> None:
    job = job_of(*(update("w", seq, add_current=1) for seq in range(10, 150)))
    assert_untouched(push(job, update("w", 5, add_current=1)), job, Reason.TOO_OLD)


def test_lower_attempt_is_stale() -> None:
    job = job_of(update(attempt=2))
    assert_untouched(push(job, update(attempt=1, current=3)), job, Reason.STALE_ATTEMPT)


def test_higher_attempt_starts_progress_again() -> None:
    first = job_of(update("w", 1, current=3, items={"rows": 3}, words={"message": "hm"}), COMPLETED)
    shown = push(first, update("w", 1, attempt=2)).view
    assert (shown.status, shown.percent, shown.current, dict(shown.items)) == (Status.RUNNING, 0, None, {})
    assert (shown.finished_at, dict(shown.job.attempt.words)) == (None, {})


def test_higher_attempt_keeps_what_is_said_of_the_job() -> None:
    first = job_of(update(facts={"unit": "rows", "resume": {"page": 7}}, metadata={"seed": 4}))
    job = push(first, update(attempt=2, metadata={"host": "b"})).job
    assert {name: register.value for name, register in job.facts.items()} == {"unit": "rows", "resume": {"page": 7}}
    assert {name: register.value for name, register in job.metadata.items()} == {"seed": 4, "host": "b"}


def test_higher_attempt_forgets_the_wishes_of_the_last() -> None:
    asked = merge.control(job_of(update()), Request.CANCEL, NOON).job
    assert not push(asked, update(attempt=2)).job.attempt.cancel_requested


def test_older_seq_is_out_of_order_and_its_maxima_still_count() -> None:
    job = job_of(update("w", 5, current=3, words={"message": "new"}))
    outcome = push(job, update("w", 4, current=9, words={"message": "old", "detail": "kept"}))
    assert (outcome.reason, outcome.applied, outcome.view.current) == (Reason.OUT_OF_ORDER, True, 9)
    assert [outcome.job.attempt.words[name].value for name in ("message", "detail")] == ["new", "kept"]


def test_older_seq_that_adds_nothing_is_not_applied_and_changes_no_version() -> None:
    job = job_of(update("w", 5, current=3, words={"message": "new"}))
    outcome = push(job, update("w", 4, current=2, words={"message": "old"}))
    assert (outcome.reason, outcome.applied, outcome.events) == (Reason.OUT_OF_ORDER, False, ())
    assert outcome.job.version == job.version
    assert push(outcome.job, update("w", 4, current=2, words={"message": "old"})).reason is Reason.DUPLICATE


def test_older_seq_with_an_event_is_applied() -> None:
    job = job_of(update("w", 5, current=3))
    outcome = push(job, update("w", 4, event=WorkerEvent("page", {"n": 1})))
    assert (outcome.applied, lines(outcome)) == (True, ["page"])


def test_older_seq_that_shows_that_work_began_is_applied() -> None:
    queued = job_of(update("a", 3, words={"status": "queued"}), update("b", 9), update("b", 8, add_current=0))
    job = push(queued, update("a", 2, current=1)).job
    assert push(job, update("b", 7, add_current=0)).view.status is Status.RUNNING


def test_update_without_seq_ranks_as_the_newest() -> None:
    job = job_of(update("w", 7, words={"message": "seventh"}), update(words={"message": "unnumbered"}))
    assert job.attempt.words["message"].value == "unnumbered"
    assert push(job, update("w", 8, words={"message": "eighth"})).job.attempt.words["message"].value == "eighth"


def test_newest_word_wins_per_field_and_per_metadata_key() -> None:
    job = job_of(
        update("b", 5, words={"message": "b5"}, metadata={"x": "b5"}, facts={"unit": "b5"}),
        update("a", 5, words={"message": "a5", "detail": "a5"}, metadata={"x": "a5", "y": "a5"}, facts={"unit": "a5"}),
    )
    assert {name: register.value for name, register in job.attempt.words.items()} == {"message": "b5", "detail": "a5"}
    assert {name: register.value for name, register in job.metadata.items()} == {"x": "b5", "y": "a5"}
    assert job.facts["unit"].value == "b5"


@pytest.mark.parametrize("field", ["project", "job_type"])
def test_job_never_changes_its_project_or_type(field: str) -> None:
    job = job_of(update(project="one", job_type="one"))
    same: dict[str, Any] = {field: "one"}
    other: dict[str, Any] = {field: "two"}
    with pytest.raises(Conflict, match=field):
        push(job, update(**other))
    assert push(job, update(**same)).applied


def test_heartbeat_moves_the_last_contact_and_nothing_else() -> None:
    job = job_of(update("w", 1, current=3))
    outcome = merge.apply(job, update("w"), NOON + 60)
    assert (outcome.reason, outcome.applied, outcome.events) == (Reason.APPLIED, True, ())
    assert (outcome.job.version, outcome.job.updated_at, outcome.job.last_progress_at) == (1, NOON, NOON)
    assert outcome.job.last_contact_at == outcome.view.job.last_contact_at == NOON + 60
    assert outcome.job.attempt == job.attempt


def test_numbered_heartbeat_is_recognised_again() -> None:
    job = job_of(update("w", 1, current=3), update("w", 2))
    assert push(job, update("w", 2)).reason is Reason.DUPLICATE


def test_old_heartbeat_is_not_applied() -> None:
    outcome = push(job_of(update("w", 5, current=3)), update("w", 4))
    assert (outcome.reason, outcome.applied) == (Reason.OUT_OF_ORDER, False)


def test_heartbeat_may_be_the_first_update() -> None:
    outcome = push(None, update())
    assert (outcome.view.status, outcome.job.version, lines(outcome)) == (Status.RUNNING, 1, ["created", "started"])


def test_contact_never_moves_back() -> None:
    job = push(job_of(update()), update(), at=NOON + 60).job
    assert push(job, update(current=1), at=NOON - 60).job.last_contact_at == NOON + 60


def test_times_never_fall() -> None:
    outcome = push(job_of(update(current=1), at=NOON), update(current=2), at=NOON - 60)
    assert (outcome.job.updated_at, outcome.job.last_progress_at, outcome.events[0].at) == (NOON, NOON, NOON)


def test_progress_moves_with_counts_stages_and_the_place_to_resume_from() -> None:
    job = job_of(update(seq=1, stage="a", current=1, items={"rows": 1}))
    moves = {
        "count": update(seq=2, current=2),
        "items": update(seq=2, items={"rows": 2}),
        "stage": update(seq=2, stage="b"),
        "percent": update(seq=2, percent=3),
        "stage percent": update(seq=2, stage_percent=3),
        "resume": update(seq=2, facts={"resume": 7}),
        "attempt": update(seq=2, attempt=2, stage="a", current=1, items={"rows": 1}),
    }
    assert {name: push(job, u, at=NOON + 9).job.last_progress_at for name, u in moves.items()} == dict.fromkeys(
        moves, NOON + 9
    )
    moved_on = push(job, update(seq=2, stage="b")).job
    assert push(moved_on, update(seq=3, stage="a", current=2), at=NOON + 9).job.last_progress_at == NOON + 9


def test_words_and_repeated_numbers_are_no_progress() -> None:
    job = job_of(update(seq=1, stage="a", current=1))
    outcome = push(job, update(seq=2, stage="a", current=1, words={"message": "still"}), at=NOON + 9)
    assert (outcome.job.updated_at, outcome.job.last_progress_at) == (NOON + 9, NOON)


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


def test_add_needs_a_seq_or_a_key() -> None:
    assert refusal(None, update(add_current=1)) == "add"
    assert push(None, update(key="k", add_current=1)).view.current == 1


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        ({"current": 1}, {"add_current": 1}, "add.current"),
        ({"add_current": 1}, {"current": 1}, "current"),
        ({"items": {"x": 1}}, {"add_items": {"x": 1}}, "add.items.x"),
        ({"add_items": {"x": 1}}, {"items": {"x": 1}}, "items.x"),
        ({"add_current": 1, "items": {"x": 1}}, {"current": 1, "add_items": {"x": 1}}, "current"),
        ({"items": {"a:b": 1}}, {"add_items": {"a:b": 1}}, "add.items.a:b"),
    ],
)
def test_writer_that_sets_and_adds_to_a_counter_is_refused(
    first: dict[str, Any], second: dict[str, Any], field: str
) -> None:
    assert refusal(job_of(update("w", 1, **first)), update("w", 2, **second)) == field


def test_one_update_cannot_both_set_and_add() -> None:
    assert refusal(None, update("w", 1, current=3, add_current=1)) == "add.current"


def test_unnumbered_updates_remember_in_which_way_they_count() -> None:
    assert refusal(job_of(update("w", current=3)), update("w", key="k", add_current=1)) == "add.current"


def test_writer_may_set_one_counter_and_add_to_another() -> None:
    shown = view_of(update("w", 1, stage="a", current=3), update("w", 2, stage="b", add_current=1, items={"x": 1}))
    assert [stage.current for stage in shown.stages] == [3, 1]


def test_refused_update_leaves_no_trace() -> None:
    job = job_of(update("w", 1, current=1))
    assert refusal(job, update("w", 2, add_current=1)) == "add.current"
    assert push(job, update("w", 2, current=2)).reason is Reason.APPLIED
