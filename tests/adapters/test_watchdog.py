"""The watchdog over a real Valkey, with a clock of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from math import inf
from pathlib import Path

import pytest
from typing_extensions import override

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.agenda import RedisAgenda
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.lease import RedisLease
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.redis.logbook import RedisLogbook
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.logbook import SqlLogbook
from sidecar.background.ahead import joining
from sidecar.background.watchdog import KEPT_EVERY_SECONDS, SWEEP_SECONDS, Watchdog
from sidecar.core.errors import HistoryUnavailable
from sidecar.core.job import Status
from sidecar.core.stalls import Limits, due_at
from sidecar.tasks import ended
from tests.adapters.contract_live_store import ids, query
from tests.adapters.updates import NOON, finish, push, update

LIMITS = Limits(silent_seconds=300.0, no_progress_seconds=600.0)
OF_HOURS = Limits(silent_seconds=7_200.0, no_progress_seconds=7_200.0)
INTERVAL = 5.0


class Deployment:
    """A watchdog over one Valkey; `now` is what its clock says."""

    def __init__(self, link: RedisLink, database: Database) -> None:
        self.now = NOON
        self.limits = LIMITS
        self.link = link
        self.live = RedisLive(link, self.clock, due_at=lambda shown: due_at(shown, self.limits))
        self.agenda = RedisAgenda(link)
        self.database = database
        self.watchdog = self.another()

    def clock(self) -> float:
        return self.now

    def another(self) -> Watchdog:
        """Return the watchdog of another sidecar."""
        lease = RedisLease(self.link, "watchdog")
        logbooks = (RedisLogbook(self.link), SqlLogbook(self.database))
        return Watchdog(self.agenda, *logbooks, self.live, lease, lambda _: self.limits, self.clock, INTERVAL)

    async def push(self, job_id: str, **fields: object) -> None:
        """Report progress now."""
        await self.live.update(job_id, push(update(job_id, **fields), self.now))

    async def evaluate(self, *moments: float, watchdog: Watchdog | None = None) -> None:
        """Evaluate at these moments, seconds after the beginning."""
        for moment in moments:
            self.now = NOON + moment
            await (watchdog or self.watchdog).evaluate()

    async def watch(self, until: float, since: float = 0.0) -> None:
        """Evaluate all the time, as in production."""
        moment = since
        while moment < until:
            moment += INTERVAL
            await self.evaluate(moment)

    async def reason(self, job_id: str = "j") -> str | None:
        """Return what a job is stuck at."""
        stored = await self.live.get(job_id)
        assert stored is not None
        stall = stored.view.job.attempt.stall
        return None if stall is None else stall.reason.value

    async def stalled(self) -> set[str]:
        """Return the ids of the jobs that are listed as stalled."""
        return set(ids((await self.live.page(query(stalled=True))).jobs))

    async def empty_redis(self) -> None:
        """Let Redis come back without its data, and fill it from what is known elsewhere."""
        jobs = [each.view.job for each in (await self.live.page(query())).jobs]
        await self.link.commands.flushall()
        self.live.memory.forget_all()
        await self.live.update_many([(job.job_id, joining(job, self.clock)) for job in jobs])


@pytest.fixture
async def place(link: RedisLink, tmp_path: Path) -> AsyncIterator[Deployment]:
    database = Database(f"sqlite:///{tmp_path}/history.db", timeout_seconds=5.0)
    await database.open()
    yield Deployment(link, database)
    await database.close()


async def test_job_counts_as_stalled_when_it_looks_so_twice_in_a_row(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.evaluate(295)
    await place.evaluate(300)
    assert await place.reason() is None
    await place.evaluate(305)
    assert await place.reason() == "silent"
    assert await place.stalled() == {"j"}
    assert (await place.live.counts()).jobs["default", "running"] == 1
    events = await place.live.timeline("j", 0, 100)
    assert [event.type for event in events] == ["created", "started", "stalled"]


async def test_job_that_speaks_between_two_looks_is_not_stalled(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.evaluate(295, 300)
    await place.push("j", current=2)
    await place.evaluate(305, 310)
    assert await place.reason() is None


async def test_next_word_settles_it(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.evaluate(295, 300, 305)
    await place.push("j", current=2)
    assert (await place.reason(), await place.stalled()) == (None, set())
    await place.watch(615, since=305)
    assert await place.reason() == "silent"


async def test_deadline_that_is_moved_settles_that_it_was_missed_at_once(place: Deployment) -> None:
    await place.push("j", current=1, facts={"deadline_at": NOON + 100})
    await place.evaluate(100, 105)
    assert await place.reason() == "deadline"
    await place.push("j", facts={"deadline_at": NOON + 200})
    assert (await place.reason(), await place.stalled()) == (None, set())
    await place.watch(200, since=105)
    assert await place.reason() is None
    await place.evaluate(205)
    assert await place.reason() == "deadline"


async def test_job_is_overdue_no_more_once_such_jobs_are_known_to_take_longer(place: Deployment) -> None:
    place.limits = OF_HOURS._replace(overdue_seconds=100.0)
    await place.push("j", current=1)
    await place.evaluate(100, 105, 110)
    assert await place.reason() == "overdue"
    place.limits = OF_HOURS._replace(overdue_seconds=500.0)
    await place.watch(170, since=110)
    assert (await place.reason(), await place.stalled()) == (None, set())
    assert [event.type for event in await place.live.timeline("j", 0, 100)][-2:] == ["stalled", "recovered"]
    await place.watch(505, since=170)
    assert await place.reason() == "overdue"


async def test_stall_that_no_longer_holds_clears_at_the_next_look_after_a_word(place: Deployment) -> None:
    place.limits = OF_HOURS._replace(overdue_seconds=100.0)
    await place.push("j", current=1)
    await place.evaluate(100, 105)
    place.limits = OF_HOURS
    await place.push("j", current=2)
    assert await place.reason() == "overdue"
    await place.evaluate(110)
    assert await place.reason() is None


async def test_what_is_stuck_is_judged_anew_by_whoever_takes_charge(place: Deployment) -> None:
    await place.push("silent", current=1)
    await place.push("talks", current=1)
    await place.watch(400)
    await place.push("talks", current=1)
    await place.watch(610, since=400)
    assert (await place.reason("silent"), await place.reason("talks")) == ("silent", "no_progress")
    place.limits = OF_HOURS  # as another sidecar was told
    await place.agenda.enrol(place.now)
    await place.evaluate(615)
    assert await place.stalled() == set()


async def test_heartbeats_keep_a_job_from_being_silent_and_not_from_making_no_progress(place: Deployment) -> None:
    await place.push("j", current=1)
    for moment in range(5, 600, 5):
        await place.evaluate(moment)
        if moment % 100 == 0:
            await place.live.update("j", push(update("j")._replace(said={}), place.now))
    assert await place.reason() is None
    await place.evaluate(600, 605)
    assert await place.reason() == "no_progress"


@pytest.mark.parametrize("status", [Status.PAUSED, Status.BLOCKED, Status.COMPLETED])
async def test_job_that_waits_or_has_ended_is_not_looked_at(place: Deployment, status: Status) -> None:
    await place.push("j", current=1)
    await place.live.update("j", finish("j", status, place.now))
    assert await place.agenda.due(NOON + 1e9, 10) == []


async def test_only_what_is_due_is_read(place: Deployment) -> None:
    for number in range(300):
        place.now = NOON + (number >= 20) * 250
        await place.push(f"j{number}", current=1, project=f"p{number % 3}")
    assert {due.view.job.job_id for due in await place.agenda.due(NOON + 300, 500)} == {f"j{n}" for n in range(20)}
    await place.evaluate(295, 300, 305)
    assert len(await place.stalled()) == 20


async def test_more_jobs_than_a_turn_takes_are_all_found(place: Deployment) -> None:
    changes = [(f"j{n}", push(update(f"j{n}", current=1), NOON)) for n in range(450)]
    await place.live.update_many(changes)
    await place.evaluate(295, 300, 305)
    assert len((await place.live.page(query(stalled=True, limit=1_000))).jobs) == 450


async def test_outage_of_the_observer_raises_no_alarm_for_as_long_as_it_was(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.watch(100)
    back = 100 + 400
    await place.watch(back + 390, since=back - INTERVAL)
    assert await place.reason() is None
    await place.watch(back + 420, since=back + 390)
    assert await place.reason() == "silent"


@pytest.mark.parametrize("is_new", [True, False], ids=["new process", "same process"])
async def test_redis_that_comes_back_empty_raises_no_alarm_for_as_long_as_nobody_looked(
    place: Deployment, *, is_new: bool
) -> None:
    await place.push("j", current=1)
    await place.watch(100)
    back = 100 + 2_000
    place.now = NOON + back
    await place.empty_redis()
    if is_new:
        place.watchdog = place.another()
    await place.watch(back + 1_995, since=back - INTERVAL)
    assert await place.stalled() == set()
    await place.watch(back + 1_995 + KEPT_EVERY_SECONDS + 3 * INTERVAL, since=back + 1_995)
    assert await place.reason() == "silent"


async def test_redis_that_loses_its_data_while_things_settle_changes_nothing(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.watch(100)
    await place.evaluate(500)
    await place.empty_redis()
    await place.watch(890, since=500)
    assert await place.reason() is None
    await place.watch(920, since=890)
    assert await place.reason() == "silent"


async def test_watchdog_remembers_itself_when_redis_is_empty_and_sql_away(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.watch(100)
    place.now = NOON + 500
    await place.empty_redis()
    place.database = lost = Database("sqlite:////nowhere/history.db", timeout_seconds=1.0)
    with pytest.raises(HistoryUnavailable):
        await place.evaluate(500, watchdog=place.another())
    place.watchdog._kept = SqlLogbook(lost)
    await place.watch(895, since=500)
    assert await place.reason() is None
    await place.watch(945, since=895)
    assert await place.reason() == "silent"
    await lost.close()


async def test_job_that_spoke_while_things_settled_is_not_stalled(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.watch(100)
    await place.evaluate(500)
    await place.push("j", current=2)
    await place.watch(790, since=500)
    assert await place.reason() is None


async def test_deleted_job_leaves_the_agenda(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.live.delete("j", lambda _: None)
    assert await place.agenda.due(NOON + 1e9, 10) == []


async def test_id_without_a_job_is_struck_off(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.link.commands.zadd(ProjectKeys("default").index("due"), {"ghost": 1.0})
    assert [due.view.job.job_id for due in await place.agenda.due(NOON + 1e9, 10)] == ["j"]
    assert await place.link.commands.zscore(ProjectKeys("default").index("due"), "ghost") is None


async def test_jobs_that_an_older_release_left_are_entered(place: Deployment) -> None:
    await place.push("j", current=1)
    await place.push("k", current=1)
    await place.link.commands.delete(ProjectKeys("default").index("due"))
    assert await place.agenda.enrol(NOON) == 2
    assert await place.agenda.enrol(NOON) == 0
    await place.evaluate(295, 300, 305)
    assert await place.stalled() == {"j", "k"}


async def test_what_a_worker_says_while_its_job_is_looked_at_counts(place: Deployment) -> None:
    place.limits = OF_HOURS
    await place.push("j", current=1, facts={"interval_seconds": 1_000})
    due = await place.agenda.due(NOON + 4_000, 10)
    place.now = NOON + 4_001
    await place.push("j", current=2, facts={"deadline_at": NOON + 4_010})
    await place.agenda.postpone([(each, NOON + 8_000) for each in due])
    assert [each.at for each in await place.agenda.due(NOON + 1e9, 10)] == [NOON + 4_010]
    await place.agenda.postpone([(each, NOON + 8_000) for each in await place.agenda.due(NOON + 5_000, 10)])
    assert [each.at for each in await place.agenda.due(NOON + 1e9, 10)] == [NOON + 8_000]


async def test_project_with_a_new_job_is_looked_at_when_that_is_due(place: Deployment) -> None:
    await place.evaluate(5)  # which sweeps; the next one does not come before a minute has passed
    await place.push("later", current=1)
    await place.push("soon", current=1, facts={"deadline_at": NOON + 20})
    await place.push("other", current=1, project="p", facts={"deadline_at": NOON + 20})
    await place.evaluate(10, 15, 20, 25)
    assert await place.stalled() == {"soon", "other"}


async def test_job_that_goes_on_is_looked_at_when_that_is_due(place: Deployment) -> None:
    await place.push("j", words={"status": "paused"}, facts={"deadline_at": NOON + 20})
    await place.evaluate(5)
    await place.push("j", words={"status": "running"})
    await place.evaluate(10, 15, 20, 25)
    assert await place.stalled() == {"j"}


async def test_sweep_finds_a_project_that_was_not_entered(place: Deployment) -> None:
    await place.evaluate(0)
    await place.push("j", current=1, facts={"deadline_at": NOON + 20})
    await place.link.commands.delete(keys.DUE_PROJECTS)  # as if its writer had died before it could enter it
    await place.watch(20 + SWEEP_SECONDS)
    assert await place.stalled() == {"j"}


async def test_projects_are_sorted_by_their_first_job_and_leave_with_their_last(place: Deployment) -> None:
    async def entered() -> dict[str, float]:
        await place.agenda.sweep()
        found = await place.link.commands.zrange(keys.DUE_PROJECTS, 0, -1, withscores=True)
        return {project.decode(): at - NOON for project, at in found}

    await place.push("a", current=1, project="p", facts={"deadline_at": NOON + 20})
    await place.push("b", current=1, project="p", facts={"deadline_at": NOON + 30})
    await place.push("c", current=1, project="q", words={"status": "paused"})
    assert await entered() == {"p": 20.0, "q": inf}
    await place.live.update("a", finish("a", Status.FAILED, place.now))
    assert await entered() == {"p": 30.0, "q": inf}
    for name in ("b", "c"):
        await place.live.update(name, finish(name, Status.FAILED, place.now))
    assert await entered() == {}


class Interrupted(RedisAgenda):
    """An agenda during whose first look at a project a worker says something."""

    said: "Coroutine[None, None, None] | None" = None

    @override
    async def _earliest(self, projects: Sequence[str]) -> dict[str, float | None]:
        found = await super()._earliest(projects)
        if self.said is not None:
            said, self.said = self.said, None
            await said
        return found


async def test_what_a_worker_says_while_its_project_is_sorted_counts(place: Deployment) -> None:
    await place.push("a", current=1, facts={"deadline_at": NOON + 100})
    agenda = Interrupted(place.link)
    agenda.said = place.push("b", current=1, facts={"deadline_at": NOON + 20})
    await agenda.sweep()
    assert await place.link.commands.zscore(keys.DUE_PROJECTS, "default") == NOON + 20


async def test_who_was_away_enters_what_is_not_on_the_agenda(place: Deployment) -> None:
    async def turn(moment: float) -> None:
        """Run until the second pause."""
        asleep, pauses = asyncio.Semaphore(0), asyncio.Semaphore(1)

        async def sleep(_: float) -> None:
            asleep.release()
            await pauses.acquire()

        running = asyncio.create_task(place.watchdog.run(sleep))
        place.now = NOON + moment
        await asyncio.wait_for(asleep.acquire(), 5)
        await asyncio.wait_for(asleep.acquire(), 5)
        await ended(running)

    await place.push("j", current=1)
    await turn(5)
    await place.link.commands.delete(ProjectKeys("default").index("due"))
    await turn(10)
    assert [due.view.job.job_id for due in await place.agenda.due(NOON + 1e9, 9)] == ["j"]


class LostLease:
    """A lease that somebody else takes after so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def hold(self) -> bool:
        self.times -= 1
        return self.times >= 0


