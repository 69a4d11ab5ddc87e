"""The stored formats."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.adapters.codec import decode_event, decode_job, encode_event, encode_job
from sidecar.core.errors import StoreRefused, Unreadable
from sidecar.core.job import (
    Event,
    Job,
    PlannedStage,
    Promise,
    Reason,
    Request,
    Stall,
    StallReason,
    Status,
    Update,
    Usual,
)
from sidecar.core.merge import apply, control, join, lose
from sidecar.core.view import View, view
from tests.adapters.updates import NOON, finish, push, update
from tests.core.strategies import reports


@settings(deadline=None, max_examples=60)
@given(reports(), st.sampled_from(["none", "cancel", "lose", "finish", "retry"]))
def test_a_job_comes_back_as_it_was_stored(updates: list[Update], end: str) -> None:
    job: Job | None = None
    for number, told in enumerate(updates):
        job = apply(job, told, NOON + number).job
    assert job is not None
    match end:
        case "cancel":
            job = control(job, Request.CANCEL, NOON).job
        case "lose":
            job = lose(job, NOON + 1e6).job
        case "finish" | "retry":
            shown = finish(job.job_id, Status.FAILED)(view(job)).view
            job = push(update(job.job_id, attempt=job.attempt.number + 1))(shown).job if end == "retry" else shown.job
        case _:
            pass
    assert decode_job(encode_job(job)) == job


def test_folded_receipts_and_keys_come_back() -> None:
    shown: View | None = None
    for seq in range(200):
        shown = push(update(writer="w", seq=seq, add_current=1))(shown).view
    job = push(update(key="k", add_items={"x": 2}))(shown).job
    again = decode_job(encode_job(job))
    assert again == job
    assert push(update(writer="w", seq=199, add_current=1))(view(again)).applied is False


def test_an_event_comes_back_as_it_was_stored() -> None:
    event = Event("w/1:0", 3, "late", NOON, 2, {"text": "é\u2028\n", "n": None})
    assert decode_event(encode_event(event)) == event


def test_a_newer_format_is_refused_not_misread() -> None:
    stored = json.loads(encode_job(push(update())(None).job))
    stored["format"] = 2
    with pytest.raises(StoreRefused, match="format 2"):
        decode_job(json.dumps(stored).encode())


def test_fields_of_a_newer_release_are_kept() -> None:
    head, feed, receipts = encode_job(push(update(writer="w", seq=1))(None).job).partition(b"\n")
    stored = json.loads(head)
    stored["mood"], stored["attempt"]["luck"] = {"is": "good"}, 7
    known = decode_job(json.dumps(stored).encode() + feed + receipts)
    told = push(update(writer="w", seq=2, current=3))(view(known)).job
    kept = json.loads(encode_job(told).partition(b"\n")[0])
    assert (kept["mood"], kept["attempt"]["luck"]) == ({"is": "good"}, 7)
    assert join(told, push(update(writer="w", seq=3))(view(known)).job).unknown == {"mood": {"is": "good"}}


def test_a_job_that_the_first_release_stored_is_read() -> None:
    shown = view(decode_job((Path(__file__).parent / "job_of_format_1").read_bytes()))
    assert (shown.status, shown.stage, shown.percent, shown.current) == (Status.RUNNING, "solve", 60.0, 2)
    assert shown.items == {"rows": 12}
    again = update("job-1", writer="w", seq=3, stage="solve", current=2, digest="3")
    assert push(again)(shown).reason is Reason.DUPLICATE


def of_a_newer_release(head: dict[str, Any]) -> dict[str, Any]:
    """Return a stored job with one more element in every array that stands for a tuple."""
    attempt, new = head["attempt"], {"new": True}
    registers = [*head["facts"].values(), *head["metadata"].values(), *attempt["words"].values(), head["plan"]]
    for rank, _, *_ in registers:
        rank.append(new)
    for stage in attempt["stages"].values():
        for each in (stage[0], stage[1], *stage[2], *stage[3], *stage[4].values()):
            each.append(new)
        stage.append(new)
    tuples = [*registers, *head["plan"][1], attempt["newest"], attempt["shown"], *attempt["points"], *attempt["usual"]]
    tuples += [attempt["halfway"], attempt["stall"], *attempt["percent"], *attempt["writers"].values()]
    tuples += [step for steps in attempt["items"].values() for step in steps]
    for each in tuples:
        each.append(new)
    attempt["writers"]["w"][0].append(new)
    return head


def rich_job() -> Job:
    """Return a job that has something of everything."""
    plan = (PlannedStage("load"), PlannedStage("solve"))
    first = update(writer="w", seq=1, plan=plan, stage="load", current=3, percent=10, stage_percent=20, items={"r": 2})
    usual = (Usual("load", 9.0, 0.5, 2.0, 9.0),)
    first = first._replace(words={"message": "m", "total": 9}, facts={"unit": "u"}, metadata={"k": 1}, usual=usual)
    job = push(first)(None).job
    stall = Stall(StallReason.SILENT, NOON, 30.0)
    return job._replace(attempt=job.attempt._replace(halfway=Promise(NOON, 5.0), stall=stall))


def test_a_job_to_whose_parts_a_newer_release_has_added_something_is_read() -> None:
    job = rich_job()
    head, feed, receipts = encode_job(job).partition(b"\n")
    stored = of_a_newer_release(json.loads(head))
    assert decode_job(json.dumps(stored).encode() + feed + receipts) == job


def test_an_event_to_which_a_newer_release_has_added_something_is_read() -> None:
    event = Event("w/1:0", 3, "late", NOON, 2, {"n": None})
    stored = json.loads(encode_event(event))
    assert decode_event(json.dumps([*stored, {"new": True}]).encode()) == event


@pytest.mark.parametrize("stored", [b"", b"{}", b"null", b"[1", b'{"format":1}', b'{"format":"one"}', b"\xff\xfe"])
def test_what_is_damaged_is_said_to_be_unreadable(stored: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_job(stored)
    with pytest.raises(Unreadable):
        decode_event(stored)


def test_an_event_that_the_first_release_stored_is_read() -> None:
    stored = b'["1/w/3:stage_started",6,"stage_started",1700000000.0,1,{"stage":"solve"}]'
    expected = Event("1/w/3:stage_started", 6, "stage_started", NOON, 1, {"stage": "solve"})
    assert decode_event(stored) == expected
