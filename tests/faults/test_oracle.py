"""That the check can fail: each kind of loss and of double counting is told."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.jobs import Fate, Job, Push, Shape
from tests.faults.ledger import BEHIND_SECONDS, Bounds, Ledger
from tests.faults.oracle import violations

JOB = Job("job-1", Shape.COUNTED, 100)

SHOWN: dict[str, Any] = {
    "attempt": 1,
    "status": "completed",
    "percent": 100,
    "current": 100,
    "items": {"rows": 12, "files": 7},
    "stages": [],
    "message": "2 w",
    "result": {"of": "2 w"},
    "error": None,
}
TIMELINE = [
    {"number": 1, "type": "created", "attempt": 1, "details": {}},
    {"number": 2, "type": "note", "attempt": 1, "details": {"id": "w-1"}},
    {"number": 3, "type": "note", "attempt": 1, "details": {"id": "w-2"}},
    {"number": 4, "type": "completed", "attempt": 1, "details": {}},
]


def pushed(fate: Fate, seq: int, rows: int, *, sent_at: float = 0.0, is_end: bool = False) -> Push:
    maxima = {"current": 100 if is_end else 7, "files": 7}
    push = Push(JOB, "w", seq, maxima, {"rows": rows}, f"w-{seq}", has_message=True)
    push.fate, push.tries, push.sent_at, push.is_end = fate, 1, sent_at, is_end
    return push


def ledger(*pushes: Push) -> Ledger:
    kept = Ledger()
    for push in pushes:
        kept.opened(push)
    return kept


@pytest.fixture
def known() -> Ledger:
    return ledger(pushed(Fate.KEPT, 1, 5), pushed(Fate.KEPT, 2, 7, is_end=True))


def wrong(known: Ledger, job: dict[str, Any] | None, timeline: list[dict[str, Any]] | None = None) -> list[str]:
    least, most = known.least("job-1"), known.most("job-1")
    return list(violations(least, most, job, TIMELINE if timeline is None else timeline))


def test_all_that_was_acknowledged_is_right(known: Ledger) -> None:
    assert wrong(known, SHOWN) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda job: job | {"items": {"rows": 11, "files": 7}},
        lambda job: job | {"items": {"rows": 13, "files": 7}},
        lambda job: job | {"items": {"rows": 12, "files": 6}},
        lambda job: job | {"current": 99},
        lambda job: job | {"current": 101},
        lambda job: job | {"status": "running"},
        lambda job: job | {"status": "lost"},
        lambda job: job | {"status": "failed"},
        lambda job: job | {"result": {"of": "1 w"}},
        lambda job: job | {"result": None},
        lambda job: job | {"percent": 99.99},
        lambda job: job | {"message": "1 w"},
        lambda job: job | {"message": None},
        lambda _: None,
    ],
)
def test_job_that_lacks_something_is_wrong(known: Ledger, change: Callable[[Any], Any]) -> None:
    assert wrong(known, change(SHOWN))


@pytest.mark.parametrize(
    "timeline",
    [
        TIMELINE[:2] + TIMELINE[3:],
        TIMELINE[:3],
        TIMELINE[1:],
        [*TIMELINE, {"number": 5, "type": "note", "attempt": 1, "details": {"id": "w-2"}}],
        [*TIMELINE, {"number": 5, "type": "note", "attempt": 1, "details": {"id": "w-3"}}],
        [*TIMELINE, {"number": 5, "type": "late", "attempt": 1, "details": {"event": {"details": {"id": "w-1"}}}}],
        [*TIMELINE, {"number": 5, "type": "created", "attempt": 1, "details": {}}],
        [*TIMELINE, {"number": 4, "type": "stalled", "attempt": 1, "details": {}}],
    ],
)
def test_timeline_that_lacks_or_repeats_something_is_wrong(known: Ledger, timeline: list[dict[str, Any]]) -> None:
    assert len(wrong(known, SHOWN, timeline)) == 1


def turned(*types: str) -> list[dict[str, Any]]:
    lines = [{"number": 5 + n, "at": f"2026-01-01T00:00:0{n}", "type": each} for n, each in enumerate(types)]
    return [*TIMELINE, *({**line, "attempt": 1, "details": {}} for line in lines)]


@pytest.mark.parametrize(("types", "expected"), [(("lost", "returned", "lost"), 0), (("returned", "lost"), 1)])
def test_only_who_was_lost_can_return(known: Ledger, types: tuple[str, ...], expected: int) -> None:
    assert len(wrong(known, SHOWN, turned(*types))) == expected


@pytest.mark.parametrize(("lost_seconds", "expected"), [(math.inf, 1), (60.0, 1), (0.0, 0)])
def test_only_a_job_that_nobody_was_heard_of_may_be_lost(lost_seconds: float, expected: int) -> None:
    known = Ledger(lost_seconds)
    push = pushed(Fate.KEPT, 1, 12)
    push.first_sent_at = time.monotonic()
    known.opened(push)
    assert len(wrong(known, SHOWN | {"status": "lost", "current": 7, "message": "1 w"}, TIMELINE[:2])) == expected


SECOND = SHOWN | {"attempt": 2, "status": "running", "percent": 7, "current": 7, "message": "3 w"}
SECOND["items"] = {"rows": 4, "files": 7}


@pytest.mark.parametrize(
    ("fate", "shown", "expected"),
    [
        (Fate.KEPT, SECOND, 0),
        (Fate.KEPT, SHOWN, 1),
        (Fate.KEPT, SECOND | {"items": {"rows": 16, "files": 7}}, 1),
        (Fate.KEPT, SHOWN | {"attempt": 2, "message": "3 w"}, 3),
        (Fate.OPEN, SECOND, 0),
        (Fate.OPEN, SHOWN, 0),
        (Fate.OPEN, SECOND | {"attempt": 3}, 1),
    ],
)
def test_attempt_counts_anew_once_it_has_begun(known: Ledger, fate: Fate, shown: dict[str, Any], expected: int) -> None:
    push = pushed(fate, 3, 4)
    push.job = Job("job-1", Shape.COUNTED, 100, attempt=2)
    push.event_id = None
    known.opened(push)
    least, most = known.least("job-1"), known.most("job-1", shown["attempt"])
    assert len(list(violations(least, most, shown, None))) == expected


def test_unanswered_counts_once_or_not_at_all(known: Ledger) -> None:
    known.opened(pushed(Fate.OPEN, 3, 10))
    for rows, expected in ((12, 0), (22, 0), (32, 1)):
        assert len(wrong(known, SHOWN | {"items": {"rows": rows, "files": 7}})) == expected


def test_late_counts_for_nothing_and_is_told(known: Ledger) -> None:
    known.opened(pushed(Fate.LATE, 3, 10))
    late = {"number": 5, "type": "late", "attempt": 1, "details": {"event": {"details": {"id": "w-3"}}}}
    assert wrong(known, SHOWN, [*TIMELINE, late]) == []
    assert len(wrong(known, SHOWN)) == 1
    assert len(wrong(known, SHOWN | {"items": {"rows": 22, "files": 7}}, [*TIMELINE, late])) == 1


def test_late_may_have_been_counted_by_a_store_that_went_away_before_it_answered(known: Ledger) -> None:
    outage = known.outage()
    push = pushed(Fate.OPEN, 3, 10, sent_at=time.monotonic())
    known.opened(push)
    known.answered(push, Fate.LATE)
    late = {"number": 5, "type": "late", "attempt": 1, "details": {"event": {"details": {"id": "w-3"}}}}
    for rows, expected in ((12, 0), (22, 0), (32, 1)):
        assert len(wrong(known, SHOWN | {"items": {"rows": rows, "files": 7}}, [*TIMELINE, late])) == expected
    outage.until = push.sent_at - 1
    assert len(wrong(known, SHOWN | {"items": {"rows": 22, "files": 7}}, [*TIMELINE, late])) == 1


def test_lost_disk_excuses_the_lines_that_were_sent_to_it_and_nothing_else() -> None:
    known = ledger(pushed(Fate.KEPT, 1, 5, sent_at=1.0), pushed(Fate.KEPT, 2, 7, sent_at=2.0))
    known.lines_lost(1.5).until = 2.5
    maxima, sums = {"current": 7, "files": 7}, {"rows": 12}
    assert known.least("job-1") == Bounds(maxima, sums, {"w-1"}, (2, "w"), is_all_told=False, pushes=2, attempt=1)


def test_answer_may_lack_something_during_a_disagreement_and_shortly_after(known: Ledger) -> None:
    began = time.monotonic()
    known.outage()
    assert not known.may_lack(began)
    disagreement = known.disagreement()
    assert known.may_lack(began)
    disagreement.until = began
    assert known.may_lack(began + BEHIND_SECONDS)
    assert not known.may_lack(began + BEHIND_SECONDS + 0.01)
