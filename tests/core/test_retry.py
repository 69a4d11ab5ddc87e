"""The next attempt at a job, on one side of a split and on both."""

import pytest

from sidecar.core import retry
from sidecar.core.errors import Conflict, InvalidUpdate
from sidecar.core.job import Reason, Update
from sidecar.core.merge import Outcome, fork, join
from sidecar.core.view import View, view
from tests.core.updates import NOON, push, update


def begun(before: View, key: str | None = None, now: float = NOON + 9) -> Outcome:
    return retry.begun(before, retry.asked(before, Update("job-1", identity=f"i{now}", key=key)), now)


@pytest.fixture
def crashed() -> View:
    return push(None, update("w", 1, current=3, facts={"resume": "here"})).view


def test_attempt_begins_anew_and_is_told(crashed: View) -> None:
    outcome = begun(crashed)
    assert (outcome.applied, outcome.view.job.attempt.number, outcome.view.current) == (True, 2, None)
    assert outcome.events[0].type == "attempt_started"
    assert outcome.job.version == crashed.job.version + 1


def test_key_begins_one_attempt_however_many_follow(crashed: View) -> None:
    first = begun(crashed, "a")
    second = begun(first.view, "b")
    for outcome in (first, second):
        again = begun(outcome.view, "a")
        assert (again.applied, again.reason, again.job) == (False, Reason.DUPLICATE, outcome.job)
        assert retry.begun_by(again.job.attempt, "a") == 2
    assert retry.begun_by(second.job.attempt, "b") == 3
    assert retry.begun_by(second.job.attempt, "c") is None


def test_keys_of_reports_stay_with_their_attempt(crashed: View) -> None:
    reported = push(crashed.job, update(key="r", current=4)).view
    with pytest.raises(InvalidUpdate, match="report"):
        begun(reported, "r")
    assert begun(reported, "a").job.attempt.keys.window.find("r") is None


def test_same_key_on_both_sides_of_a_split_begins_one(crashed: View) -> None:
    here = begun(crashed, "a").job
    there = begun(view(fork(crashed.job, "other")), "a", NOON + 10).job
    both = join(here, there)
    assert both.attempt.number == 2
    assert not begun(view(both), "a").applied


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_what_is_done_is_not_tried_again(crashed: View, status: str) -> None:
    done = push(crashed.job, update(words={"status": status})).view
    with pytest.raises(Conflict, match="nothing is left"):
        begun(done)


def test_there_is_a_last_attempt(crashed: View) -> None:
    last = push(crashed.job, update(attempt=retry.MOST_ATTEMPTS)).view
    with pytest.raises(Conflict, match="as many"):
        begun(last)
