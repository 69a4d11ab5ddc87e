"""What is read of the past: timelines, attempts, and statistics against the same worked out in plain Python."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import update as sql_update

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.adapters.sql.rows import job_row
from sidecar.adapters.sql.tables import JOBS
from sidecar.adapters.sql.writes import append_lines, lock_projects, store_jobs
from sidecar.core import merge
from sidecar.core.job import Event, Job, PlannedStage
from sidecar.core.usual import Run as UsualRun
from sidecar.core.view import View, view
from sidecar.history import Durations, StatsQuery, TypeStats
from tests.adapters.updates import NOON, update

PLAN = (PlannedStage("load"), PlannedStage("solve"))


@dataclass(frozen=True)
class Run:
    """A job as it went: `load` took `load_seconds`, `solve` what was left of `seconds`."""

    number: int
    project: str
    job_type: str
    status: str
    began_at: float
    load_seconds: float
    seconds: float

    @property
    def is_completed(self) -> bool:
        return self.status == "completed"

    @property
    def is_finished(self) -> bool:
        return self.status != "running"

    @property
    def finished_at(self) -> float:
        return self.began_at + self.seconds


@pytest.fixture
def history(database: Database) -> SqlHistory:
    return SqlHistory(database)


def anything(project: str) -> bool:
    return bool(project)


def viewed(run: Run) -> View:
    """Return how the job of a run looks at its end."""
    job: Job | None = None
    name = f"job-{run.number}"
    reports = [
        (update(name, seq=1, project=run.project, job_type=run.job_type, plan=PLAN, stage="load"), 0.0),
        (update(name, seq=2, stage="solve"), run.load_seconds),
        (update(name, seq=3, words={"status": run.status}), run.seconds),
    ]
    for given, after in reports:
        job = merge.apply(job, given, run.began_at + after).job
    assert job is not None
    return view(job)


async def keep(database: Database, *shown: View) -> None:
    """Store jobs as whoever writes does."""
    async with database.writing() as connection:
        orders = await lock_projects(connection, [each.job.project for each in shown])
        rows = [(each, job_row(each, orders[each.job.project].next(), is_ahead=False)) for each in shown]
        await store_jobs(connection, rows)


async def tell(database: Database, *events: Event, job_id: str = "job-1") -> None:
    async with database.writing() as connection:
        await append_lines(connection, [(job_id, event) for event in events])


def event(number: int, kind: str = "progress", **details: object) -> Event:
    return Event(f"e{number}", number, kind, NOON + number, 1, details)


def runs_of(seed: int, count: int = 120) -> list[Run]:
    """Return runs of every kind."""
    dice = random.Random(seed)  # noqa: S311 - numbers for a test
    return [
        Run(
            number,
            dice.choice(("one", "two", "three")),
            dice.choice(("x", "x", "y", "z")),
            dice.choice(("completed", "completed", "failed", "cancelled", "running")),
            NOON + dice.randrange(1_000),
            load := round(dice.expovariate(1 / 30), 3),
            load + round(dice.expovariate(1 / 60), 3),
        )
        for number in range(count)
    ]


def expected(runs: Sequence[Run], counts: Callable[[Run], bool]) -> list[TypeStats]:
    """Return the statistics of the runs that count."""
    finished = [run for run in runs if run.is_finished and counts(run)]
    answer = []
    for kind in sorted({run.job_type for run in finished}):
        mine = [run for run in finished if run.job_type == kind]
        completed = [run for run in mine if run.is_completed]
        stages = {
            "load": [run.load_seconds for run in mine],
            "solve": [run.seconds - run.load_seconds for run in completed],
        }
        answer.append(
            TypeStats(
                kind,
                len(mine),
                len(completed),
                durations([run.seconds for run in completed]),
                {name: told for name, seconds in stages.items() if (told := durations(seconds)) is not None},
            )
        )
    return answer


def durations(seconds: Sequence[float]) -> Durations | None:
    """Return percentiles by the nearest rank: the smallest value that so many percent do not exceed."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Durations(
        len(ordered), *(round(ordered[math.ceil(percent * len(ordered) / 100) - 1], 3) for percent in (50, 95, 99))
    )


