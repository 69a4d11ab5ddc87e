"""A version of a job from another store, joined into what one store has: what is stored of it, and what is told."""

import pytest
from hypothesis import given, settings

from sidecar.core import merge
from sidecar.core.document import row
from sidecar.core.job import Job, Reason, Status, Update
from sidecar.core.merge import Outcome, fork, join, united
from sidecar.core.view import view
from tests.core.strategies import LONG_SPLITS, LongSplit, Split, splits
from tests.core.test_laws import reported, sides_of, told
from tests.core.updates import NOON, PLAN, job_of, lines, push, update

LATER = NOON + 1_000
BASE = job_of(update("w", 1, plan=PLAN, stage="read", current=3, words={"total": 10}))

law = settings(deadline=None, max_examples=120, print_blob=True)
long_law = settings(law, max_examples=30)


def side(lineage: str, *updates: Update, at: float = NOON + 10) -> Job:
    return push(fork(BASE, lineage), *updates, at=at).job


def join_in(before: Job, other: Job) -> Outcome:
    return united(view(before), other, LATER)


def content(job: Job) -> Job:
    """Return all of a job but what depends on who stores it."""
    return job._replace(version=0, lineage="")


def test_job_that_was_not_there_is_taken_as_it_is() -> None:
    outcome = united(None, BASE, LATER)
    assert outcome.job is BASE
    assert (outcome.applied, outcome.events, outcome.view) == (True, (), view(BASE))


def test_nothing_new_is_the_very_same_job() -> None:
    ahead = side("a", update("x", 1, current=4))
    for older in (ahead, fork(ahead, "b"), fork(BASE, "b")):
        outcome = join_in(ahead, older)
        assert outcome.job is ahead
        assert (outcome.reason, outcome.applied, outcome.events) == (Reason.DUPLICATE, False, ())


def test_other_version_that_holds_all_is_taken_as_it_is() -> None:
    ahead = side("b", update("x", 1, current=4), update("x", 2, current=5))
    outcome = join_in(fork(BASE, "a"), ahead)
    assert outcome.job is ahead
    assert (outcome.applied, outcome.events) == (True, ())


def test_versions_that_grew_apart_give_one_higher_than_both() -> None:
    a = side("a", update("x", 1, add_current=4))
    b = side("b", update("y", 1, add_current=2), update("y", 2, add_current=3))
    outcome = join_in(a, b)
    assert outcome.job.version == b.version + 1 > a.version
    assert outcome.view == view(outcome.job)
    assert outcome.view.current == 12


def test_joining_twice_changes_nothing() -> None:
    a, b = side("a", update("x", 1, current=4)), side("b", update("y", 1, current=5))
    once = join_in(a, b).job
    assert join_in(once, b).job is once
    assert join_in(once, a).job is once
    assert join_in(once, fork(once, "b")).job is once


def test_sides_that_exchange_what_came_of_it_come_to_rest() -> None:
    a, b = side("a", update("x", 1, current=4)), side("b", update("y", 1, current=5))
    once = join_in(a, b).job
    taken = join_in(b, once).job
    assert taken is once
    assert join_in(once, taken).job is once


def test_either_side_may_be_the_one_that_is_here() -> None:
    a, b = side("a", update("x", 1, current=4)), side("b", update("y", 1, current=5, metadata={"k": 1}), at=NOON + 20)
    assert content(join_in(a, b).job) == content(join_in(b, a).job)


def test_visible_change_has_a_higher_version_even_if_the_other_side_counted_no_further() -> None:
    """A store tells nobody of what keeps its version, and moves the job in no index."""
    here, there = side("a", update(percent=40)), side("b", update("y", 2, percent=90), at=NOON + 20)
    assert here.version == there.version
    outcome = join_in(here, there)
    assert outcome.view.percent == 90
    assert outcome.job.version > here.version


@pytest.mark.parametrize("lineage", ["a", "z"])
def test_nothing_new_is_the_very_same_job_whichever_store_counted_on(lineage: str) -> None:
    ahead = side(lineage, update("w", 2, current=4))
    assert join_in(ahead, fork(BASE, "m")).job is ahead


@pytest.mark.parametrize("lineage", ["a", "z"])
def test_version_that_holds_all_is_taken_as_it_is_whichever_store_counted_on(lineage: str) -> None:
    ahead = side(lineage, update("w", 2, current=4))
    assert join_in(fork(BASE, "m"), ahead).job is ahead


