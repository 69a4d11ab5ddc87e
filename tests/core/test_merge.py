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
    job = job_of(*(update("w", seq, add_current=1) for seq in range(10, 180)))
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
    queued = job_of(update("a", 1, add_current=0), update("a", 3, words={"status": "queued"}), update("b", 9))
    outcome = push(queued, update("b", 7, add_current=0))
    assert (outcome.applied, outcome.view.status) == (True, Status.RUNNING)


def test_older_seq_that_completes_a_stage_is_applied() -> None:
    job = job_of(update("w", 3, stage="a"), update("w", 9, stage="a"))
    outcome = push(job, update("w", 4, stage="a", stage_completed=True))
    assert (outcome.applied, outcome.view.stages[0].status) == (True, "completed")


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


def test_job_never_ends_before_its_last_change() -> None:
    assert push(job_of(update(current=1)), COMPLETED, at=NOON - 60).view.finished_at == NOON


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
