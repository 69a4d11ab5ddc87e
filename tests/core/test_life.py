"""What holds at every step of a job's life, whatever workers, operators and clocks do to it."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core import ledger, merge
from sidecar.core.document import document, row
from sidecar.core.errors import Conflict
from sidecar.core.job import Job, Reason, Request, Status, Update
from sidecar.core.merge import Outcome
from sidecar.core.view import view
from tests.core.strategies import reports
from tests.core.updates import NOON, update

law = settings(deadline=None, max_examples=80, print_blob=True)

Step = tuple[float, Update | Request | None]
"""Seconds that pass (or that the clock goes back) and what happens then; None: the watchdog finds the job lost."""

ENDS = st.sampled_from(("completed", "failed", "cancelled"))


@st.composite
def lives(draw: st.DrawFn, *, ends: st.SearchStrategy[str] = ENDS) -> list[Step]:
    """Return the steps of a life: reports of some attempts, ends and requests among them, in any order."""
    reported: list[Update | Request | None] = []
    for each in draw(reports()):
        attempt, end = draw(st.sampled_from((None, None, None, 1, 2))), draw(st.none() | st.none() | ends)
        words = {**each.words, "status": end} if end else each.words
        reported.append(
            each._replace(attempt=attempt, words=words, said={**each.said, "end": end} if end else each.said)
        )
    others = draw(st.lists(st.sampled_from((None, update(), *Request)), max_size=4))
    seconds = st.sampled_from((0, 0.001, 1, 15, 90_000, -5))
    return [(draw(seconds), each) for each in draw(st.permutations([*reported, *others]))]


def taken(job: Job, what: Update | Request | None, now: float) -> Outcome:
    """Return what becomes of the job by one step."""
    match what:
        case None:
            return merge.lose(job, now)
        case Request():
            try:
                return merge.control(job, what, now)
            except Conflict:
                return Outcome(job, view(job), Reason.DUPLICATE, applied=False)
        case Update():
            return merge.apply(job, what, now)


def lived(steps: list[Step]) -> list[Outcome]:
    """Return the outcomes of a life, the first that of its creation."""
    outcomes, now = [merge.apply(None, update("z", 0), NOON)], NOON
    for seconds, what in steps:
        now += seconds
        outcomes.append(taken(outcomes[-1].job, what, now))
    return outcomes


@given(lives())
@law
def test_percent_never_falls_except_by_a_rewind(steps: list[Step]) -> None:
    for before, after in pairwise(lived(steps)):
        same = before.job.attempt.number == after.job.attempt.number
        if same and before.job.attempt.rewound == after.job.attempt.rewound:
            assert after.view.percent >= before.view.percent


@given(lives())
@law
def test_percent_has_two_decimals_and_is_a_hundred_when_completed_and_only_then(steps: list[Step]) -> None:
    for outcome in lived(steps):
        shown = outcome.view
        assert 0 <= shown.percent <= 100
        assert round(shown.percent, 2) == shown.percent
        assert (shown.percent == 100) == (shown.status is Status.COMPLETED)
        assert all(stage.percent is None or 0 <= stage.percent <= 100 for stage in shown.stages)


@given(lives())
@law
def test_times_never_fall_and_nothing_takes_less_than_no_time(steps: list[Step]) -> None:
    outcomes = lived(steps)
    for before, after in pairwise(outcomes):
        was, now = before.job, after.job
        assert now.updated_at >= was.updated_at
        assert now.last_contact_at >= was.last_contact_at
        assert now.last_progress_at >= was.last_progress_at
        assert all(event.at == now.updated_at for event in after.events if event.type != "late")
    for shown in (outcome.view for outcome in outcomes):
        assert all((stage.duration_seconds or 0) >= 0 for stage in shown.stages)
        assert shown.eta is None or 0 <= shown.eta.low_seconds <= shown.eta.seconds <= shown.eta.high_seconds


@given(lives())
@law
def test_each_change_is_one_version_and_what_is_not_told_changes_none(steps: list[Step]) -> None:
    for before, after in pairwise(lived(steps)):
        assert after.job.version - before.job.version in ((0, 1) if after.applied else (0,))
        if after.job.version == before.job.version:
            ignored = {"last_contact_at": None}
            assert {**document(after.view), **ignored} == {**document(before.view), **ignored}
            assert [event.type for event in after.events] in ([], ["late"])
        if after.reason in (Reason.DUPLICATE, Reason.STALE_ATTEMPT, Reason.CONFLICT, Reason.TOO_OLD):
            assert after.job is before.job


@given(lives())
@law
def test_timeline_is_numbered_without_gaps_named_once_and_ends_with_the_status(steps: list[Step]) -> None:
    outcomes = lived(steps)
    events = [event for outcome in outcomes for event in outcome.events]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert len({event.id for event in events}) == len(events)
    for before, after in pairwise(outcomes):
        if after.view.status is not before.view.status and after.view.is_finished:
            assert after.events[-1].type == after.view.status


@given(lives())
@law
def test_every_outcome_agrees_with_its_job_and_its_books(steps: list[Step]) -> None:
    for outcome in lived(steps):
        attempt = outcome.job.attempt
        assert outcome.view == view(outcome.job)
        assert attempt.added == ledger.total(map(ledger.counted, [attempt.keys, *attempt.writers.values()]))
        for form in (document(outcome.view), row(outcome.view)):
            assert json.loads(json.dumps(form, allow_nan=False)) == form


@given(reports(), ENDS)
@law
def test_replaying_anything_against_a_finished_job_changes_nothing(updates: list[Update], end: str) -> None:
    *_, finished = lived([(1, each) for each in (*updates, update("end", 1, words={"status": end}))])
    for each in updates:
        outcome = merge.apply(finished.job, each, NOON + 1_000)
        assert (outcome.job, outcome.reason, outcome.events) == (finished.job, Reason.DUPLICATE, ())
        assert outcome.job is finished.job


@given(reports(), reports(), ENDS)
@law
def test_late_updates_change_nothing_that_is_shown(updates: list[Update], late: list[Update], end: str) -> None:
    *_, finished = lived([(1, each) for each in (*updates, update("end", 1, words={"status": end}))])
    job = finished.job
    for each in late:
        again = each._replace(writer=f"late {each.writer}")
        outcome = merge.apply(job, again, NOON + 1_000)
        assert (outcome.reason, outcome.applied) == (Reason.LATE, False)
        assert [event.type for event in outcome.events] == ([] if each.is_heartbeat else ["late"])
        assert document(outcome.view) == document(finished.view)
        job = outcome.job
