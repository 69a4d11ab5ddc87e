"""The lines that tell how a job changed, and their order."""

from typing import Any

import pytest

from sidecar.core import changes
from sidecar.core.document import rfc3339
from sidecar.core.job import Event, Job, Update, WorkerEvent
from sidecar.core.merge import Outcome, fork
from tests.core.updates import NOON, PLAN, job_of, lines, push, update, view_of


def details(outcome: Outcome) -> dict[str, Any]:
    """Return what the new lines say, by type."""
    return {event.type: event.details for event in outcome.events}


def story(*updates: Update, step: float = 20) -> list[str]:
    """Return the whole timeline of updates that arrive `step` seconds apart."""
    job: Job | None = None
    told: list[str] = []
    for index, given in enumerate(updates):
        outcome = push(job, given, at=NOON + index * step)
        job, told = outcome.job, told + lines(outcome)
    return told


def test_job_is_created_and_starts() -> None:
    outcome = push(None, update(project="uni", job_type="timetable", stage="a"))
    assert lines(outcome) == ["created", "started", "stage_started"]
    assert details(outcome)["created"] == {"project": "uni", "job_type": "timetable"}
    assert details(outcome)["stage_started"] == {"stage": "a"}


def test_waiting_job_starts_later() -> None:
    assert story(update(seq=1, words={"status": "queued"}), update(seq=2, words={"status": "running"})) == [
        "created",
        "started",
    ]


def test_whole_life_in_one_update() -> None:
    given = update(stage="a", event=WorkerEvent("page", {"n": 1}), words={"status": "completed"})
    assert lines(push(None, given)) == ["created", "started", "stage_started", "stage_completed", "page", "completed"]


def test_next_stage_completes_the_one_before() -> None:
    outcome = push(job_of(update(seq=1, plan=PLAN, stage="read")), update(seq=2, stage="parse"), at=NOON + 2.5)
    assert lines(outcome) == ["stage_completed", "stage_started", "progress"]
    assert details(outcome)["stage_completed"] == {"stage": "read", "duration_seconds": 2.5}


def test_stage_says_itself_that_it_is_completed() -> None:
    job = job_of(update(seq=1, plan=PLAN, stage="read"))
    outcome = push(job, update(seq=2, stage="read", stage_completed=True), at=NOON + 3)
    assert lines(outcome) == ["stage_completed", "progress"]
    assert lines(push(outcome.job, update(seq=3, stage="parse"), at=NOON + 4)) == ["stage_started"]


def test_failing_stage_is_not_completed() -> None:
    outcome = push(
        job_of(update(seq=1, stage="a")), update(seq=2, words={"status": "failed", "error": {"message": "x"}})
    )
    assert lines(outcome) == ["failed"]
    assert details(outcome)["failed"] == {"percent": 0, "stage": "a", "error": {"message": "x"}}


@pytest.mark.parametrize(
    ("status", "begins", "ends"), [("paused", "paused", "resumed"), ("blocked", "blocked", "unblocked")]
)
def test_waiting_begins_and_ends(status: str, begins: str, ends: str) -> None:
    job = job_of(update(seq=1))
    waiting = push(job, update(seq=2, words={"status": status}))
    assert lines(waiting) == [begins]
    assert lines(push(waiting.job, update(seq=3, words={"message": "still"}))) == []
    assert lines(push(waiting.job, update(seq=3, words={"status": "running"}))) == [ends]
    assert lines(push(waiting.job, update(seq=3, words={"status": "cancelled"}))) == ["cancelled"]


def test_pause_that_turns_into_a_block() -> None:
    paused = job_of(update(seq=1), update(seq=2, words={"status": "paused"}))
    outcome = push(paused, update(seq=3, words={"status": "blocked", "blocked_on": "a key"}))
    assert (lines(outcome), details(outcome)["blocked"]) == (["resumed", "blocked"], {"blocked_on": "a key"})
    back = push(outcome.job, update(seq=4, words={"status": "paused"}))
    assert lines(back) == ["unblocked", "paused"]


def test_next_attempt_tells_what_the_last_had_reached() -> None:
    first = job_of(
        update(seq=1, plan=PLAN, stage="parse", items={"rows": 4}),
        update(seq=2, words={"status": "failed", "error": {"message": "x"}}),
    )
    outcome = push(first, update(attempt=2, stage="read"), at=NOON + 60)
    assert lines(outcome) == ["attempt_started", "started", "stage_started"]
    assert details(outcome)["attempt_started"]["previous"] == {
        "attempt": 1,
        "status": "failed",
        "percent": 5,
        "stage": "parse",
        "items": {"rows": 4},
        "error": {"message": "x"},
        "resume": None,
        "started_at": rfc3339(NOON),
        "finished_at": rfc3339(NOON + 1),
    }


def test_unfinished_attempt_has_no_error_to_tell() -> None:
    outcome = push(job_of(update()), update(attempt=2))
    assert details(outcome)["attempt_started"]["previous"]["error"] is None


