"""What every live store must do, whatever it is built on.

A suite for an implementation subclasses `LiveStoreContract` and provides the fixtures `store` and `replica`: two
instances, as of two processes, over the same data.
"""

import asyncio
from typing import Protocol

import pytest

from sidecar.core.errors import Conflict, InvalidUpdate
from sidecar.core.job import Job, Reason, Request, Status
from sidecar.core.merge import Outcome
from sidecar.core.view import View
from sidecar.ports import Feed, Gone, LiveStore, Order, Place, Query, Stored, Written
from tests.adapters.updates import NOON, ask, finish, push, update


class Store(LiveStore, Feed, Protocol):
    """What changes jobs also tells of changes."""


def anything(project: str) -> bool:
    """Let a reader see every project."""
    return bool(project)


def query(**fields: object) -> Query:
    """Return a query of a reader who may see everything."""
    return Query(may_see=anything, **fields)  # type: ignore[arg-type] # checked by the dataclass' own users


def ids(jobs: tuple[Stored, ...]) -> list[str]:
    """Return the ids in order."""
    return [stored.view.job.job_id for stored in jobs]


async def walk(store: Store, asked: Query) -> list[str]:
    """Return the ids on all pages."""
    seen: list[str] = []
    while True:
        page = await store.page(asked)
        seen += ids(page.jobs)
        if page.next is None:
            return seen
        asked = query(order=asked.order, limit=asked.limit, project=asked.project, after=page.next)


async def viewed(store: Store, job_id: str = "job-1") -> View:
    """Return how a job looks that must be there."""
    stored = await store.get(job_id)
    assert stored is not None
    return stored.view


def refuse(before: View | None) -> Outcome:
    """Take no change."""
    raise Conflict(f"no {before}")


def _id(change: Stored | Gone) -> str:
    return change.job_id if isinstance(change, Gone) else change.view.job.job_id


async def _push_on(store: Store, count: int) -> None:
    for number in range(count):
        await store.update("j", push(update("j", current=number)))


