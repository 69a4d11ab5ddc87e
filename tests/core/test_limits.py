"""Bounds that keep a job small, and what they must not prevent."""

import pytest

from sidecar.core import limits, merge
from sidecar.core.errors import InvalidUpdate
from sidecar.core.job import Job, PlannedStage, Status, Update
from tests.core.updates import NOON, job_of, push, update

DONE = update("", 99_999, words={"status": "completed"})


def refusal(job: Job | None, given: Update) -> str:
    with pytest.raises(InvalidUpdate) as caught:
        merge.apply(job, given, NOON)
    return caught.value.field


def kinds(prefix: str, count: int = limits.MOST_KINDS) -> dict[str, int]:
    return {f"{prefix}{number}": number for number in range(count)}


def plan(prefix: str, count: int = limits.MOST_STAGES) -> tuple[PlannedStage, ...]:
    return tuple(PlannedStage(f"{prefix}{number}") for number in range(count))


def joined(*sides: Update) -> Job:
    """Return what two sides of a split amount to that each took one update."""
    base = job_of(update())
    a, b = (push(merge.fork(base, side.writer), side).job for side in sides)
    return merge.join(a, b)


def test_stage_too_many_is_refused() -> None:
    job = job_of(update(seq=1, plan=plan("s")))
    assert refusal(job, update(seq=2, stage="another")) == "stage"
    assert push(job, update(seq=2, stage="s3")).applied


def test_plan_too_long_for_the_stages_that_ran_is_refused() -> None:
    job = job_of(update(seq=1, stage="another"))
    assert refusal(job, update(seq=2, plan=plan("s"))) == "stages"
    assert push(job, update(seq=2, plan=plan("s", 99))).applied


def test_plan_may_replace_a_full_one() -> None:
    assert push(job_of(update(seq=1, plan=plan("s"))), update(seq=2, plan=plan("t"))).applied


@pytest.mark.parametrize(
    ("given", "field"),
    [({"items": {"another": 1}}, "items"), ({"add_items": {"another": 1}}, "add.items")],
)
def test_kind_too_many_is_refused(given: dict[str, dict[str, int]], field: str) -> None:
    job = job_of(update("w", 1, add_items=kinds("k", 50)), update("v", 1, items=kinds("j", 50)))
    assert refusal(job, update("v", 2, items=given.get("items", {}), add_items=given.get("add_items", {}))) == field
    assert push(job, update("v", 2, items={"j3": 9})).applied
    assert push(job, update("w", 2, add_items={"k3": 9})).applied


def test_writer_too_many_is_refused() -> None:
    job = job_of(*(update(f"w{number}", 1) for number in range(limits.MOST_WRITERS)))
    assert refusal(job, update("another", 1)) == "writer"
    assert push(job, update("w3", 2)).applied
    finished = push(job, update("w3", 2, words={"status": "failed"})).job
    assert refusal(finished, update("another", 1, current=3)) == "writer"


def test_writer_who_only_looks_in_is_not_kept() -> None:
    assert set(job_of(update("w", 1), update("guest"), update("guest", words={"message": "hi"})).attempt.writers) == {
        "w"
    }


def test_sixty_four_writers_are_recognised_the_others_still_count() -> None:
    job = job_of(*(update(f"w{number}", 1, add_current=1) for number in range(70)))
    windowed = {name for name, known in job.attempt.writers.items() if known.receipts}
    assert windowed == {f"w{number}" for number in range(6, 70)}
    assert all(
        known.receipts for name, known in push(job, update("w9", 2)).job.attempt.writers.items() if name in windowed
    )
    assert push(job, update("w0", 1, add_current=1)).reason == "too_old"
    assert push(job, update("w0", 2, add_current=1)).view.current == 71
    assert merge.join(job, job).attempt.added == {"current:": 70}


def test_metadata_grows_to_its_bound_only() -> None:
    job = job_of(update(seq=1, metadata={"a": "x" * 10_000}))
    assert refusal(job, update(seq=2, metadata={"b": "x" * 10_000})) == "metadata"
    assert refusal(None, update(seq=2, metadata={"b": "ä" * 10_000})) == "metadata"
    assert push(job, update(seq=2, metadata={"a": "y" * 16_000})).applied


def test_job_that_outgrew_its_metadata_may_shrink() -> None:
    job = joined(update("a", 1, metadata={"a": "x" * 12_000}), update("b", 1, metadata={"b": "x" * 12_000}))
    assert push(job, update("a", 2, metadata={"a": "x" * 8_000})).applied
    assert refusal(job, update("a", 2, metadata={"c": 1})) == "metadata"


def test_job_that_outgrew_its_stages_goes_on() -> None:
    job = joined(update("a", 1, plan=plan("s")), update("b", 1, stage="another"))
    assert refusal(job, update("a", 2, stage="third")) == "stage"
    for given in (update("a", 2, stage="another"), update("a", 2, stage="s1"), update("a", 2, plan=plan("s")), DONE):
        assert push(job, given).applied


def test_job_that_outgrew_its_kinds_goes_on() -> None:
    job = joined(update("a", 1, items=kinds("a")), update("b", 1, add_items=kinds("b")))
    assert push(job, update("b", 2, add_items={"b0": 1})).applied
    assert push(job, DONE).view.status is Status.COMPLETED
