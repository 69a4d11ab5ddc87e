"""What does not grow with the number of jobs, or of those who ask for them.

The watchdog's look and a scrape read what they show, and nothing else; a crowd of readers makes few calls. Counted is
what a store was asked for, as a busy machine makes any time it takes a matter of luck.
"""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, event

from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.adapters.redis.agenda import RedisAgenda
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.lease import RedisLease
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.live import RedisLive
from sidecar.adapters.redis.logbook import RedisLogbook
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.live import SqlLive
from sidecar.background.watchdog import Watchdog
from sidecar.core.stalls import Limits, due_at
from tests.adapters.updates import NOON, push, update

LIMITS = Limits(silent_seconds=300.0)
PROJECT = ProjectKeys("default")
DUE = 100
SERIES = 50
PROJECTS = 2_000
CROWD = 1_000

FILL = """
for number = ARGV[1], ARGV[2] do
    for key = 1, #KEYS do redis.call('ZADD', KEYS[key], ARGV[3], 'filler-' .. number) end
end
"""
FILLED_A_CALL = 50_000


async def fill(link: RedisLink, count: int, *indexes: str) -> None:
    """Enter jobs into indexes that nobody has to read: nothing is due of them, and they got on after all others."""
    keys = [PROJECT.index(name) for name in indexes]
    for start in range(0, count, FILLED_A_CALL):
        last = min(count, start + FILLED_A_CALL) - 1
        await link.commands.eval(FILL, len(keys), *keys, start, last, NOON + 1e9)


async def push_jobs(live: RedisLive, count: int, **fields: object) -> None:
    """Begin jobs at noon."""
    changes = [(f"j{number}", push(update(f"j{number}", current=1, **fields), NOON)) for number in range(count)]
    for written in await live.update_many(changes):
        assert not isinstance(written, Exception)


async def asked(link: RedisLink) -> dict[str, int]:
    """Return how many keys Redis has looked up, and how many commands it was given."""
    stats = await link.commands.info("stats")
    return {
        "keys": stats["keyspace_hits"] + stats["keyspace_misses"],
        "commands": stats["total_commands_processed"],
        "bytes": stats["total_net_output_bytes"],
    }


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before}


async def look(link: RedisLink, live: RedisLive) -> dict[str, int]:
    """Let 100 jobs be found stuck; return what Redis was asked for."""
    agenda, book, lease, moment = RedisAgenda(link), RedisLogbook(link), RedisLease(link, "watchdog"), [NOON]
    watchdog = Watchdog(agenda, book, book, live, lease, lambda _: LIMITS, lambda: moment[0], 5.0)
    before = await asked(link)
    for moment[0] in (NOON + 295, NOON + 300, NOON + 305):
        await watchdog.evaluate()
    return more(before, await asked(link))


@pytest.mark.parametrize("others", [0, 1_000_000])
async def test_the_watchdog_looks_at_what_is_due_however_many_jobs_there_are(link: RedisLink, others: int) -> None:
    live = RedisLive(link, lambda: NOON, due_at=lambda shown: due_at(shown, LIMITS))
    await push_jobs(live, DUE)
    await fill(link, others, "due")
    cost = await look(link, live)
    assert await link.commands.zcard(PROJECT.index("stalled")) == DUE
    assert cost["keys"] < 30 * DUE
    assert cost["commands"] < 15 * DUE
    assert cost["bytes"] < 5_000 * DUE


async def test_jobs_are_entered_some_at_a_time(link: RedisLink) -> None:
    await fill(link, 20_000, "active")
    await link.commands.sadd("progress:projects", "default")
    before = await asked(link)
    assert await RedisAgenda(link).enrol(NOON) == 20_000
    cost = more(before, await asked(link))
    assert 20_000 / cost["commands"] < 1_000
    assert await RedisAgenda(link).enrol(NOON + 1) == 0