def near(told: list[TypeStats]) -> list[object]:
    """Return statistics to be compared to the millisecond, as times of day are no exact numbers."""
    return [
        (
            each.job_type,
            (each.finished, each.completed),
            _near(each.duration),
            {name: _near(known) for name, known in sorted(each.stages.items())},
        )
        for each in told
    ]


def _near(known: Durations | None) -> object:
    if known is None:
        return None
    return known.count, pytest.approx([known.p50, known.p95, known.p99], abs=0.0021)


def numbers(told: list[TypeStats]) -> list[object]:
    """Return the same without tolerance."""
    return [
        (
            each.job_type,
            (each.finished, each.completed),
            _numbers(each.duration),
            {name: _numbers(known) for name, known in sorted(each.stages.items())},
        )
        for each in told
    ]


def _numbers(known: Durations | None) -> object:
    return None if known is None else (known.count, [known.p50, known.p95, known.p99])


async def test_job_that_nobody_knows_has_no_past(history: SqlHistory) -> None:
    assert await history.timeline("nobody", 0, 10) == []
    assert await history.attempts("nobody") == []
    assert await history.recorded("nobody", ["e1"]) == (0, set())


async def test_timeline_is_read_page_by_page(database: Database, history: SqlHistory) -> None:
    events = [event(number) for number in range(1, 8)]
    await tell(database, *events)
    await tell(database, event(1), job_id="job-2")
    pages = [await history.timeline("job-1", after, 3) for after in (0, 3, 6, 7)]
    assert pages == [events[:3], events[3:6], events[6:], []]


async def test_timeline_has_gaps_where_numbers_have(database: Database, history: SqlHistory) -> None:
    await tell(database, event(2), event(9), event(40))
    assert [each.number for each in await history.timeline("job-1", 2, 1)] == [9]


async def test_event_comes_back_as_it_was(database: Database, history: SqlHistory) -> None:
    told = Event("1/w/7:event", 1, "warning", NOON + 0.123456, 3, {"text": "a\0b\ud800 ü", "n": [1, 2.5, None, True]})
    await tell(database, told)
    assert await history.timeline("job-1", 0, 10) == [told]


async def test_it_is_known_which_events_are_recorded(database: Database, history: SqlHistory) -> None:
    await tell(database, event(1), event(2), event(5))
    await tell(database, event(9), job_id="job-2")
    assert await history.recorded("job-1", ["e1", "e5", "e9", "e3"]) == (5, {"e1", "e5"})
    assert await history.recorded("job-1", []) == (5, set())


async def test_ten_thousand_events_may_be_asked_for_at_once(database: Database, history: SqlHistory) -> None:
    await tell(database, event(1))
    assert await history.recorded("job-1", [f"e{number}" for number in range(10_000)]) == (1, {"e1"})


async def test_attempts_come_in_their_order(database: Database, history: SqlHistory) -> None:
    job = merge.apply(None, update(seq=1, percent=20), NOON).job
    shown = [view(job)]
    for attempt in (2, 10, 11):
        job = merge.apply(job, update(seq=1, attempt=attempt, percent=attempt), NOON + attempt).job
        shown.append(view(job))
    for each in reversed(shown):
        await keep(database, each)
    assert [(each["attempt"], each["percent"]) for each in await history.attempts("job-1")] == [
        (1, 20),
        (2, 2),
        (10, 10),
        (11, 11),
    ]


async def test_no_finished_job_has_no_statistics(database: Database, history: SqlHistory) -> None:
    assert await history.stats(anything, StatsQuery()) == []
    await keep(database, viewed(Run(1, "one", "x", "running", NOON, 1, 2)))
    assert await history.stats(anything, StatsQuery()) == []


async def test_one_job_is_all_of_its_percentiles(database: Database, history: SqlHistory) -> None:
    await keep(database, viewed(Run(1, "one", "x", "completed", NOON, 2, 7)))
    (told,) = await history.stats(anything, StatsQuery())
    assert told == TypeStats(
        "x", 1, 1, Durations(1, 7, 7, 7), {"load": Durations(1, 2, 2, 2), "solve": Durations(1, 5, 5, 5)}
    )


