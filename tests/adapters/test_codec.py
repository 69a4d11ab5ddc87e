"""The stored formats."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.adapters.codec import decode_event, decode_job, encode_event, encode_job
from sidecar.core.errors import StoreRefused
from sidecar.core.job import Event, Job, Reason, Request, Status, Update
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
    assert (shown.job.attempt.waiting_since, shown.job.attempt.waited_seconds) == (None, 0.0)
    again = update("job-1", writer="w", seq=3, stage="solve", current=2, digest="3")
    assert push(again)(shown).reason is Reason.DUPLICATE