@pytest.mark.parametrize("others", [0, 100_000])
async def test_a_scrape_reads_the_jobs_that_it_shows_however_many_there_are(link: RedisLink, others: int) -> None:
    live = RedisLive(link, lambda: NOON, due_at=lambda shown: due_at(shown, LIMITS))
    await push_jobs(live, 2 * SERIES, job_type="import")
    await fill(link, others, "active", "idle", "due")
    await link.commands.hincrby(PROJECT.index("counts"), "import|running", others)
    metrics = PrometheusMetrics(CollectorRegistry())
    metrics.attach(live, {}, lambda _: LIMITS, SERIES)
    before = await asked(link)
    body, _ = await metrics.render(None, 10.0)
    cost = more(before, await asked(link))
    shown = [line for line in body.decode().splitlines() if line.startswith("progress_job_info{")]
    assert len(shown) == SERIES
    assert all('job_id="j' in line for line in shown)
    assert f'progress_jobs_active{{job_type="import"}} {float(2 * SERIES + others)}' in body.decode()
    assert f"progress_job_series_dropped {float(SERIES + others)}" in body.decode()
    assert cost["keys"] < 3 * SERIES
    assert cost["commands"] < 2 * SERIES
    assert cost["bytes"] < 10_000 * SERIES


async def many_projects(link: RedisLink, others: int) -> RedisLive:
    """Return a store in which jobs of 5 projects are due at noon and 300 s, and one job of each other much later."""
    live = RedisLive(link, lambda: NOON, due_at=lambda shown: due_at(shown, LIMITS))
    for first in range(0, PROJECTS, 100):
        changes = [
            (f"j{number}", push(update(f"j{number}", current=1, project=f"p{number}"), NOON + 1_000 * (number >= 5)))
            for number in range(first, first + 100)
        ]
        for written in await live.update_many(changes):
            assert not isinstance(written, Exception)
    async with link.commands.pipeline(transaction=False) as pipe:
        for number in range(PROJECTS if others else 0):
            fillers = {f"filler-{number}-{other}": NOON + 1e6 + other for other in range(others)}
            pipe.zadd(ProjectKeys(f"p{number}").index("idle"), fillers)
        await pipe.execute()
    return live


async def test_the_watchdog_looks_at_projects_that_are_due_however_many_there_are(link: RedisLink) -> None:
    live = await many_projects(link, 0)
    agenda, book, lease, moment = RedisAgenda(link), RedisLogbook(link), RedisLease(link, "watchdog"), [NOON + 290]
    watchdog = Watchdog(agenda, book, book, live, lease, lambda _: LIMITS, lambda: moment[0], 5.0)
    await watchdog.evaluate()  # which sweeps
    before = await asked(link)
    for moment[0] in (NOON + 295, NOON + 300, NOON + 305, NOON + 310):
        await watchdog.evaluate()
    assert more(before, await asked(link))["commands"] < 300
    assert (await live.counts()).stalled == {("default", "silent"): 5}


async def test_a_sweep_of_projects_takes_some_at_a_time(link: RedisLink) -> None:
    await many_projects(link, 0)
    before = await asked(link)
    await RedisAgenda(link).sweep()
    assert more(before, await asked(link))["commands"] < 5 * PROJECTS
    assert await link.commands.zcard("progress:due-projects") == PROJECTS


@pytest.mark.parametrize("others", [0, 200])
async def test_a_scrape_reads_of_each_project_little_however_much_it_has(link: RedisLink, others: int) -> None:
    live = await many_projects(link, others)
    before = await asked(link)
    shown = await live.outstanding(SERIES)
    cost = more(before, await asked(link))
    assert {view.job.job_id for view in shown} >= {f"j{number}" for number in range(5)}
    assert len(shown) == SERIES
    assert cost["commands"] < 2 * PROJECTS + 10 * SERIES
    assert cost["bytes"] < 100 * PROJECTS + 10_000 * SERIES


async def test_a_crowd_that_asks_redis_for_jobs_at_once_makes_few_calls(link: RedisLink) -> None:
    await push_jobs(RedisLive(link, lambda: NOON), CROWD // 2)
    newcomer, before = RedisLive(link, lambda: NOON), await asked(link)
    found = await asyncio.gather(*(newcomer.get(f"j{number}") for number in range(CROWD)))
    assert sum(stored is not None for stored in found) == CROWD // 2
    assert more(before, await asked(link))["commands"] < CROWD // 2 + CROWD // 10  # the scripts' HMGETs count too


async def test_a_crowd_that_asks_sql_for_jobs_at_once_makes_few_calls(database: Database) -> None:
    store, statements = SqlLive(database, lambda: NOON), list[str]()

    def heard(*said: object) -> None:
        statements.append(str(said[2]))

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        for ask in (store.get, store.recall):
            assert set(await asyncio.gather(*(ask(f"j{number}") for number in range(CROWD)))) == {None}
    finally:
        event.remove(Engine, "before_cursor_execute", heard)
    assert 0 < len(statements) < CROWD // 10
