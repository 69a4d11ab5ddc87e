"""Every query of every dashboard, put to a real Prometheus that scrapes a real sidecar at work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from tests.dashboards.deployment import Deployment, deployed
from tests.dashboards.documents import BOARDS, TARGETS
from tests.dashboards.grafana import Grafana
from tests.faults.patience import Awaited, until_found
from tests.servers.postgres import Postgres

SECONDS = 40.0
AT_WORK_SECONDS = 150.0
"""The demo has to complete jobs of several types, which takes a machine long that is busy with other tests."""

LEAST_ROOM = "1mb"
ROUNDING = 1e-6

EMPTY_WHEN_HEALTHY = {
    "overview / Jobs, one by one / D": "no job is stalled",
    "job / All active jobs of the types that are chosen / D": "no job is stalled",
    "job / Stalled / A": "the job is not stalled",
    "overview / Firing alerts / A": "no alert fires",
    "overview / Alerts that fire / A": "no alert fires",
}
"""What has no result until something goes wrong, and why."""

LOOKED_UP_ONCE_A_MINUTE = {
    "overview / Job types / C": "the oldest queued job stands in SQL",
    "overview / Job types / I": "the last success of a type does, too",
}
"""What a sidecar reads from SQL when it starts, and then once a minute: a restart shows it at once."""

ABOVE_0_WHEN_JOBS_STALL = {
    "overview / Stalled jobs / A",
    "overview / Stalled jobs, by reason / A",
    "overview / Firing alerts / A",
    "overview / Alerts that fire / A",
    "overview / Jobs, one by one / D",
    "job / All active jobs of the types that are chosen / D",
    "job / Stalled / A",
}

ABOVE_0_WHEN_PUSHES_FAIL = {
    "sidecar / Errors / A",
    "sidecar / Refused pushes, by reason / A",
    "slo / Answered 5xx, by route / A",
    "slo / Bad pushes / A",
    "slo / Burn over 1h and 5m / A",
    "slo / Burn over 1h and 5m / B",
}

ABOVE_0_WITHOUT_REDIS = {
    "overview / Served by SQL / A",
    "sidecar / Served by SQL, by operation and reason / A",
    "sidecar / Served by SQL, by operation and reason / B",
    "sidecar / Store errors / A",
}


@pytest.fixture(params=["sqlite", "postgres"])
async def history(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    postgres = Postgres()
    try:
        postgres.start()
        await postgres.ready()
        yield {"database_url": await postgres.database("sidecar")}
    finally:
        postgres.remove()


async def test_every_query_has_data_and_what_has_none_when_all_is_well_has_some_in_a_fault(
    tmp_path: Path, history: dict[str, str]
) -> None:
    async with deployed(tmp_path, **history) as deployment, ClientSession() as http:
        url = deployment.sidecar.url
        await _push(http, f"{url}/v1/jobs/first", status="completed")
        await _nothing_is_wrong(deployment.grafana)
        await _push(http, f"{url}/v1/jobs/nobody-begins-it", status="queued")
        await deployment.sidecar.recorded(http)
        await _a_job_counts_once(deployment.grafana)
        deployment.demo.start()
        await _all_has_data(deployment.grafana)
        await _until_above_0(deployment.grafana, ABOVE_0_WHEN_JOBS_STALL)
        await _nothing_to_criticise(http, f"{url}/metrics")
        await _after_a_restart(deployment)
        await _when_redis_is_full(deployment)
        await _without_redis(deployment)


async def _push(http: ClientSession, url: str, **report: str) -> None:
    async with http.post(url, json=report) as answer:
        assert answer.status == 200, await answer.text()


async def _nothing_is_wrong(grafana: Grafana) -> None:
    """Wait until the first push can be seen, and what tells of faults is empty."""

    async def is_empty(where: str) -> bool:
        return not await grafana.has_data(TARGETS[where])

    pushes = TARGETS["sidecar / Answers, by status / A"]
    await until_found(lambda: grafana.has_data(pushes), SECONDS, lambda: "the first push can be seen")
    await _until_all(is_empty, EMPTY_WHEN_HEALTHY, "queries that tell of faults where there are none")


async def _a_job_counts_once(grafana: Grafana) -> None:
    """Wait until the one job is seen as one, though two instances tell of it."""

    async def ends_with(where: str, number: float) -> bool:
        return (await grafana.numbers(TARGETS[where]))[-1:] == [number]

    async def is_one(where: str) -> bool:
        return await ends_with(where, 1)

    await until_found(lambda: ends_with("sidecar / Replicas / A", 2), SECONDS, lambda: "two instances answer")
    await _until_all(is_one, {"overview / Active jobs / A", "overview / Queued jobs / A"}, "not 1")


async def _all_has_data(grafana: Grafana) -> None:
    """Find data for every variable, for every query, and for every selector in one.

    A query may be filled up with zeros: that each of its selectors finds series shows that it need not be.
    """
    wanted = TARGETS.keys() - EMPTY_WHEN_HEALTHY.keys() - LOOKED_UP_ONCE_A_MINUTE.keys()
    selectors = {each.text for where in wanted for each in TARGETS[where].selectors if not each.is_of_errors}
    variables = {each["query"] for board in BOARDS for each in board.variables if each["type"] == "query"}
    with_traces = {where for where in wanted if TARGETS[where].has_exemplars}
    assert (len(wanted) > 130, len(selectors) > 75, len(with_traces) > 6, len(variables)) == (True, True, True, 4)
    await _until_all(grafana.offers, variables, "variables with nothing to choose from")
    await _until_all(lambda where: grafana.has_data(TARGETS[where]), wanted, "queries without data", AT_WORK_SECONDS)
    await _until_all(grafana.finds, selectors, "selectors that find nothing", AT_WORK_SECONDS)
    await _until_all(lambda where: grafana.has_traces(TARGETS[where]), with_traces, "queries without exemplars")


async def _nothing_to_criticise(http: ClientSession, url: str) -> None:
    """Ask promtool what it thinks of all that a process tells which has seen every kind of job."""
    async with http.get(url) as answer:
        exposition = await answer.read()
    pipe = asyncio.subprocess.PIPE
    promtool = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=pipe, stdout=pipe, stderr=pipe
    )
    said = await asyncio.wait_for(promtool.communicate(exposition), SECONDS)
    assert (promtool.returncode, said) == (0, (b"", b""))
    assert b"progress_stage_duration_seconds_bucket" in exposition


async def _after_a_restart(deployment: Deployment) -> None:
    deployment.sidecar.kill()
    deployment.sidecar.start()
    await deployment.sidecar.ready()
    grafana = deployment.grafana
    await _until_all(lambda where: grafana.has_data(TARGETS[where]), LOOKED_UP_ONCE_A_MINUTE, "queries without data")


async def _when_redis_is_full(deployment: Deployment) -> None:
    async with Redis.from_url(deployment.valkey.url) as redis:
        await redis.config_set("maxmemory", LEAST_ROOM)
        await _until_above_0(deployment.grafana, ABOVE_0_WHEN_PUSHES_FAIL)
        await redis.config_set("maxmemory", 0)


async def _without_redis(deployment: Deployment) -> None:
    deployment.valkey.kill()
    await _until_above_0(deployment.grafana, ABOVE_0_WITHOUT_REDIS)

    async def is_seen() -> bool:
        return 0 in await deployment.grafana.numbers(TARGETS["sidecar / Stores / A"])

    await until_found(is_seen, SECONDS, lambda: "a store that is away is shown")


async def _until_above_0(grafana: Grafana, wanted: Iterable[str]) -> None:
    async def is_above_0(where: str) -> bool:
        return max(await grafana.numbers(TARGETS[where]), default=0) > ROUNDING

    await _until_all(is_above_0, wanted, "queries that stay at 0")


async def _until_all(
    holds: Callable[[str], Awaitable[bool]], wanted: Iterable[str], what: str, seconds: float = SECONDS
) -> None:
    """Wait until it holds of all, of each once."""
    awaited = Awaited(wanted, holds)
    await until_found(awaited.have_come, seconds, lambda: f"{what}:\n" + "\n".join(sorted(awaited.missing)))
