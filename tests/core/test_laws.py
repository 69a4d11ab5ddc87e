"""The laws of the merge rule, searched for counter-examples; and rules that break them, which must be found out."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from sidecar.core import ledger, merge, stages
from sidecar.core.document import document
from sidecar.core.job import Job, Reason, Registers, Update
from sidecar.core.merge import fork, join
from sidecar.core.view import view
from tests.core import oracle
from tests.core.strategies import (
    BURSTS,
    LONG_SPLITS,
    Burst,
    LongSplit,
    Order,
    Split,
    increment,
    orders,
    reports,
    splits,
)
from tests.core.updates import NOON

Join = Callable[[Job, Job], Job]
Push = Callable[[Job | None, Update, float], Job]

UNPROMISED = {
    *("version", "percent", "eta", "rate_per_second", "created_at", "started_at", "updated_at", "last_contact_at"),
    *("last_progress_at", "finished_at"),
}
"""What depends on when and in which order the server heard of it."""

STAGE_TIMES = {"started_at", "finished_at", "duration_seconds"}

law = settings(deadline=None, max_examples=120, print_blob=True)
long_law = settings(law, max_examples=40)
search = settings(law, max_examples=2_000, database=None, phases=[Phase.generate])
"""For wrong rules: it is enough to find them out, nobody needs the smallest example of how."""


def reported(job: Job) -> dict[str, Any]:
    """Return all that workers report of a job: as it is shown, and with the ranks that decide what comes later."""
    attempt, shown = job.attempt, document(view(job))
    order = stages.ordered(stages.plan_of(job), attempt.stages)
    name = stages.running(order, attempt)
    return {
        **{name: value for name, value in shown.items() if name not in UNPROMISED},
        "percent": stages.percent(order, name, stages.share(name, attempt) or 0.0, attempt),
        "stages": [{k: v for k, v in stage.items() if k not in STAGE_TIMES} for stage in shown["stages"]],
        "of stages": {
            name: (stage.first, stage.named, stage.current, stage.percent, stage.words, stage.ended)
            for name, stage in attempt.stages.items()
        },
        "of attempt": (attempt.words, attempt.percent, attempt.items, attempt.rewound, attempt.worked, attempt.newest),
        "of job": (job.facts, job.metadata, job.plan),
        "added": {counter: amount for counter, amount in attempt.added.items() if amount},
        "marks": {name: (known.absolutes, known.increments) for name, known in attempt.writers.items()},
    }


def push(job: Job | None, given: Update, now: float) -> Job:
    """Apply one update that is not too old."""
    outcome = merge.apply(job, given, now)
    assert outcome.reason is not Reason.TOO_OLD
    return outcome.job


def told(job: Job | None, updates: Iterable[Update], lineage: str = "one", push: Push = push) -> Job:
    """Return the job that a store of this lineage makes of the updates."""
    for index, each in enumerate(updates):
        job = fork(push(job and fork(job, lineage), each, NOON + index), lineage)
    assert job is not None
    return job


def sides_of(split: Split) -> tuple[Job | None, Job, Job]:
    """Return the job before the split and its two versions after it."""
    base = told(None, split.prefix, "p") if split.prefix else None
    left, right = (*split.left, *split.shared), (*split.right, *split.shared)
    return base, told(base, left, "a"), told(base, right, "b")


def check_order(order: Order, push: Push = push) -> None:
    """Any order, with any of the updates repeated, ends in the same job."""
    assert reported(told(None, order.shuffled, push=push)) == reported(told(None, order.updates, push=push))


def check_split(split: Split, join: Join = join) -> None:
    """What the sides of a split amount to is what one store would have made of all."""
    base, a, b = sides_of(split)
    assert reported(join(a, b)) == reported(told(base, split.order, "c"))


def check_algebra(a: Job, b: Job, join: Join = join) -> None:
    """Neither the order of the sides matters nor how often they are joined."""
    united = join(a, b)
    assert join(b, a) == united
    assert join(a, a) == a
    assert join(united, a) == join(united, b) == join(united, united) == united


def breaks(check: Callable[[], None]) -> bool:
    """Whether a law does not hold."""
    try:
        check()
    except AssertionError:
        return True
    return False


@given(orders())
@law
def test_any_order_and_any_repetition_end_in_the_same_job(order: Order) -> None:
    check_order(order)


@given(reports())
@law
def test_job_is_what_all_updates_together_say(updates: list[Update]) -> None:
    job = told(None, updates)
    shown = view(job)
    assert [stage.name for stage in shown.stages] == oracle.stages(updates)
    assert shown.stage == oracle.stage(updates)
    assert shown.total == oracle.total(updates, shown.stage or "")
    assert shown.current == oracle.current(updates, shown.stage or "")
    assert [stage.current for stage in shown.stages] == [oracle.current(updates, stage.name) for stage in shown.stages]
    assert dict(shown.items) == oracle.items(updates)
    assert shown.percent >= min(round(oracle.percent_stated(updates), 2), stages.UNFINISHED_CAP)
    assert values(job.attempt.words) == oracle.words(updates)
    assert values(job.facts) == oracle.newest(updates, lambda u: u.facts)
    assert values(job.metadata) == oracle.newest(updates, lambda u: u.metadata)


def values(registers: Registers) -> dict[str, Any]:
    return {name: register.value for name, register in registers.items()}


@given(splits())
@law
def test_sides_of_a_split_unite(split: Split) -> None:
    check_split(split)


@given(LONG_SPLITS)
@long_law
def test_sides_of_a_long_split_unite(long: LongSplit) -> None:
    check_split(long.split())


@given(splits() | LONG_SPLITS)
@law
def test_join_is_commutative_and_idempotent(split: Split | LongSplit) -> None:
    _, a, b = sides_of(split.split() if isinstance(split, LongSplit) else split)
    check_algebra(a, b)


@given(splits())
@law
def test_three_sides_unite_in_any_grouping(split: Split) -> None:
    base, a, b = sides_of(split)
    c = told(base, split.order[::2], "c")
    assert join(join(a, b), c) == join(a, join(b, c))


@given(LONG_SPLITS, BURSTS)
@long_law
def test_three_sides_of_a_long_split_unite_in_any_grouping(long: LongSplit, third: Burst) -> None:
    prefix = replace(long.prefix, count=long.prefix.count or 1)
    base, a, b = sides_of(replace(long, prefix=prefix, has_shared=False).split())
    c = told(base, third.updates(9_000_000), "c")
    assert reported(join(join(a, b), c)) == reported(join(a, join(b, c))) == reported(join(join(c, a), b))


@given(st.lists(st.tuples(BURSTS, BURSTS, st.sampled_from(("both", "left", "right", "none"))), min_size=1, max_size=4))
@long_law
def test_increments_count_once_however_often_stores_split_and_heal(rounds: list[tuple[Burst, Burst, str]]) -> None:
    """In each round either side takes a burst, then the sides are joined, and some of them take what came of it."""
    counted = {("", 0): 4}
    a = b = told(None, [increment("", 0, 4)], "p")
    for number, (*bursts, healed) in enumerate(rounds, start=1):
        shared = [increment("b", number * 10_000_000 + 9_000_000, 3)] if healed == "both" else []
        left, right = (
            [*own, *own[-3:], *shared, *shared]
            for own in (burst.updates(number * 10_000_000 + side * 1_000_000) for side, burst in enumerate(bursts))
        )
        counted |= {(u.writer, u.seq or 0): u.add_current or 0 for u in (*left, *right)}
        a, b = told(a, left, "a"), told(b, right, "b")
        united = join(a, b)
        assert united.attempt.added["current:solve"] == sum(counted.values())
        assert not any(merge.apply(united, again, NOON).applied for again in (*left, *right))
        a, b = (united if healed in (name, "both") else side for name, side in (("left", a), ("right", b)))


def newest_version_wins(a: Job, b: Job) -> Job:
    """Join as last-writer-wins: commutative, associative, idempotent, and it loses one side of every split."""
    return max(a, b, key=lambda side: (side.version, side.updated_at, repr(side)))


def larger_sum_wins(a: Job, b: Job) -> Job:
    """Join with sums in the place of receipts."""
    sums = {
        counter: max(a.attempt.added.get(counter, 0), b.attempt.added.get(counter, 0))
        for counter in a.attempt.added.keys() | b.attempt.added.keys()
    }
    united = join(a, b)
    return united._replace(attempt=united.attempt._replace(added=sums))


def both_sums_count(a: Job, b: Job) -> Job:
    """Join by adding up what either side has counted."""
    united = join(a, b)
    return united._replace(attempt=united.attempt._replace(added=ledger.total([a.attempt.added, b.attempt.added])))


def rewound_at_arrival(job: Job | None, given: Update, now: float) -> Job:
    """Push to a job whose rewind forgets what was counted so far, and opens no generation."""
    if job is None or not given.rewind:
        return push(job, given._replace(rewind=False), now)
    forgotten = {name: stage._replace(current=()) for name, stage in job.attempt.stages.items()}
    return push(job._replace(attempt=job.attempt._replace(stages=forgotten)), given._replace(rewind=False), now)


@given(splits())
@law
def test_algebra_alone_does_not_find_out_that_the_newest_version_wins(split: Split) -> None:
    _, a, b = sides_of(split)
    check_algebra(a, b, newest_version_wins)


any_size = pytest.mark.filterwarnings("ignore:Generating overly large repr")
wrong_joins = pytest.mark.parametrize("wrong", [newest_version_wins, larger_sum_wins, both_sums_count])


@any_size
@wrong_joins
def test_wrong_join_is_found_out(wrong: Join) -> None:
    found = find(splits(), lambda split: breaks(lambda: check_split(split, wrong)), settings=search)
    check_split(found)


@any_size
@wrong_joins
def test_wrong_join_is_found_out_by_long_splits(wrong: Join) -> None:
    found = find(LONG_SPLITS, lambda long: breaks(lambda: check_split(long.split(), wrong)), settings=search)
    check_split(found.split())


@any_size
def test_rewind_without_generations_is_found_out() -> None:
    found = find(orders(), lambda order: breaks(lambda: check_order(order, rewound_at_arrival)), settings=search)
    check_order(found)