async def test_type_of_which_none_was_completed_has_no_duration(database: Database, history: SqlHistory) -> None:
    await keep(database, viewed(Run(1, "one", "x", "failed", NOON, 2, 7)))
    (told,) = await history.stats(anything, StatsQuery())
    assert (told.finished, told.completed, told.duration) == (1, 0, None)


@pytest.mark.parametrize("count", [2, 19, 20, 21, 99, 100, 101])
async def test_percentiles_are_those_of_the_nearest_rank(database: Database, history: SqlHistory, count: int) -> None:
    await keep(database, *(viewed(Run(n, "one", "x", "completed", NOON, 1, 10 * n + 10)) for n in range(count)))
    (told,) = await history.stats(anything, StatsQuery())
    assert told.duration == durations([10 * n + 10 for n in range(count)])


@pytest.mark.parametrize("seed", range(4))
async def test_statistics_are_what_plain_python_makes_of_all_runs(
    database: Database, history: SqlHistory, seed: int
) -> None:
    runs = runs_of(seed, count=150)
    await keep(database, *(viewed(run) for run in runs if run.is_finished))
    told = await history.stats(anything, StatsQuery())
    assert numbers(told) == near(expected(runs, lambda _: True))


async def test_statistics_count_what_is_asked_for(database: Database, history: SqlHistory) -> None:
    runs = [run for run in runs_of(7) if run.is_finished]
    await keep(database, *map(viewed, runs))
    told = await history.stats(anything, StatsQuery(project="one"))
    assert numbers(told) == near(expected(runs, lambda run: run.project == "one"))
    told = await history.stats(anything, StatsQuery(job_type="y"))
    assert numbers(told) == near(expected(runs, lambda run: run.job_type == "y"))
    told = await history.stats(anything, StatsQuery(project="two", job_type="x"))
    assert numbers(told) == near(expected(runs, lambda run: (run.project, run.job_type) == ("two", "x")))
    assert await history.stats(anything, StatsQuery(project="nowhere")) == []


async def test_earliest_end_counts_itself(database: Database, history: SqlHistory) -> None:
    await keep(database, *(viewed(Run(n, "one", "x", "completed", NOON + n, 1, 2)) for n in range(5)))
    (told,) = await history.stats(anything, StatsQuery(since=NOON + 4))
    assert (told.finished, told.completed) == (3, 3)


async def test_statistics_tell_nothing_of_projects_that_may_not_be_seen(
    database: Database, history: SqlHistory
) -> None:
    runs = [run for run in runs_of(8) if run.is_finished]
    await keep(database, *map(viewed, runs))
    told = await history.stats(lambda project: project != "two", StatsQuery())
    assert numbers(told) == near(expected(runs, lambda run: run.project != "two"))
    assert await history.stats(lambda _: False, StatsQuery()) == []


async def test_stages_of_jobs_that_still_run_do_not_count_among_the_finished(
    database: Database, history: SqlHistory
) -> None:
    await keep(
        database,
        viewed(Run(1, "one", "x", "completed", NOON, 2, 7)),
        viewed(Run(2, "one", "x", "running", NOON, 90, 99)),
    )
    (told,) = await history.stats(anything, StatsQuery())
    assert told.stages["load"] == Durations(1, 2, 2, 2)


async def test_job_that_runs_again_no_longer_counts_as_finished(database: Database, history: SqlHistory) -> None:
    done = viewed(Run(1, "one", "x", "failed", NOON, 2, 7))
    await keep(database, done)
    await keep(database, merge.apply(done.job, update("job-1", attempt=2, stage="load"), NOON + 60).view)
    assert await history.stats(anything, StatsQuery()) == []