async def test_who_loses_the_lease_looks_no_further(place: Deployment) -> None:
    changes = [(f"j{n}", push(update(f"j{n}", current=1), NOON)) for n in range(450)]
    await place.live.update_many(changes)
    await place.watch(295)
    place.watchdog._lease = lease = LostLease(1)
    await place.evaluate(300)
    assert len(await place.agenda.due(place.now, 500)) == 50
    lease.times = 10
    await place.evaluate(305)  # of what it saw while it lost the lease nothing is remembered
    assert await place.stalled() == set()
    await place.evaluate(310)
    assert len((await place.live.page(query(stalled=True, limit=1_000))).jobs) == 450


async def test_one_sidecar_evaluates_and_another_takes_over(place: Deployment, valkey: EmbeddedValkey) -> None:
    del valkey
    await place.push("j", current=1)
    turns = [asyncio.Semaphore(0), asyncio.Semaphore(0)]
    dogs = [place.watchdog, place.another()]
    asleep = [asyncio.Semaphore(0), asyncio.Semaphore(0)]

    def sleeping(number: int) -> "asyncio.Task[None]":
        async def sleep(_: float) -> None:
            asleep[number].release()
            await turns[number].acquire()

        return asyncio.create_task(dogs[number].run(sleep))

    async def turn(number: int, moment: float) -> None:
        place.now = NOON + moment
        turns[number].release()
        await asyncio.wait_for(asleep[number].acquire(), 5)

    running = [sleeping(0), sleeping(1)]
    for each in asleep:
        await asyncio.wait_for(each.acquire(), 5)
    await turn(0, 295)
    await turn(0, 300)
    await turn(1, 301)  # it is not in charge, so this is no second look
    assert await place.reason() is None
    await ended(running[0])
    too_late = asyncio.get_running_loop().time() + 20
    while not dogs[1]._is_in_charge:  # as the lease has to end first
        assert asyncio.get_running_loop().time() < too_late
        await turn(1, 306)
    await turn(1, 311)
    assert await place.reason() == "silent"
    await ended(running[1])
