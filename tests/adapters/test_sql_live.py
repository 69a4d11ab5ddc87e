"""The store that serves while Redis is away passes the suite of every live store, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update as sql_update

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.live import SqlLive
from sidecar.adapters.sql.logbook import SqlLogbook
from sidecar.adapters.sql.tables import JOBS
from sidecar.background.watchdog import Watch
from sidecar.core.job import Stall, StallReason, Status
from sidecar.core.merge import Outcome, stall
from sidecar.core.stalls import Settling
from sidecar.core.view import View
from sidecar.ports import ChangeJob, Stored
from tests.adapters.contract_live_store import LiveStoreContract
from tests.adapters.updates import NOON, finish, push, update


@pytest.fixture
def store(database: Database) -> SqlLive:
    """Return a live store."""
    return SqlLive(database, lambda: NOON)


@pytest.fixture
async def replica(database_url: str, database: Database) -> AsyncIterator[SqlLive]:
    """Return a second live store over the same data, as of another process."""
    del database  # opened first
    other = Database(database_url, timeout_seconds=5.0)
    yield SqlLive(other, lambda: NOON)
    await other.close()


class TestSqlLive(LiveStoreContract):
    """SQL does what every live store must do."""


def stuck(reason: StallReason | None, since: float, seconds: float = 60.0) -> ChangeJob:
    """Return the change that says that a job is stuck since then, or that it is not."""

    def change(before: View | None) -> Outcome:
        assert before is not None
        return stall(before, None if reason is None else Stall(reason, since, seconds), since + seconds)

    return change


async def test_census_has_stuck_jobs_by_reason_and_first_those_that_are_for_longest(store: SqlLive) -> None:
    for number, name in enumerate(["new", "late", "early", "slow", "well", "done"]):
        await store.update(name, push(update(name, current=1, job_type="import"), NOON + 10 * number))
    await store.update("new", push(update("new", current=2), NOON + 500))
    await store.update("slow", push(update("slow", words={"message": "still here"}), NOON + 600))  # no progress
    await store.update("late", stuck(StallReason.SILENT, NOON + 200))
    await store.update("early", stuck(StallReason.NO_PROGRESS, NOON + 100, 300.0))
    for name in ("well", "done"):
        await store.update(name, stuck(StallReason.SILENT, NOON))
    await store.update("well", stuck(None, NOON))
    await store.update("done", finish("done", Status.FAILED, NOON + 900))
    counts = await store.counts()
    assert counts.stalled == {("import", "silent"): 1, ("import", "no_progress"): 1}
    assert counts.jobs == {("import", "running"): 5}
    found = [shown.job.job_id for shown in await store.outstanding(10)]
    assert found == ["early", "late", "slow", "well", "new"]
    assert [shown.job.job_id for shown in await store.outstanding(3)] == found[:3]
    assert [shown.job.job_id for shown in await store.outstanding(1)] == found[:1]


async def test_flood_of_jobs_that_nobody_began_hides_none_that_runs_and_is_stuck(store: SqlLive) -> None:
    for number in range(20):
        name = f"waits-{number:02}"
        await store.update(name, push(update(name, words={"status": "queued"}), NOON))
        await store.update(name, stuck(StallReason.NOT_STARTED, NOON + number))
    for number, reason in enumerate((StallReason.SILENT, StallReason.NO_PROGRESS, StallReason.CANCEL_STUCK)):
        await store.update(reason, push(update(reason, current=1), NOON + 500))
        await store.update(reason, stuck(reason, NOON + 1_000 + number))
    found = [shown.job.job_id for shown in await store.outstanding(5)]
    assert found == ["silent", "no_progress", "cancel_stuck", "waits-00", "waits-01"]


async def test_one_job_that_cannot_be_read_hides_no_other_from_the_census(store: SqlLive, database: Database) -> None:
    for name in ("newer", "damaged", "plain"):
        await store.update(name, push(update(name, current=1)))
    async with database.writing() as connection:
        for name, document in (("newer", b'{"format": 99}\n\n'), ("damaged", b"{")):
            await connection.execute(sql_update(JOBS).where(JOBS.c.job_id == name).values(document=document))
    assert [shown.job.job_id for shown in await store.outstanding(9)] == ["plain"]


async def test_census_knows_what_settles(store: SqlLive, database: Database) -> None:
    assert (await store.counts()).settling == Settling()
    await SqlLogbook(database).write(Watch(NOON, Settling(NOON, NOON + 60)))
    assert (await store.counts()).settling == Settling(NOON, NOON + 60)


async def test_jobs_of_a_newer_format_are_passed_over_by_whoever_follows_a_project(
    store: SqlLive, database: Database
) -> None:
    names = [f"job-{number}" for number in range(5)]
    for number, name in enumerate(names):
        await store.update(name, push(update(name, current=1), NOON + number))
    newer = sql_update(JOBS).where(JOBS.c.job_id.in_(names[1:4])).values(document=b'{"format":99}')
    async with database.writing() as connection:
        await connection.execute(newer)
    revs, rev, is_more = list[tuple[str, int]](), 0, True
    seen: list[str] = []
    while is_more:
        missed = await store.since("default", rev, 1)
        seen += [change.view.job.job_id for change in missed.changes if isinstance(change, Stored)]
        revs += [each for each in missed.unread if each not in revs]
        rev, is_more = missed.changes[-1].cursor.rev, missed.is_more
    assert seen == ["job-0", "job-4"]
    assert revs == [(f"job-{number}", number + 1) for number in (1, 2, 3)]
