"""The live store over a real Valkey: the contract, and what only Redis can show."""

import asyncio
import random
import sys

import pytest

from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.core import merge
from sidecar.core.errors import StoreRefused, StoreUnavailable
from sidecar.core.job import Stall, StallReason, Status
from sidecar.core.merge import Outcome
from sidecar.core.view import View
from sidecar.ports import ChangeJob
from tests.adapters.contract_live_store import LiveStoreContract, viewed
from tests.adapters.updates import NOON, finish, push, update

HAMMERS = 2
INCREMENTS = 150


class TestRedisLive(LiveStoreContract):
    """`RedisLive` keeps the contract."""


async def test_two_processes_hammering_one_job_lose_nothing_and_count_nothing_twice(
    store: RedisLive, valkey: EmbeddedValkey
) -> None:
    command = [sys.executable, "-m", "tests.adapters.hammer", valkey.url, "job-1"]
    processes = [
        await asyncio.create_subprocess_exec(*command, f"w{n}", str(INCREMENTS), stdout=asyncio.subprocess.PIPE)
        for n in range(HAMMERS)
    ]
    outputs = await asyncio.wait_for(asyncio.gather(*(process.communicate() for process in processes)), 60)
    assert [int(out) for out, _ in outputs] == [INCREMENTS] * HAMMERS
    shown = await viewed(store)
    assert shown.current == HAMMERS * INCREMENTS
    assert shown.items == {f"w{n}": 2 * INCREMENTS for n in range(HAMMERS)}
    assert shown.job.version == HAMMERS * INCREMENTS


async def test_usual_update_is_one_command(store: RedisLive, link: RedisLink) -> None:
    await store.update("job-1", push(update(seq=1, current=1)))
    before = await link.commands.info("commandstats")
    for seq in range(2, 12):
        await store.update("job-1", push(update(seq=seq, current=seq)))
    after = await link.commands.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] == 10
    assert after["cmdstat_mget"]["calls"] == before["cmdstat_mget"]["calls"]


async def test_counts_follow_types_and_statuses(store: RedisLive) -> None:
    await store.update("a", push(update("a", job_type="x")))
    await store.update("b", push(update("b", job_type="x", project="other")))
    await store.update("b", finish("b", Status.FAILED))
    await store.update("c", push(update("c", job_type="y")))
    await store.delete("c", lambda _: None)
    assert (await store.counts()).jobs == {("x", "running"): 1, ("x", "failed"): 1}


def stalled(since: float, reason: StallReason = StallReason.SILENT) -> ChangeJob:
    """Return the change that says that a job is stuck since then."""

    def change(before: View | None) -> Outcome:
        assert before is not None
        return merge.stall(before, Stall(reason, since, 1.0), NOON + 2_000)

    return change


async def test_most_pressing_jobs_of_all_projects_come_first_however_they_are_spread(store: RedisLive) -> None:
    dice = random.Random(7)  # noqa: S311 - the same jobs each time
    idle, stuck = list[tuple[float, str]](), list[tuple[float, str]]()
    for number in range(120):
        job_id, at = f"job-{number:03}", NOON + dice.random() * 1_000
        project = f"p{min(dice.randrange(12), dice.randrange(12), dice.randrange(12))}"  # most of them in a few
        await store.update(job_id, push(update(job_id, project=project, current=1), at))
        if number % 5 == 0:
            since = at - 500 * (number % 3)
            await store.update(job_id, stalled(since))
            stuck.append((since, job_id))
        else:
            idle.append((at, job_id))
    expected = [job_id for _, job_id in (*sorted(stuck), *sorted(idle))]
    for limit in (1, 2, 10, 24, 25, 60, 119, 120, 500):
        assert [shown.job.job_id for shown in await store.outstanding(limit)] == expected[:limit], limit


async def test_flood_of_jobs_that_nobody_began_hides_none_that_runs_and_is_stuck(store: RedisLive) -> None:
    for number in range(30):
        name = f"waits-{number:02}"
        await store.update(name, push(update(name, project=f"p{number % 3}", words={"status": "queued"}), NOON))
        await store.update(name, stalled(NOON + number, StallReason.NOT_STARTED))
    for number, reason in enumerate((StallReason.SILENT, StallReason.NO_PROGRESS, StallReason.CANCEL_STUCK)):
        await store.update(reason, push(update(reason, project=f"p{number}", current=1), NOON + 500))
        await store.update(reason, stalled(NOON + 1_000 + number, reason))
    found = [shown.job.job_id for shown in await store.outstanding(5)]
    assert found == ["silent", "no_progress", "cancel_stuck", "waits-00", "waits-01"]


