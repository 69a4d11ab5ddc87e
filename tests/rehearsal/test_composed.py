"""A rehearsal can begin at any time: all that compose runs comes up here, too, with the files that it mounts."""

from pathlib import Path

from tests.faults.patience import until
from tests.rehearsal.composed import composed

SECONDS = 60.0
"""Prometheus looks every 15 s, as it does for people."""

AGAIN_SECONDS = 100.0
"""What fires before Prometheus knows of Alertmanager is sent again a minute later."""


async def test_prometheus_sees_the_sidecar_with_both_stores_and_the_demo_at_work(tmp_path: Path) -> None:
    async with composed(tmp_path) as stage:
        await stage.prometheus.until('up{job="progress-sidecar"} == 1', SECONDS)
        await stage.prometheus.until('count(progress_store_up{job="progress-sidecar"} == 1) == 2', SECONDS)
        await stage.prometheus.until('sum(progress_job_info{project="demo"}) > 0', SECONDS)
        await until(lambda: bool(stage.webhook.named("ProgressWatchdog")), AGAIN_SECONDS, "somebody is told")
        (told, *_) = stage.webhook.named("ProgressWatchdog")
    assert told["annotations"]["runbook_url"].endswith("/user/docs/runbooks/ProgressWatchdog.md")
