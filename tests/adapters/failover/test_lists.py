"""Lists of live and past jobs: one, in any order, whatever leaves Redis meanwhile."""

import pytest

from sidecar.adapters.failover.fallback import FallbackStore
from sidecar.core.view import View
from sidecar.ports import Order, Query
from sidecar.storage import Storage
from tests.adapters.contract_live_store import ids, query
from tests.adapters.failover.conftest import HOUR, left_redis, swept
from tests.adapters.updates import NOON, push, update
from tests.clock import Clock

FILTERS: dict[str, dict[str, object]] = {
    "all": {},
    "finished": {"active": False},
    "unfinished": {"active": True},
    "completed": {"statuses": frozenset({"completed"})},
    "failed or running": {"statuses": frozenset({"failed", "running"})},
    "of a project": {"project": "p1"},
    "of a type": {"job_type": "t1", "active": False},
    "late ones": {"updated_since": NOON + 20},
    "of some projects": {"may_see": lambda project: project != "p0"},
}


async def crowd(storage: Storage, clock: Clock) -> dict[str, View]:
    """Make jobs of every kind, many of them at the same moment, and return how each looks.

    A third has left Redis, a third has finished and is still there, the rest is unfinished; some have changed since
    they were recorded.
    """
    store, jobs = storage.surface("ingest"), dict[str, View]()

    async def take(job_id: str, given_at: float, **said: object) -> None:
        number = int(job_id.partition("-")[2])
        said |= {"project": f"p{number % 3}", "job_type": f"t{number % 2}"}
        written = await store.update(job_id, push(update(job_id, **said), given_at))
        jobs[job_id] = written.outcome.view

    names = [f"job-{number:02}" for number in range(36)]
    for number, name in enumerate(names):
        await take(name, NOON + number * 7 % 36 // 3)
    for name in names[::3]:
        await take(name, NOON + 20 + int(name[-2:]) // 6, words={"status": "completed"})
    clock.now = NOON + 2 * HOUR
    await swept(storage)
    for name in names[1::3]:
        await take(name, NOON + 15 + int(name[-2:]) // 6, words={"status": "failed"})
    await storage.recorder.record_all()
    for name in names[2::6]:
        await take(name, NOON + 30 + int(name[-2:]) // 12, current=5)
    for name in names[4::9]:
        await take(name, NOON + 40, attempt=2)
    held = {name for name in names if await storage.stores.live.get(name) is not None}
    assert held == set(names) - set(names[::3])
    return jobs


def asked(order: Order, limit: int, fields: dict[str, object]) -> Query:
    return query(order=order, limit=limit, **fields) if "may_see" not in fields else _seen(order, limit, fields)


def _seen(order: Order, limit: int, fields: dict[str, object]) -> Query:
    return Query(order=order, limit=limit, **fields)  # type: ignore[arg-type] # checked by the dataclass' own users


def plainly(jobs: dict[str, View], wanted: Query) -> list[str]:
    """Return the ids that a query asks for, in its order."""

    def is_wanted(shown: View) -> bool:
        job = shown.job
        return (
            wanted.may_see(job.project)
            and wanted.project in {None, job.project}
            and wanted.job_type in {None, job.job_type}
            and (wanted.active is None or wanted.active is not shown.is_finished)
            and (not wanted.statuses or shown.status in wanted.statuses)
            and (wanted.updated_since is None or job.updated_at >= wanted.updated_since)
        )

    by_update = wanted.order in {Order.NEWEST_UPDATED, Order.OLDEST_UPDATED}
    return [
        job.job_id
        for job in sorted(
            (shown.job for shown in jobs.values() if is_wanted(shown)),
            key=lambda job: (job.updated_at if by_update else job.created_at, job.job_id),
            reverse=wanted.order in {Order.NEWEST_CREATED, Order.NEWEST_UPDATED},
        )
    ]


async def walk(store: FallbackStore, wanted: Query) -> list[str]:
    """Return the ids on all pages."""
    seen: list[str] = []
    while True:
        page = await store.page(wanted)
        assert len(page.jobs) <= wanted.limit
        seen += ids(page.jobs)
        if page.next is None:
            return seen
        assert page.next != wanted.after
        wanted = Query(**{name: getattr(wanted, name) for name in wanted.__slots__} | {"after": page.next})


@pytest.mark.parametrize("order", list(Order))
async def test_lists_of_live_and_past_jobs_are_one_in_any_order_and_pages_of_any_size(
    storage: Storage, store: FallbackStore, clock: Clock, order: Order
) -> None:
    jobs = await crowd(storage, clock)
    for name, fields in FILTERS.items():
        for limit in (1, 2, 5, 100):
            wanted = asked(order, limit, fields)
            assert await walk(store, wanted) == plainly(jobs, wanted), (name, limit)


async def test_list_shows_each_job_as_it_is_now(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    jobs = await crowd(storage, clock)
    page = await store.page(query(limit=1_000))
    assert {each.view.job.job_id: (each.view.status, each.view.job.version) for each in page.jobs} == {
        job_id: (shown.status, shown.job.version) for job_id, shown in jobs.items()
    }


@pytest.mark.parametrize("order", list(Order))
async def test_jobs_that_leave_redis_while_they_are_paged_are_neither_missed_nor_repeated(
    storage: Storage, store: FallbackStore, clock: Clock, order: Order
) -> None:
    jobs = await crowd(storage, clock)
    wanted, seen = query(order=order, limit=4), list[str]()
    while True:
        page = await store.page(wanted)
        seen += ids(page.jobs)
        if page.next is None:
            break
        clock.now += HOUR / 4
        await swept(storage)
        wanted = query(order=order, limit=4, after=page.next)
    assert seen == plainly(jobs, wanted)


async def test_page_that_ends_with_the_last_job_has_no_next(
    storage: Storage, store: FallbackStore, clock: Clock
) -> None:
    await left_redis(storage, clock)
    await store.update("job-2", push(update("job-2"), clock.now))
    assert (await store.page(query(limit=2))).next is None
    assert (await store.page(query(limit=1))).next is not None


async def test_list_of_a_project_tells_where_redis_stands(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    written = await store.update("job-2", push(update("job-2"), clock.now))
    assert (await store.page(query(project="default"))).cursor == written.cursor


async def test_readers_who_may_see_nothing_see_nothing(storage: Storage, store: FallbackStore, clock: Clock) -> None:
    await left_redis(storage, clock)
    assert (await store.page(Query(may_see=lambda _: False))).jobs == ()