def test_progress_is_sampled_at_most_every_ten_seconds() -> None:
    updates = [update(seq=n, current=n, words={"total": 100}) for n in range(32)]
    assert story(*updates, step=1).count("progress") == 4


def test_sample_tells_where_the_job_stands() -> None:
    outcome = push(job_of(update(seq=1)), update(seq=2, stage="a", current=3, words={"total": 4}))
    assert details(outcome)["progress"] == {"percent": 0, "stage": "a", "current": 3, "total": 4}


def test_words_are_no_sample() -> None:
    assert lines(push(job_of(update(seq=1)), update(seq=2, words={"message": "hm"}), at=NOON + 60)) == []


def test_workers_own_line_comes_before_the_change_of_status() -> None:
    job = job_of(update(seq=1))
    given = update(seq=2, event=WorkerEvent("renewal", {"of": "a key"}), words={"status": "blocked"})
    assert [(e.type, e.details) for e in push(job, given).events] == [
        ("renewal", {"of": "a key"}),
        ("blocked", {"blocked_on": None}),
    ]


def test_completed_is_last() -> None:
    job = job_of(update(seq=1, plan=PLAN, stage="read"), update(seq=2, words={"status": "paused"}))
    given = update(seq=3, stage="save", event=WorkerEvent("page"), words={"status": "completed"})
    assert lines(push(job, given)) == [
        "stage_completed",
        "stage_started",
        "stage_completed",
        "page",
        "progress",
        "completed",
    ]


def test_lines_are_numbered_within_the_job() -> None:
    first = push(None, update(seq=1))
    second = push(first.job, update(seq=2, words={"status": "failed"}), at=NOON + 9)
    assert [event.number for event in (*first.events, *second.events)] == [1, 2, 3]
    assert second.job.event_count == 3
    assert [(event.at, event.attempt) for event in second.events] == [(NOON + 9, 1)]


def ids(*events: Event) -> list[str]:
    return [event.id for event in events]


def test_lines_of_an_update_are_named_by_it_wherever_it_is_applied() -> None:
    job = job_of(update("w", 1))
    given = update("w", 2, stage="load", event=WorkerEvent("page"), words={"status": "failed"})
    a, b = (push(fork(job, side), given) for side in ("a", "b"))
    assert ids(*a.events) == ids(*b.events) == ["1/w/2:stage_started", "1/w/2:event", "1:failed"]


def test_lines_of_the_same_kind_are_told_apart() -> None:
    job = job_of(update("w", 1, plan=PLAN, stage="read"), update("w", 2, stage="parse"))
    both = push(job, update("w", 3, stage="read", rewind=True))
    assert len(set(ids(*both.events))) == len(both.events)


def test_no_two_updates_name_their_lines_alike() -> None:
    event = WorkerEvent("page")
    job = job_of(update())
    given = [
        update("w", 1, event=event),
        update("w/1", 1, event=event),
        update(key="1/w/1", event=event),
        update("w", 1, attempt=2, event=event),
        update(key="1/w/1", attempt=2, event=event),
        update(event=event),
    ]
    named = [event.id for each in given for event in push(job, each).events if event.type == "page"]
    assert len(set(named)) == len(given)


def test_stage_that_ended_is_told_with_its_duration() -> None:
    before = push(None, update(seq=1, plan=PLAN, stage="read"))
    after = push(before.job, update(seq=2, stage="parse"), at=NOON + 7)
    ended = changes.ended_stages(before.view, after.view)
    assert [(stage.name, stage.status, stage.duration_seconds) for stage in ended] == [("read", "completed", 7)]


def test_stage_ends_once() -> None:
    before = push(None, update(seq=1, plan=PLAN, stage="read"), update(seq=2, stage="parse"))
    after = push(before.job, update(seq=3, stage="parse", current=2))
    assert changes.ended_stages(before.view, after.view) == ()


def test_stage_that_was_never_seen_running_did_not_end() -> None:
    before = push(None, update(seq=1, plan=PLAN, stage="solve"))
    after = push(before.job, update(seq=2, stage="read", current=4))
    assert after.view.stages[0].finished_at is not None
    assert changes.ended_stages(before.view, after.view) == ()


def test_stage_in_which_the_job_failed_ended_too() -> None:
    before = push(None, update(seq=1, stage="a"))
    after = push(before.job, update(seq=2, words={"status": "failed"}), at=NOON + 3)
    assert [(stage.status, stage.duration_seconds) for stage in changes.ended_stages(before.view, after.view)] == [
        ("failed", 3)
    ]


def test_stages_of_another_attempt_do_not_count_as_known() -> None:
    before = push(None, update(seq=1, stage="a", stage_completed=True))
    after = push(before.job, update(seq=1, attempt=2, stage="a", stage_completed=True))
    assert [stage.name for stage in changes.ended_stages(before.view, after.view)] == ["a"]


def test_job_that_begins_and_ends_in_one_update_ended_its_stage() -> None:
    assert [stage.name for stage in changes.ended_stages(None, view_of(update(stage="a", stage_completed=True)))] == [
        "a"
    ]
