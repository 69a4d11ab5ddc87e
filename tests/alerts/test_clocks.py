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
from sidecar.core.job import Job, Stall, StallReason
from sidecar.core.stalls import Limits, Settling, judged
from sidecar.core.view import View, view
from sidecar.ports import Counts
from tests.alerts.rules import FOLDER
from tests.clock import Clock
from tests.core.updates import update, view_of

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


class Outage(NamedTuple):
    """From which minute until which nobody looked for jobs that stall, and whether nobody could be asked either."""

    since: int
    until: int
    is_dark: bool = False

    @property
    def scrapes_missing(self) -> range:
        return range(self.since, self.until) if self.is_dark else range(0)


NONE = Outage(10**6, 10**6)


class One:
    """A census of one job."""

    def __init__(self) -> None:
        self.jobs: list[View] = []
        self.settling = Settling()

    async def counts(self) -> Counts:
        return Counts(settling=self.settling)

    async def outstanding(self, limit: int) -> list[View]:
        del limit
        return self.jobs


async def told(jobs: Sequence[Job], limits: Limits, outage: Outage = NONE) -> list[dict[str, float]]:
    """Return what a scrape says of the job each minute, by series as Prometheus writes them."""
    clock = Clock(0.0)
    metrics, census = PrometheusMetrics(CollectorRegistry(), clock=clock), One()
    metrics.attach(census, {}, lambda _: limits, 10)
    scrapes: list[dict[str, float]] = []
    for minute, job in enumerate(jobs):
        clock.now = minute * MINUTE
        census.jobs = [view(job)]
        if minute in outage.scrapes_missing:
            scrapes.append({})
            continue
        if minute >= outage.until:
            census.settling = Settling(outage.until * MINUTE, (2 * outage.until - outage.since) * MINUTE)
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


def document(scrapes: Sequence[dict[str, float]], questions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    group = {"interval": "1m", "input_series": series(scrapes), "promql_expr_test": list(questions)}
    return {"rule_files": [str(FOLDER / "jobs.yml")], "evaluation_interval": "1m", "tests": [group]}


def assert_answers(scrapes: Sequence[dict[str, float]], questions: Sequence[dict[str, Any]], path: Path) -> None:
    path.write_text(yaml.safe_dump(document(scrapes, questions), width=1_000_000), "utf-8")
    assert_holds(path)


SPEAKS = [view_of(update("w", 1, current=1), update("w", 2, words={"message": "here"}), at=0.0)] * 90
"""A job that does nothing more, minute by minute."""

BLIPS = {
    "redis-away": Outage(30, 32),
    "redis-away-for-long": Outage(30, 50),
    "sidecar-restarts": Outage(30, 31, is_dark=True),
    "watchdog-hands-over": Outage(31, 32),
}


@pytest.mark.parametrize("reason", [StallReason.SILENT, StallReason.NO_PROGRESS, StallReason.OVERDUE])
@pytest.mark.parametrize("outage", BLIPS.values(), ids=BLIPS)
async def test_a_job_of_which_is_told_that_it_stands_still_is_told_of_on_when_nobody_looked_for_a_while(
    outage: Outage, reason: StallReason, tmp_path: Path
) -> None:
    limits = Limits(no_progress_seconds=10 * MINUTE)
    stuck = [
        each if at < 12 else merge.stall(each, Stall(reason, 0.0, 600.0), 720.0).view for at, each in enumerate(SPEAKS)
    ]
    scrapes = await told([each.job for each in stuck], limits, outage)
    fires = [asked(minute, "warning") for minute in (13, 29)]
    again = [asked(minute, "critical", "warning") for minute in range(outage.until + 2, 90)]
    assert_answers(scrapes, [*fires, *again], tmp_path / "tests.yml")


async def test_a_job_that_moved_until_nobody_looked_calls_nobody_before_it_has_had_its_time(tmp_path: Path) -> None:
    limits = Limits(no_progress_seconds=10 * MINUTE)
    moves = [view_of(update("w", 1, current=1), at=min(minute, 30) * MINUTE).job for minute in range(90)]
    scrapes = await told(moves, limits, Outage(30, 60, is_dark=True))
    assert_answers(scrapes, [asked(minute) for minute in range(60, 90)], tmp_path / "tests.yml")


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
    questions = [
        *(asked(minute) for minute in quiet),
        asked(on + most + 3, "warning"),
        asked(on + 3 * most, "warning"),
        asked(on + 3 * most + 3, "critical", "warning"),
    ]
    assert_answers(await told(jobs, limits), questions, tmp_path / "tests.yml")
    assert judged(view(jobs[on + most - 1]), (on + most - 1) * MINUTE, limits) is None
    found = judged(view(jobs[on + most]), (on + most) * MINUTE, limits)
    assert found is not None
    assert found.since == wait.went_on_at