class LiveStoreContract:
    """The guarantees of `LiveStore`, one a test."""

    async def test_unknown_job_is_none(self, store: Store) -> None:
        assert await store.get("nobody") is None

    async def test_first_update_creates_the_job(self, store: Store) -> None:
        written = await store.update("job-1", push(update(project="uni", job_type="timetable")))
        stored = await store.get("job-1")
        assert stored is not None
        assert (stored.view.job.project, stored.view.job.job_type) == ("uni", "timetable")
        assert stored.cursor == written.cursor
        assert stored.view.job.version == written.outcome.job.version

    async def test_what_is_stored_is_what_was_decided(self, store: Store, replica: Store) -> None:
        first = update(seq=1, stage="load", current=3, items={"rows": 3}, metadata={"seed": 4}, facts={"unit": "rows"})
        await store.update("job-1", push(first))
        written = await store.update("job-1", push(update(seq=2, stage="load", add_items={"errors": 2})))
        assert (await viewed(replica)).items == written.outcome.view.items == {"errors": 2, "rows": 3}

    async def test_update_is_seen_by_the_other_replica_at_once(self, store: Store, replica: Store) -> None:
        for number in range(1, 6):
            await store.update("job-1", push(update(current=number)))
            assert (await viewed(replica)).current == number

    async def test_what_is_asked_for_at_once_is_answered_one_by_one(self, store: Store, replica: Store) -> None:
        for number in range(40):
            await store.update(f"job-{number}", push(update(f"job-{number}", project=f"p{number % 3}", current=number)))
        asked = [f"job-{number % 50}" for number in range(200)]
        for reader in (store, replica):
            found = await asyncio.gather(*map(reader.get, asked))
            shown = [None if stored is None else stored.view.current for stored in found]
            assert shown == [number % 50 if number % 50 < 40 else None for number in range(200)]

    async def test_while_many_read_each_sees_what_was_acknowledged_before(self, store: Store, replica: Store) -> None:
        await store.update("job-1", push(update(current=0)))
        done = asyncio.Event()

        async def read() -> None:
            while not done.is_set():
                await replica.get("job-1")

        async with asyncio.timeout(60), asyncio.TaskGroup() as readers:
            for _ in range(20):
                readers.create_task(read())
            for number in range(1, 31):
                await store.update("job-1", push(update(current=number)))
                assert (await viewed(replica)).current == number
            done.set()

    async def test_replicas_take_turns_on_one_job(self, store: Store, replica: Store) -> None:
        for seq in range(1, 11):
            await store.update("job-1", push(update(writer="a", seq=seq, add_current=1)))
            await replica.update("job-1", push(update(writer="b", seq=seq, add_current=1)))
        assert (await viewed(store)).current == 20

    async def test_concurrent_updates_of_one_job_all_count(self, store: Store, replica: Store) -> None:
        updates = [update(writer=f"w{n % 4}", seq=n, add_current=1) for n in range(60)]
        stores = (store, replica)
        await asyncio.gather(*(stores[n % 2].update("job-1", push(given)) for n, given in enumerate(updates)))
        assert (await viewed(store)).current == 60

    async def test_concurrent_creation_makes_one_job(self, store: Store, replica: Store) -> None:
        both = [s.update("job-1", push(update(seq=n, add_current=1))) for n, s in enumerate((store, replica))]
        await asyncio.gather(*both)
        assert (await viewed(store)).current == 2
        assert await walk(store, query()) == ["job-1"]

    async def test_repeated_update_is_a_duplicate_on_any_replica(self, store: Store, replica: Store) -> None:
        given = update(seq=1, add_current=5)
        await store.update("job-1", push(given))
        again = await replica.update("job-1", push(given))
        assert again.outcome.reason is Reason.DUPLICATE
        assert (await viewed(store)).current == 5

    async def test_duplicate_answers_with_the_present_numbers(self, store: Store, replica: Store) -> None:
        given = update(seq=1, current=5)
        await store.update("job-1", push(given))
        await replica.update("job-1", push(update(seq=2, current=9)))
        again = await store.update("job-1", push(given))
        assert again.outcome.view.current == 9

    async def test_revs_of_a_project_rise_by_one_a_change(self, store: Store, replica: Store) -> None:
        revs = []
        for number in range(6):
            written = await (store, replica)[number % 2].update(f"job-{number % 3}", push(update(f"job-{number % 3}")))
            revs.append(written.cursor.rev)
        assert revs == list(range(revs[0], revs[0] + 6))

    async def test_projects_count_their_revs_apart(self, store: Store) -> None:
        first = await store.update("a", push(update("a", project="one")))
        second = await store.update("b", push(update("b", project="two")))
        assert first.cursor.rev == second.cursor.rev == 1
        assert first.cursor.epoch != second.cursor.epoch

    async def test_refused_update_stores_nothing(self, store: Store) -> None:
        await store.update("job-1", push(update(seq=1, current=1)))
        with pytest.raises(InvalidUpdate):
            await store.update("job-1", push(update(seq=2, add_current=1)))
        assert (await viewed(store)).job.version == 1

    async def test_refused_first_update_creates_nothing(self, store: Store) -> None:
        with pytest.raises(Conflict):
            await store.update("job-1", refuse)
        assert await store.get("job-1") is None
        assert await walk(store, query()) == []

    async def test_refusal_is_decided_on_what_is_true_now(self, store: Store, replica: Store) -> None:
        await store.update("job-1", finish())
        await replica.update("job-1", push(update(attempt=2)))
        written = await store.update("job-1", ask(Request.CANCEL))
        assert written.outcome.job.attempt.cancel_requested

    async def test_job_of_another_project_is_a_conflict(self, store: Store, replica: Store) -> None:
        await store.update("job-1", push(update(project="one")))
        with pytest.raises(Conflict):
            await replica.update("job-1", push(update(project="two")))
        assert (await viewed(store)).job.project == "one"

    async def test_heartbeat_keeps_version_and_rev_and_moves_contact(self, store: Store) -> None:
        before = await store.update("job-1", push(update()))
        heartbeat = update()._replace(said={})
        after = await store.update("job-1", push(heartbeat, NOON + 60))
        stored = await store.get("job-1")
        assert stored is not None
        assert (stored.view.job.version, stored.cursor) == (before.outcome.job.version, before.cursor)
        assert stored.view.job.last_contact_at == after.outcome.job.last_contact_at == NOON + 60

    async def test_newest_jobs_come_first(self, store: Store) -> None:
        for number in range(3):
            await store.update(f"job-{number}", push(update(f"job-{number}"), NOON + number))
        assert ids((await store.page(query())).jobs) == ["job-2", "job-1", "job-0"]

    @pytest.mark.parametrize("order", list(Order))
    async def test_paging_repeats_none_and_misses_none(self, store: Store, order: Order) -> None:
        names = {f"job-{number:02}" for number in range(25)}
        for number, name in enumerate(sorted(names)):
            await store.update(name, push(update(name, project=f"p{number % 3}"), NOON + number // 4))
        seen = await walk(store, query(order=order, limit=4))
        assert len(seen) == len(names)
        assert set(seen) == names

    async def test_page_that_ends_with_the_last_job_has_no_next(self, store: Store) -> None:
        for number in range(4):
            await store.update(f"job-{number}", push(update(f"job-{number}")))
        page = await store.page(query(limit=4))
        assert (len(page.jobs), page.next) == (4, None)

    async def test_page_goes_on_after_a_job_that_is_gone(self, store: Store) -> None:
        for number in range(3):
            await store.update(f"job-{number}", push(update(f"job-{number}"), NOON + number))
        page = await store.page(query(order=Order.OLDEST_CREATED, after=Place(NOON + 0.5, "job-gone")))
        assert ids(page.jobs) == ["job-1", "job-2"]

    async def test_updated_order_follows_changes(self, store: Store) -> None:
        for number in range(3):
            await store.update(f"job-{number}", push(update(f"job-{number}"), NOON + number))
        await store.update("job-0", push(update("job-0"), NOON + 10))
        assert (await walk(store, query(order=Order.NEWEST_UPDATED)))[0] == "job-0"

    async def test_filters(self, store: Store) -> None:
        await store.update("a", push(update("a", project="one", job_type="x", facts={"labels": {"team": "red"}})))
        await store.update("b", push(update("b", project="one", job_type="y", facts={"parent_id": "a"}), NOON + 5))
        await store.update("c", finish("c", Status.FAILED))
        assert await walk_filtered(store, project="one") == {"a", "b"}
        assert await walk_filtered(store, job_type="x") == {"a"}
        assert await walk_filtered(store, active=True) == {"a", "b"}
        assert await walk_filtered(store, active=False) == {"c"}
        assert await walk_filtered(store, statuses=frozenset({"failed"})) == {"c"}
        assert await walk_filtered(store, statuses=frozenset({"running"})) == {"a", "b"}
        assert await walk_filtered(store, labels={"team": "red"}) == {"a"}
        assert await walk_filtered(store, labels={"team": "blue"}) == set()
        assert await walk_filtered(store, parent_id="a") == {"b"}
        assert await walk_filtered(store, updated_since=NOON + 1) == {"b"}
        assert await walk_filtered(store, stalled=True) == set()

    async def test_list_shows_only_projects_that_may_be_seen(self, store: Store) -> None:
        await store.update("a", push(update("a", project="one")))
        await store.update("b", push(update("b", project="two")))
        page = await store.page(Query(may_see=lambda project: project == "one"))
        assert ids(page.jobs) == ["a"]

    async def test_page_of_a_project_has_its_cursor(self, store: Store) -> None:
        written = await store.update("a", push(update("a", project="one")))
        assert (await store.page(query(project="one"))).cursor == written.cursor
        assert (await store.page(query())).cursor is None

    async def test_many_changes_are_applied_in_order_each_with_its_own_answer(self, store: Store) -> None:
        await store.update("old", push(update("old", writer="w", seq=1, add_current=1)))
        answers = await store.update_many(
            [
                ("new", push(update("new", writer="w", seq=1, add_current=1))),
                ("old", push(update("old", writer="w", seq=2, add_current=1))),
                ("new", push(update("new", writer="w", seq=2, add_current=1))),
                ("old", push(update("old", writer="w", seq=2, add_current=1))),
                ("new", push(update("new", project="another"))),
                ("elsewhere", push(update("elsewhere", project="another", current=5))),
            ]
        )
        told = [answer.outcome.reason if isinstance(answer, Written) else type(answer) for answer in answers]
        assert told == [Reason.APPLIED, Reason.APPLIED, Reason.APPLIED, Reason.DUPLICATE, Conflict, Reason.APPLIED]
        assert [(await viewed(store, each)).current for each in ("old", "new", "elsewhere")] == [2, 2, 5]
        assert (await viewed(store, "elsewhere")).job.project == "another"

    async def test_many_changes_of_two_processes_count_each_once(self, store: Store, replica: Store) -> None:
        mine, theirs = (
            [(f"j{n % 7}", push(update(f"j{n % 7}", writer=name, seq=n, add_current=1))) for n in range(700)]
            for name in ("a", "b")
        )
        answers = await asyncio.gather(store.update_many([*mine, *mine]), replica.update_many(theirs))
        assert all(isinstance(answer, Written) for part in answers for answer in part)
        assert [(await viewed(store, f"j{n}")).current for n in range(7)] == [200] * 7

    async def test_first_of_many_that_cannot_create_leaves_that_to_the_next(self, store: Store) -> None:
        refused, created = await store.update_many([("j", refuse), ("j", push(update("j", current=3)))])
        assert isinstance(refused, Conflict)
        assert isinstance(created, Written)
        assert (await viewed(store, "j")).current == 3

    async def test_many_changes_of_a_job_that_was_deleted_elsewhere_create_it_anew(
        self, store: Store, replica: Store
    ) -> None:
        await store.update("j", push(update("j", project="one", current=3)))
        assert await replica.delete("j", lambda _: None)
        answers = await store.update_many(
            [("j", push(update("j", project="two", writer="w", seq=n))) for n in range(3)]
        )
        assert [isinstance(answer, Written) for answer in answers] == [True] * 3
        assert (await viewed(replica, "j")).job.project == "two"

    async def test_no_changes_have_no_answers(self, store: Store) -> None:
        assert await store.update_many([]) == []

    async def test_what_changed_is_told_once_a_job_in_ascending_rev(self, store: Store) -> None:
        for job_id in ("a", "b", "c", "a"):
            await store.update(job_id, push(update(job_id, current=1)))
        everything = await store.since("default", 0, 100)
        assert [(each.cursor.rev, _id(each)) for each in everything.changes] == [(2, "b"), (3, "c"), (4, "a")]
        assert (everything.cursor.rev, everything.is_more) == (4, False)

    async def test_what_changed_is_read_in_parts(self, store: Store) -> None:
        for job_id in ("a", "b", "c"):
            await store.update(job_id, push(update(job_id, current=1)))
        first = await store.since("default", 0, 2)
        rest = await store.since("default", first.changes[-1].cursor.rev, 2)
        assert ([_id(each) for each in first.changes], first.is_more) == (["a", "b"], True)
        assert ([_id(each) for each in rest.changes], rest.is_more) == (["c"], False)

    async def test_what_changed_is_as_new_as_its_rev_says_while_it_changes(self, store: Store, replica: Store) -> None:
        pushing = asyncio.create_task(_push_on(store, 200))
        seen: dict[int, int] = {}
        while not pushing.done():
            for each in (await replica.since("default", 0, 10)).changes:
                assert isinstance(each, Stored)
                assert seen.setdefault(each.cursor.rev, each.view.job.version) == each.view.job.version
        assert [seen[rev] for rev in sorted(seen)] == sorted(seen.values())
        await pushing

    async def test_deleted_job_is_told_as_gone(self, store: Store) -> None:
        for job_id in ("a", "b"):
            await store.update(job_id, push(update(job_id)))
        await store.delete("a", lambda _: None)
        b, a = (await store.since("default", 0, 100)).changes
        assert (_id(b), isinstance(a, Gone), _id(a), a.cursor.rev) == ("b", True, "a", 3)

    async def test_project_that_nobody_knows_has_no_changes(self, store: Store) -> None:
        assert (await store.since("nobody", 0, 100)).changes == ()

    async def test_timeline_tells_every_event_once_and_in_order(self, store: Store, replica: Store) -> None:
        await store.update("other", push(update("other")))
        await store.update("job-1", push(update(stage="load")))
        await replica.update("job-1", push(update(stage="solve")))
        await store.update("job-1", finish())
        events = await store.timeline("job-1", 0, 100)
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert [event.type for event in events if event.type != "progress"] == [
            "created",
            "started",
            "stage_started",
            "stage_completed",
            "stage_started",
            "stage_completed",
            "completed",
        ]
        assert [event.number for event in await store.timeline("job-1", 2, 2)] == [3, 4]

    async def test_late_update_is_on_the_timeline_once(self, store: Store, replica: Store) -> None:
        await store.update("job-1", finish())
        late = update(seq=9, current=7)
        await store.update("job-1", push(late))
        await replica.update("job-1", push(late))
        assert [event.type for event in await store.timeline("job-1", 0, 100)].count("late") == 1

    async def test_deleted_job_is_gone_everywhere(self, store: Store, replica: Store) -> None:
        await store.update("job-1", push(update()))
        assert (await viewed(replica)).job.version == 1
        assert await store.delete("job-1", lambda _: None)
        assert await replica.get("job-1") is None
        assert await walk(replica, query()) == []
        assert not await replica.delete("job-1", lambda _: None)

    async def test_deletion_may_be_refused(self, store: Store) -> None:
        def refuse(job: Job) -> None:
            raise Conflict(job.job_id)

        await store.update("job-1", push(update()))
        with pytest.raises(Conflict, match="job-1"):
            await store.delete("job-1", refuse)
        assert await store.get("job-1") is not None

    async def test_deleted_id_begins_anew_even_elsewhere(self, store: Store, replica: Store) -> None:
        await store.update("job-1", push(update(project="one", current=9)))
        await replica.get("job-1")
        await store.delete("job-1", lambda _: None)
        await store.update("job-1", push(update(project="two", current=1)))
        await replica.update("job-1", push(update(current=2)))
        stored = await replica.get("job-1")
        assert stored is not None
        assert (stored.view.job.project, stored.view.current) == ("two", 2)


async def walk_filtered(store: Store, **fields: object) -> set[str]:
    """Return the ids on the one page that these filters give."""
    return set(ids((await store.page(query(**fields))).jobs))
