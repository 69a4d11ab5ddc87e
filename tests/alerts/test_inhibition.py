"""What people hear of, from a real Alertmanager with the shipped configuration, while several things go wrong."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.alertmanager import Alertmanager, running
from tests.alerts.rules import ALERTS, ROOT, alert, alerts

A_JOB = {"job_id": "nightly-7", "job_type": "crawl", "project": "uni"}
FOREIGN: dict[str, Any] = {"labels": {"alertname": "HostOutOfDiskSpace", "job": "progress-sidecar", **A_JOB}}
FOREIGN_NAMESAKES: list[dict[str, Any]] = [
    {"labels": {"alertname": name, "job": "progress-sidecar", **A_JOB}}
    for name in ("ProgressX", "ProgressJobStalledTwice", "ProgressSidecarSlow", "MyProgressJobStalled", "ProgressStore")
]
"""Others' alerts on the same deployment, by names much like ours."""

FOREIGN_LATER: dict[str, Any] = {"labels": {"alertname": "HostOutOfMemory", "job": "progress-sidecar"}}

ONLY_SERVICE = {"ProgressSidecarDown", "ProgressSidecarAbsent", "ProgressWatchdog"}
WITHOUT_STORES = {
    "ProgressStoreUnavailable",
    "ProgressStreamDisconnectsHigh",
    "ProgressStreamConnectionsSaturated",
    "ProgressJobSeriesCapped",
}  # fmt: skip
READABLE = {"ProgressStallThresholdMissing", "ProgressMetricsCollectorErrors"}
"""What tells that the stores cannot be read, which has another cause while they only take nothing."""

FROM_SQL = {"ProgressSuccessOverdue", "ProgressJobsQueuedTooLong"}
OF_REDIS = {
    "ProgressDatabaseFallback",
    "ProgressOutboxBacklog",
    "ProgressLoopCrashing",
    "ProgressMetricsCollectorErrors",
}  # fmt: skip


OF_STORES = {"ProgressStoreUnavailable", "ProgressStoreRefusing", "ProgressRedisDown", "ProgressDatabaseFallback"}
WHILE_REFUSING = ALERTS - ONLY_SERVICE - WITHOUT_STORES - OF_STORES - READABLE


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    async with running(tmp_path) as manager:
        yield manager


def warnings_of_everything(job: str) -> list[dict[str, Any]]:
    """Return each alert of ours as a replica of some deployment brings it about, at its lowest severity."""
    mildest = {each.name: each for each in sorted(alerts(), key=lambda each: each.labels["severity"])}
    return [
        each.sent(**A_JOB, job=job, instance="a:8650", loop="recorder", transport="sse") for each in mildest.values()
    ]


async def test_a_store_outage_is_told_and_not_that_jobs_stall_and_nothing_foreign_is_lost(
    manager: Alertmanager,
) -> None:
    outage = alert("ProgressStoreUnavailable").sent()
    await manager.fire(outage)
    await manager.webhook.first("ProgressStoreUnavailable")
    await manager.fire(alert("ProgressJobStalled", "critical").sent(**A_JOB), FOREIGN)
    await manager.webhook.first("HostOutOfDiskSpace")
    await manager.fire(FOREIGN_LATER)
    await manager.webhook.first("HostOutOfMemory")
    assert manager.webhook.named("ProgressJobStalled") == []
    assert await manager.muted() == {("ProgressJobStalled", "progress-sidecar")}
    await manager.resolve(outage)
    await manager.webhook.first("ProgressJobStalled")
    await manager.webhook.first("ProgressStoreUnavailable", "resolved")


async def test_what_arrives_leads_to_the_job_and_to_its_runbook(manager: Alertmanager) -> None:
    await manager.fire(alert("ProgressJobStalled", "warning").sent(**A_JOB))
    came = await manager.webhook.first("ProgressJobStalled")
    links = came["annotations"]
    assert links["dashboard_url"] == "/d/progress-job?var-job=progress-sidecar&var-job_type=crawl&var-job_id=nightly-7"
    assert (ROOT / links["runbook_url"]).is_file()
    assert came["labels"]["project"] == "uni"


@pytest.mark.parametrize(
    ("cause", "severity", "muted"),
    [
        ("ProgressSidecarDown", "critical", ALERTS - ONLY_SERVICE),
        ("ProgressSidecarDown", "warning", set()),
        ("ProgressSidecarAbsent", "critical", ALERTS - ONLY_SERVICE | {"ProgressSidecarDown"}),
        ("ProgressStoreUnavailable", "critical", ALERTS - ONLY_SERVICE - WITHOUT_STORES),
        ("ProgressStoreRefusing", "critical", WHILE_REFUSING),
        ("ProgressRedisDown", "critical", OF_REDIS | FROM_SQL | {"ProgressRedisDown"}),
        ("ProgressRedisDown", "warning", OF_REDIS | FROM_SQL),  # by the backlog, which mutes while it is muted itself
        ("ProgressOutboxBacklog", "warning", FROM_SQL),
        ("ProgressJobStalled", "critical", {"ProgressJobStalled"}),
    ],
)
async def test_a_cause_mutes_what_it_leads_to_in_its_own_deployment(
    manager: Alertmanager, cause: str, severity: str, muted: set[str]
) -> None:
    ours, theirs = warnings_of_everything("progress-sidecar"), warnings_of_everything("progress-elsewhere")
    harmless = [
        each for each in ours if each["labels"]["alertname"] not in CAUSES or each["labels"]["alertname"] in muted
    ]
    await manager.fire(
        alert(cause, severity).sent(**A_JOB, instance="a:8650"),
        *harmless,
        *only_effects(theirs),
        *FOREIGN_NAMESAKES,
        FOREIGN,
    )
    await manager.webhook.first("HostOutOfDiskSpace")  # by then it knows of the cause
    assert await manager.settled({(name, "progress-sidecar") for name in muted})


CAUSES = {
    "ProgressSidecarDown",
    "ProgressSidecarAbsent",
    "ProgressStoreUnavailable",
    "ProgressStoreRefusing",
    "ProgressRedisDown",
    "ProgressOutboxBacklog",
}  # fmt: skip


def only_effects(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in sent if each["labels"]["alertname"] not in CAUSES]