async def test_lost_job_counts_as_finished_and_not_as_completed(database: Database, history: SqlHistory) -> None:
    running = viewed(Run(1, "one", "x", "running", NOON, 2, 7))
    await keep(database, merge.lose(running.job, NOON + 1_000).view)
    (told,) = await history.stats(anything, StatsQuery())
    assert (told.finished, told.completed, told.duration) == (1, 0, None)


async def test_how_jobs_went_is_told_by_the_last_that_completed(database: Database, history: SqlHistory) -> None:
    runs = runs_of(7)
    await keep(database, *map(viewed, runs))
    for kind in ("x", "y", "z"):
        mine = sorted((r for r in runs if r.job_type == kind and r.is_completed), key=lambda run: -run.finished_at)[:12]
        told = sorted(await history.recent(kind, 12), key=lambda run: run.seconds)
        mine.sort(key=lambda run: run.seconds)
        assert [run.seconds for run in told] == pytest.approx([run.seconds for run in mine], abs=0.0021)
        assert [list(run.stages) for run in told] == [["load", "solve"]] * len(mine)
        loads = [run.load_seconds for run in mine]
        assert [run.stages["load"] for run in told] == pytest.approx(loads, abs=0.0021)
    assert await history.recent("nobody", 12) == []


async def test_of_several_attempts_the_last_one_tells_how_a_job_went(database: Database, history: SqlHistory) -> None:
    job = merge.apply(None, update(seq=1, plan=PLAN, stage="load"), NOON).job
    job = merge.apply(job, update(seq=2, stage="solve"), NOON + 100).job
    first = merge.apply(job, update(seq=3, words={"status": "failed"}), NOON + 300)
    job = merge.apply(first.job, update(seq=1, attempt=2, stage="solve", percent=1), NOON + 400).job
    job = merge.apply(job, update(seq=2, percent=60), NOON + 404).job
    second = merge.apply(job, update(seq=3, words={"status": "completed"}), NOON + 410)
    await keep(database, first.view)
    await keep(database, second.view)
    assert await history.recent("default", 5) == [UsualRun(10.0, {"solve": 10.0}, 4.0)]


async def test_what_a_job_waited_is_no_part_of_how_long_it_took(database: Database, history: SqlHistory) -> None:
    job = merge.apply(None, update(seq=1, percent=1), NOON).job
    job = merge.apply(job, update(seq=2, percent=60), NOON + 4).job
    job = merge.apply(job, update(seq=3, words={"status": "paused"}), NOON + 5).job
    job = merge.apply(job, update(seq=4, words={"status": "running"}), NOON + 30_005).job
    done = merge.apply(job, update(seq=5, words={"status": "completed"}), NOON + 30_010)
    await keep(database, done.view)
    assert await history.recent("default", 5) == [UsualRun(10.0, {}, None)]


async def test_last_success_and_oldest_in_the_queue_are_told_by_type(database: Database, history: SqlHistory) -> None:
    runs = runs_of(8)
    waiting = [
        view(merge.apply(None, update(f"q{n}", job_type="x", words={"status": "queued"}), NOON + n).job) for n in (5, 3)
    ]
    await keep(database, *map(viewed, runs), *waiting)
    completed = {run.job_type: 0.0 for run in runs if run.is_completed}
    for run in runs:
        if run.is_completed:
            completed[run.job_type] = max(completed[run.job_type], run.finished_at)
    assert await history.last_successes() == pytest.approx(completed)
    assert await history.oldest_queued() == {"x": NOON + 3}


async def test_next_attempt_waits_since_it_was_opened_and_a_row_of_an_older_release_since_it_was_made(
    database: Database, history: SqlHistory
) -> None:
    job = merge.apply(None, update("again", seq=1, job_type="x", current=1), NOON).job
    job = merge.apply(job, update("again", seq=2, words={"status": "failed"}), NOON + 100).job
    job = merge.apply(job, update("again", seq=1, attempt=2, words={"status": "queued"}), NOON + 50_000).job
    await keep(database, view(job))
    assert await history.oldest_queued() == {"x": NOON + 50_000}
    async with database.writing() as connection:
        await connection.execute(sql_update(JOBS).values(opened_at=None))
    assert await history.oldest_queued() == {"x": NOON}
