"""From a job that stalls, or a store or a sidecar that goes away, to whom it concerns: all of it real."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientSession
from redis.asyncio import Redis

from tests.alerts.live import Deployment, deployed, hurried
from tests.alerts.reporting import reporting
from tests.alerts.rules import DASHBOARDS, RULE_FILES
from tests.faults.valkey import Valkey
from tests.servers.postgres import Postgres
from tests.servers.prometheus import GRAFANA_URL

IMPATIENT = {"no_progress_seconds": 3, "watchdog_interval_seconds": 0.5}
PUSH_SECONDS = 0.4
LONG_ENOUGH_SECONDS = 12.0
"""Within this, everything has fired that would for a reason that is a few seconds old."""


async def push(http: ClientSession, deployment: Deployment, job_id: str, **fields: object) -> int:
    async with http.post(f"{deployment.sidecar.url}/v1/jobs/{job_id}", json=fields) as answer:
        return answer.status


def at_work(
    http: ClientSession, deployment: Deployment, job_id: str, **first: object
) -> AbstractAsyncContextManager[None]:
    """Report on a job while inside; see `reporting`."""
    return reporting(partial(push, http, deployment, job_id), PUSH_SECONDS, first)


def firing(alerts: list[dict[str, Any]]) -> set[str]:
    """Return the names of what people were called for."""
    named = {each["labels"]["alertname"] for each in alerts if each["status"] == "firing"}
    return named - {"ProgressWatchdog"}


async def assert_links_work(http: ClientSession, deployment: Deployment, alert: Mapping[str, Any]) -> None:
    """Follow the links of an alert on one job: to its runbook, its dashboard, and itself."""
    labels, annotations = alert["labels"], alert["annotations"]
    name = labels["alertname"]
    assert annotations["runbook_url"] == f"{deployment.prometheus.address}/user/docs/runbooks/{name}.md"
    async with http.get(annotations["runbook_url"]) as page:
        assert page.content_type in {"text/plain", "text/markdown"}
        assert (await page.text()).startswith(f"# {name}\n")
    board = urlsplit(annotations["dashboard_url"])
    assert f"{board.scheme}://{board.netloc}" == GRAFANA_URL
    assert board.path.removeprefix("/d/") in DASHBOARDS
    assert f"var-job_id={labels['job_id']}" in board.query
    assert not {"grafana_url", "docs_url"} & labels.keys()
    async with http.get(f"{deployment.sidecar.url}/jobs/{labels['job_id']}", headers={"Accept": "text/html"}) as page:
        assert page.status == 200


async def test_a_job_that_stands_still_is_told_of_until_it_moves(tmp_path: Path) -> None:
    async with deployed(tmp_path, **IMPATIENT) as deployment, ClientSession() as http:
        webhook = deployment.webhook
        async with (
            at_work(http, deployment, "moves", project="uni", current=0),
            at_work(http, deployment, "waits", project="uni", status="paused"),
        ):
            async with at_work(http, deployment, "stands", project="uni", job_type="crawl"):
                told = await webhook.first("ProgressJobStalled")
            assert {name: told["labels"][name] for name in ("job_id", "job_type", "project", "job", "severity")} == {
                "job_id": "stands",
                "job_type": "crawl",
                "project": "uni",
                "job": "progress-sidecar",
                "severity": "warning",
            }
            await assert_links_work(http, deployment, told)
            async with at_work(http, deployment, "stands", current=1):
                over = await webhook.first("ProgressJobStalled", "resolved")
        assert over["labels"]["job_id"] == "stands"
        assert {each["labels"]["job_id"] for each in webhook.named("ProgressJobStalled")} == {"stands"}


async def test_without_stores_that_alone_is_told(tmp_path: Path) -> None:
    valkey, postgres = Valkey(tmp_path / "valkey"), Postgres()
    try:
        valkey.start()
        postgres.start()
        await asyncio.gather(valkey.ready(), postgres.ready())
        stores = {"redis_url": valkey.url, "database_url": await postgres.database("sidecar")}
        async with deployed(tmp_path, **stores, **IMPATIENT) as deployment, ClientSession() as http:
            async with at_work(http, deployment, "moves", current=0):
                await deployment.prometheus.until('progress_job_completion_ratio{job_id="moves"}')
                postgres.kill()
                await deployment.prometheus.until('progress_store_up{store="sql"} == 0')
                valkey.kill()
                await deployment.webhook.first("ProgressStoreUnavailable")
                await asyncio.sleep(LONG_ENOUGH_SECONDS)  # nothing else may come: there is nothing to wait for
                assert await push(http, deployment, "moves", current=9) == 503
            assert firing(deployment.webhook.alerts) == {"ProgressStoreUnavailable"}
    finally:
        valkey.kill()
        postgres.remove()


async def test_while_redis_is_full_that_alone_is_told(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path / "valkey")
    try:
        valkey.start()
        await valkey.ready()
        async with (
            deployed(tmp_path, redis_url=valkey.url, **(IMPATIENT | {"no_progress_seconds": 10})) as deployment,
            ClientSession() as http,
            Redis.from_url(valkey.url) as redis,
        ):
            async with at_work(http, deployment, "moves", current=0):
                await deployment.prometheus.until('progress_job_completion_ratio{job_id="moves"}')
                await redis.config_set("maxmemory", "1mb")
                await deployment.webhook.first("ProgressStoreRefusing")
                await deployment.prometheus.until('ALERTS{alertname="ProgressJobStalled",alertstate="firing"}')
                assert await push(http, deployment, "moves", current=9) == 503
                assert firing(deployment.webhook.alerts) == {"ProgressStoreRefusing"}
                await redis.config_set("maxmemory", 0)  # what it used up of the budget may be told of from now on
                await deployment.webhook.first("ProgressStoreRefusing", "resolved")
            assert firing(deployment.webhook.alerts) <= {"ProgressStoreRefusing", "ProgressIngestErrorBudgetBurn"}
    finally:
        valkey.kill()


async def test_a_sidecar_that_is_stopped_is_told_of_as_down_and_once_it_is_forgotten_as_absent(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment, ClientSession() as http:
        assert await push(http, deployment, "runs", current=1) == 200
        await deployment.prometheus.until('progress_job_completion_ratio{job_id="runs"}')
        assert deployment.sidecar.terminate() == 0
        down = await deployment.webhook.first("ProgressSidecarDown")
        assert (down["labels"]["severity"], deployment.webhook.named("ProgressSidecarAbsent")) == ("critical", [])
        deployment.forget_sidecar()
        await deployment.prometheus.until('absent(up{job="progress-sidecar"})')
        await deployment.webhook.first("ProgressSidecarAbsent")
        assert firing(deployment.webhook.alerts) == {"ProgressSidecarDown", "ProgressSidecarAbsent"}


def test_only_waits_and_windows_are_hurried() -> None:
    text = "expr: rate(x[10m]) > 900 and y[1h] > 0.25\nfor: 1m\nkeep_firing_for: 2m\ninterval: 1m\nsummary: for 10m"
    shorter = (
        "expr: rate(x[20s]) > 900 and y[120s] > 0.25\nfor: 2s\nkeep_firing_for: 4s\ninterval: 2s\nsummary: for 10m"
    )
    assert hurried(text) == shorter
    assert all(
        hurried(path.read_text("utf-8")) != path.read_text("utf-8") for path in RULE_FILES if "for:" in path.read_text()
    )
