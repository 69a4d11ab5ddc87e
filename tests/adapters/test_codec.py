"""The stored formats."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.adapters.codec import decode_event, decode_job, encode_event, encode_job
from sidecar.core.errors import StoreRefused
from sidecar.core.job import Event, Job, Request, Status, Update
from sidecar.core.merge import apply, control, lose
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
