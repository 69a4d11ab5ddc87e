"""The alert on stalled jobs goes by the watchdog's clock: real jobs, what two scrapes say of them, the real rules."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry

from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.core import merge
from sidecar.core.job import Job
from sidecar.core.stalls import Limits, judged
from sidecar.core.view import View, view
from sidecar.ports import Counts
from tests.alerts.rules import FOLDER
from tests.core.updates import update

MINUTE = 60
HOUR = 60 * MINUTE
REPLICAS = ("a:8650", "b:8650")
FAMILIES = (
    "progress_job_last_advance_timestamp_seconds{",
    "progress_job_stall_threshold_seconds{",
    "progress_job_info{",
)


class Wait(NamedTuple):
    """A job that says one thing, then waits, then goes on and does nothing but speak."""

    begins_with: str
    waits_as: str
    began_at: int
    went_on_at: int

    def minutes(self, count: int) -> Iterator[Job]:
        """Yield the job as it is at the beginning, and after each minute; it speaks once in each."""
        statuses = {0: self.begins_with, self.began_at: self.waits_as, self.went_on_at: "running"}
        job: Job | None = None
        for minute in range(count + 1):
            status = statuses.get(minute * MINUTE)
            words = {"message": str(minute)} if status is None else {"status": status}
            job = merge.apply(job, update("w", minute + 1, words=words), minute * MINUTE).job
            yield job


PAUSED = Wait("running", "paused", 4 * MINUTE, 3 * HOUR + 4 * MINUTE)
BLOCKED = Wait("running", "blocked", 4 * MINUTE, 3 * HOUR + 4 * MINUTE)
QUEUED = Wait("queued", "queued", 0, 2 * HOUR)


class One:
    """A census of one job."""

    def __init__(self) -> None:
        self.jobs: list[View] = []

    async def counts(self) -> Counts:
        return Counts()

    async def outstanding(self, limit: int) -> list[View]:
        del limit
        return self.jobs


async def told(jobs: Sequence[Job], limits: Limits) -> list[dict[str, float]]:
    """Return what a scrape says of the job each minute, by series as Prometheus writes them."""
    metrics, census = PrometheusMetrics(CollectorRegistry()), One()
    metrics.attach(census, {}, lambda _: limits, 10)
    scrapes = []
    for job in jobs:
        census.jobs = [view(job)]
        body, _ = await metrics.render(None, 10.0)
        lines = [line.rsplit(" ", 1) for line in body.decode().splitlines() if line.startswith(FAMILIES)]
        scrapes.append({name: float(value) for name, value in lines})
    return scrapes


def series(scrapes: Sequence[dict[str, float]]) -> list[dict[str, str]]:
    """Return the scrapes, a minute apart, as promtool wants them, of each replica."""
    names = {name for each in scrapes for name in each}
    labels = [f'job="progress-sidecar",instance="{instance}",' for instance in REPLICAS]
    return [
        {
            "series": name.replace("{", "{" + label, 1),
            "values": " ".join(_value(each.get(name)) for each in scrapes),
        }
        for name in sorted(names)
        for label in labels
    ]


def _value(number: float | None) -> str:
    return "_" if number is None else {float("inf"): "+Inf"}.get(number, f"{number:f}")


def asked(minute: int, *severities: str) -> dict[str, Any]:
    """Return the question whether the alert fires then in just these severities; what it says is asked elsewhere."""
    query = 'count by (severity) (ALERTS{alertname="ProgressJobStalled", alertstate="firing"})'
    found = [{"labels": f'{{severity="{each}"}}', "value": 1} for each in severities]
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": found}


def assert_holds(path: Path) -> None:
    command = ["promtool", "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("limit", [600, 3600])
@pytest.mark.parametrize("wait", [PAUSED, BLOCKED, QUEUED], ids=["paused", "blocked", "queued"])
async def test_a_job_that_waited_for_hours_has_all_of_its_time_when_it_goes_on(
    wait: Wait, limit: int, tmp_path: Path
) -> None:
    limits = Limits(no_progress_seconds=limit, not_started_seconds=1e6)
    on, most = wait.went_on_at // MINUTE, limit // MINUTE
    end = on + 3 * most + 5
    jobs = list(wait.minutes(end))
    quiet = [*range(10, on, 20), *range(on, on + most + 1)]
    document = {
        "rule_files": [str(FOLDER / "jobs.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series(await told(jobs, limits)),
                "promql_expr_test": [
                    *(asked(minute) for minute in quiet),
                    asked(on + most + 3, "warning"),
                    asked(on + 3 * most, "warning"),
                    asked(on + 3 * most + 3, "critical", "warning"),
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(document, width=1_000_000), "utf-8")
    assert_holds(path)
    assert judged(view(jobs[on + most - 1]), (on + most - 1) * MINUTE, limits) is None
    found = judged(view(jobs[on + most]), (on + most) * MINUTE, limits)
    assert found is not None
    assert found.since == wait.went_on_at
