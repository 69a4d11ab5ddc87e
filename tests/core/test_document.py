"""The JSON forms of a job."""

import json
from typing import Any

import pytest

from sidecar.core.document import document, rfc3339, row
from sidecar.core.job import PlannedStage, WorkerEvent
from tests.core.updates import NOON, job_of, push, update, view_of

DOCUMENT = [
    *("job_id", "project", "job_type", "attempt", "status", "percent", "stage", "stage_label", "stage_percent"),
    *("current", "total", "total_growing", "unit", "items", "message", "detail", "stages", "eta", "rate_per_second"),
    *("stall", "blocked_on", "error", "result", "metadata", "labels", "resume", "parent_id", "trace_id"),
    *("cancel_requested", "pause_requested", "created_at", "started_at", "updated_at", "last_contact_at"),
    *("last_progress_at", "finished_at", "version"),
]
STAGE = [
    *("name", "label", "weight", "status", "percent", "current", "total"),
    *("started_at", "finished_at", "duration_seconds"),
]
ROW = [
    *("job_id", "project", "job_type", "attempt", "status", "percent", "stage", "stage_label", "stage_percent"),
    *("current", "total", "unit", "message", "eta_seconds", "stall_reason", "parent_id"),
    *("created_at", "updated_at", "last_progress_at", "version"),
]

EVERYTHING = update(
    "w",
    1,
    project="uni",
    job_type="timetable",
    plan=(PlannedStage("solving", 3, "Solving"), PlannedStage("saving")),
    stage="solving",
    current=74,
    items={"clusters": 74},
    words={"status": "running", "total": 216, "message": "cluster 74 of 216", "detail": "long", "result": [1]},
    facts={"unit": "clusters", "labels": {"team": "red"}, "resume": {"at": 74}, "parent_id": "p", "trace_id": "t"},
    metadata={"seed": 4, "beta": None},
    event=WorkerEvent("page"),
)


def test_document_has_exactly_the_keys_of_the_api_in_their_order() -> None:
    shown = document(view_of(EVERYTHING))
    assert list(shown) == DOCUMENT
    assert [list(stage) for stage in shown["stages"]] == [STAGE, STAGE]


def test_document_says_what_was_reported() -> None:
    shown = document(view_of(EVERYTHING))
    assert {name: shown[name] for name in DOCUMENT[:16]} == {
        "job_id": "job-1",
        "project": "uni",
        "job_type": "timetable",
        "attempt": 1,
        "status": "running",
        "percent": 25.69,
        "stage": "solving",
        "stage_label": "Solving",
        "stage_percent": 34.26,
        "current": 74,
        "total": 216,
        "total_growing": False,
        "unit": "clusters",
        "items": {"clusters": 74},
        "message": "cluster 74 of 216",
        "detail": "long",
    }
    assert {name: shown[name] for name in DOCUMENT[19:30]} == {
        "stall": None,
        "blocked_on": None,
        "error": None,
        "result": [1],
        "metadata": {"beta": None, "seed": 4},
        "labels": {"team": "red"},
        "resume": {"at": 74},
        "parent_id": "p",
        "trace_id": "t",
        "cancel_requested": False,
        "pause_requested": False,
    }


def test_document_of_a_job_of_which_nothing_is_known() -> None:
    shown = document(view_of(update()))
    assert {name for name in DOCUMENT if shown[name] is None} == {
        *("stage", "stage_label", "stage_percent", "current", "total", "unit", "message", "detail", "eta"),
        *("rate_per_second", "stall", "blocked_on", "error", "result", "resume", "parent_id", "trace_id"),
        "finished_at",
    }
    assert (shown["items"], shown["stages"], shown["metadata"], shown["labels"]) == ({}, [], {}, {})


def test_stages_are_told_with_their_times() -> None:
    shown = document(view_of(EVERYTHING, update("w", 2, stage="saving")))
    assert shown["stages"] == [
        {
            "name": "solving",
            "label": "Solving",
            "weight": 3,
            "status": "completed",
            "percent": 100,
            "current": 74,
            "total": 216,
            "started_at": "2023-11-14T22:13:20.000Z",
            "finished_at": "2023-11-14T22:13:21.000Z",
            "duration_seconds": 1,
        },
        {
            "name": "saving",
            "label": "saving",
            "weight": 1,
            "status": "running",
            "percent": None,
            "current": None,
            "total": None,
            "started_at": "2023-11-14T22:13:21.000Z",
            "finished_at": None,
            "duration_seconds": None,
        },
    ]


def test_eta_is_told_with_its_range() -> None:
    shown = document(push(job_of(update(seq=1)), update(seq=2, percent=25), at=NOON + 10).view)
    assert shown["eta"] == {
        "seconds": 30,
        "low_seconds": 20,
        "high_seconds": 60,
        "finish_at": "2023-11-14T22:14:00.000Z",
    }


def test_what_a_job_is_blocked_on_is_told_while_it_is_blocked() -> None:
    blocked = push(None, update(seq=1, words={"status": "blocked", "blocked_on": "a key"}))
    assert document(blocked.view)["blocked_on"] == "a key"
    assert document(push(blocked.job, update(seq=2, words={"status": "running"})).view)["blocked_on"] is None


def test_end_is_told_with_its_error_and_result() -> None:
    shown = document(view_of(update(words={"status": "failed", "error": {"message": "x"}, "result": 3})))
    assert (shown["error"], shown["result"], shown["finished_at"]) == ({"message": "x"}, 3, rfc3339(NOON))


def test_row_has_exactly_the_keys_of_the_brief_view_in_their_order() -> None:
    assert list(row(view_of(EVERYTHING))) == ROW


def test_row_says_the_same_as_the_document() -> None:
    shown = push(job_of(EVERYTHING), update("w", 2, current=80, stage="solving"), at=NOON + 10).view
    whole, brief = document(shown), row(shown)
    same = [name for name in ROW if name in whole]
    assert {name: brief[name] for name in same} == {name: whole[name] for name in same}
    assert (brief["eta_seconds"], brief["stall_reason"]) == (whole["eta"]["seconds"], None)


def test_row_of_a_job_without_an_eta() -> None:
    assert row(view_of(update()))["eta_seconds"] is None


@pytest.mark.parametrize("words", [{}, {"status": "completed"}, {"status": "blocked"}])
def test_both_forms_are_json(words: dict[str, Any]) -> None:
    shown = view_of(EVERYTHING, update("w", 2, words=words))
    for form in (document(shown), row(shown)):
        assert json.loads(json.dumps(form, allow_nan=False)) == form


def test_row_is_brief() -> None:
    assert len(json.dumps(row(view_of(EVERYTHING)), separators=(",", ":"))) < 500


def test_times_are_rfc3339_utc_with_milliseconds() -> None:
    assert rfc3339(NOON + 0.25) == "2023-11-14T22:13:20.250Z"
    assert rfc3339(None) is None