def test_heartbeat_of_the_other_side_is_no_change_to_tell() -> None:
    heard = side("b", update("x", 2))
    outcome = join_in(fork(BASE, "a"), heard)
    assert (outcome.job.version, outcome.job.last_contact_at) == (BASE.version, NOON + 10)


ENDS = ("failed", "cancelled", "completed")


def ended(lineage: str, status: str, at: float, **words: object) -> Job:
    return side(lineage, update(lineage, 5, words={"status": status, **words}), at=at)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_earlier_of_two_ends_stays_and_the_other_is_told_as_late(*, is_swapped: bool) -> None:
    failed = ended("a", "failed", NOON + 20, error="boom")
    completed = ended("b", "completed", NOON + 30, result={"rows": 3})
    outcome = join_in(completed, failed) if is_swapped else join_in(failed, completed)
    assert (outcome.view.status, outcome.view.finished_at) == (Status.FAILED, NOON + 20)
    (late,) = outcome.events
    assert (late.type, late.number) == ("late", outcome.job.event_count)
    assert late.details == {"status": "completed", "error": None, "result": {"rows": 3}}


def test_end_that_does_not_stay_is_told_once() -> None:
    failed, completed = ended("a", "failed", NOON + 20), ended("b", "completed", NOON + 30)
    outcome = join_in(failed, completed)
    assert lines(outcome) == ["late"]
    assert lines(join_in(outcome.job, completed)) == []
    assert lines(join_in(completed, outcome.job)) == []


def test_end_that_does_not_stay_has_one_name_whoever_tells_it() -> None:
    failed, completed = ended("a", "failed", NOON + 20), ended("b", "completed", NOON + 30)
    assert join_in(failed, completed).events[0].id == join_in(completed, failed).events[0].id


def test_same_end_on_both_sides_is_not_late() -> None:
    end = ended("a", "failed", NOON + 20)
    outcome = join_in(push(end, update("x", 7, current=1)).job, fork(end, "b"))
    assert lines(outcome) == []


def test_end_of_an_earlier_attempt_is_not_late() -> None:
    again = side("b", update("x", 1, words={"status": "failed"}), update("x", 1, attempt=2, current=1))
    outcome = join_in(ended("a", "completed", NOON + 30), again)
    assert (outcome.job.attempt.number, outcome.events) == (2, ())
    assert outcome.view.status is Status.RUNNING


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_two_ends_at_one_moment_are_settled_alike_on_both_sides(first: str, second: str) -> None:
    a, b = ended("a", first, NOON + 20), ended("b", second, NOON + 20)
    assert join_in(a, b).view.status == join_in(b, a).view.status
    assert content(join_in(a, b).job) == content(join_in(b, a).job)


@given(splits())
@law
def test_sides_of_a_split_come_to_what_one_store_would_have(split: Split) -> None:
    base, a, b = sides_of(split)
    assert reported(join_in(a, b).job) == reported(told(base, split.order, "c"))


@given(LONG_SPLITS)
@long_law
def test_sides_of_a_long_split_come_to_what_one_store_would_have(long: LongSplit) -> None:
    split = long.split()
    base, a, b = sides_of(split)
    assert reported(join_in(a, b).job) == reported(told(base, split.order, "c"))


@given(splits())
@law
def test_what_came_of_it_is_new_to_neither_side_of_any_split(split: Split) -> None:
    _, a, b = sides_of(split)
    once = join_in(a, b).job
    assert content(join_in(b, a).job) == content(once)
    assert join_in(once, a).job is once
    assert join_in(once, b).job is once
    assert join_in(a, once).job in (once, a)


@given(splits())
@law
def test_whatever_is_shown_differently_has_a_higher_version(split: Split) -> None:
    _, a, b = sides_of(split)
    outcome = join_in(a, b)
    assert outcome.job.version >= b.version
    if row(outcome.view) != row(view(a)):
        assert outcome.job.version > a.version


@given(splits())
@law
def test_join_of_all_reports_loses_none_of_either_receipts(split: Split) -> None:
    _, a, b = sides_of(split)
    job = join_in(a, b).job
    assert content(join(job, a)) == content(join(job, b)) == content(join(job, job))
    for given_update in (*split.prefix, *split.left, *split.right, *split.shared):
        assert not merge.apply(job, given_update, LATER).applied
