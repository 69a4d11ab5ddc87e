"""Who may set a counter and who may add to it."""

from typing import Any

import pytest

from sidecar.core import merge
from sidecar.core.errors import InvalidUpdate
from sidecar.core.job import Job, Reason, Update
from tests.core.updates import NOON, job_of, push, update, view_of


def refusal(job: Job | None, given: Update) -> str:
    """Return the field for which the update is refused."""
    with pytest.raises(InvalidUpdate) as caught:
        merge.apply(job, given, NOON)
    return caught.value.field


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