async def test_project_in_which_all_jobs_wait_or_are_finished_is_shown_and_left_out(store: RedisLive) -> None:
    await store.update("waits", push(update("waits", project="a", words={"status": "paused"})))
    await store.update("done", push(update("done", project="b", current=1)))
    await store.update("done", finish("done"))
    assert [shown.job.job_id for shown in await store.outstanding(9)] == ["waits"]


async def test_all_keys_of_a_project_share_a_hash_tag(store: RedisLive, link: RedisLink) -> None:
    await store.update("job-1", push(update(project="uni")))
    names = {name.decode() for name in await link.commands.keys("progress:*")}
    assert names - {keys.PROJECTS, keys.DUE_PROJECTS, keys.project_of("job-1")} == {
        name for name in names if name.startswith("progress:{uni}:")
    }


async def test_unfinished_job_never_expires(store: RedisLive, link: RedisLink) -> None:
    await store.update("job-1", push(update()))
    for name in await link.commands.keys("*"):
        assert await link.commands.ttl(name) == -1


async def test_restarted_server_begins_a_new_epoch(store: RedisLive, valkey: EmbeddedValkey) -> None:
    before = await store.update("job-1", push(update(seq=1)))
    await valkey.stop()
    await valkey.start()
    after = await store.update("job-1", push(update(seq=3)))
    assert after.cursor.epoch != before.cursor.epoch
    assert after.cursor.rev > before.cursor.rev


async def test_server_that_is_away_is_unavailable(store: RedisLive, valkey: EmbeddedValkey) -> None:
    await store.update("job-1", push(update(seq=1)))
    await valkey.stop()
    with pytest.raises(StoreUnavailable):
        await store.get("job-1")
    with pytest.raises(StoreUnavailable):
        await store.update("job-1", push(update(seq=2)))


async def test_full_server_refuses_with_its_reason(store: RedisLive, link: RedisLink) -> None:
    await store.update("job-1", push(update(seq=1)))
    await link.commands.config_set("maxmemory", "1mb")
    with pytest.raises(StoreRefused, match="maxmemory"):
        await store.update("job-1", push(update(seq=2)))
    assert (await viewed(store)).job.version == 1


async def test_cancelled_update_leaves_the_store_usable(store: RedisLive) -> None:
    for seq in range(20):
        pushing = asyncio.create_task(store.update("job-1", push(update(seq=seq, add_current=1))))
        await asyncio.sleep(0)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
    await store.update("job-1", push(update(seq=100, add_current=1)))
    assert ((await viewed(store)).current or 0) >= 1


async def test_a_change_that_breaks_harms_no_other(store: RedisLive) -> None:
    def broken(before: View | None) -> Outcome:
        raise ZeroDivisionError(before is None)

    await store.update("job-1", push(update(seq=1, add_current=1)))
    answers = await asyncio.gather(
        store.update("job-1", push(update(seq=2, add_current=1))),
        store.update("job-1", broken),
        store.update("job-1", push(update(seq=3, add_current=1))),
        return_exceptions=True,
    )
    assert [isinstance(answer, ZeroDivisionError) for answer in answers] == [False, True, False]
    assert (await viewed(store)).current == 3


async def test_updates_that_arrive_together_go_out_together(store: RedisLive, link: RedisLink) -> None:
    await store.update("job-0", push(update("job-0")))
    before = await link.commands.info("commandstats")
    updates = [update(f"job-{n % 20}", seq=n, add_current=1) for n in range(100)]
    await asyncio.gather(*(store.update(given.job_id, push(given)) for given in updates))
    after = await link.commands.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] <= 25
    for number in range(20):
        assert (await viewed(store, f"job-{number}")).current == 5


async def test_jobs_that_are_forgotten_while_a_batch_enters_others_are_changed_with_it(store: RedisLive) -> None:
    await store.update("known", push(update("known", current=1)))
    batch = [("known", push(update("known", current=2))), ("new", push(update("new", current=3)))]
    pushing = asyncio.create_task(store.update_many(batch))
    await asyncio.sleep(0)  # it has begun to ask for the other one
    store.memory.forget(["known"])
    answers = await pushing
    assert not any(isinstance(answer, Exception) for answer in answers)
    assert [(await viewed(store, job_id)).current for job_id in ("known", "new")] == [2, 3]
