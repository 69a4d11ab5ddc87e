"""The rules of alerts/, and their tests, as they stand in their files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "alerts"
ALERTMANAGER = FOLDER / "alertmanager" / "alertmanager.yml"
RULE_FILES = sorted(FOLDER.glob("*.yml"))
TEST_FILES = sorted((FOLDER / "tests").glob("*.yml"))
DASHBOARDS = frozenset(json.loads(path.read_text("utf-8"))["uid"] for path in (ROOT / "dashboards").glob("*.json"))

ALERTS = frozenset({
    "ProgressJobStalled",
    "ProgressJobSilent",
    "ProgressJobOverdue",
    "ProgressJobDeadlineMissed",
    "ProgressJobCancelStuck",
    "ProgressJobsStalledWidely",
    "ProgressNoUpdates",
    "ProgressStallThresholdMissing",
    "ProgressJobFailureRatioHigh",
    "ProgressJobsQueuedTooLong",
    "ProgressSuccessOverdue",
    "ProgressSidecarDown",
    "ProgressSidecarAbsent",
    "ProgressStoreUnavailable",
    "ProgressStoreRefusing",
    "ProgressRedisDown",
    "ProgressDatabaseFallback",
    "ProgressOutboxBacklog",
    "ProgressStreamDisconnectsHigh",
    "ProgressStreamConnectionsSaturated",
    "ProgressIngestRejectionsHigh",
    "ProgressIngestErrorBudgetBurn",
    "ProgressLoopCrashing",
    "ProgressMetricsCollectorErrors",
    "ProgressJobSeriesCapped",
    "ProgressWatchdog",
})  # fmt: skip
"""What people route by, silence and have runbooks for: a name goes only with a line in the changelog."""


SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(duration: str) -> int:
    """Return how long `10m`, or the like, is."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


@dataclass(frozen=True)
class Alert:
    """One alerting rule; a name may have several, of different severity."""

    name: str
    expression: str
    waits_for: str
    keep_firing_for: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def lasts_seconds(self) -> int:
        """How long it fires on when its cause is gone: for its shortest window, and as long as it is kept."""
        windows = re.findall(r"\[(\d+[mhd])\]|rate(\d+[mhd])", self.expression)
        kept = seconds(self.keep_firing_for or "0s")
        return kept + min((seconds(direct or recorded) for direct, recorded in windows), default=0)

    @property
    def is_of_one_job(self) -> bool:
        """Whether it tells of one job, by its id."""
        return "job_id" in self.annotations["description"]

    def sent(self, **labels: str) -> dict[str, Any]:
        """Return what Alertmanager gets of it, from a series with these labels; links lead to nowhere in particular."""
        shown = {"job": "progress-sidecar", **self.labels, **labels}
        annotations = {name: _filled(text, shown) for name, text in self.annotations.items()}
        return {"labels": {"alertname": self.name, **shown}, "annotations": annotations}


@cache
def rules() -> tuple[Mapping[str, Any], ...]:
    """Return every rule, recording ones among them."""
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return tuple(rule for group in groups for rule in group["rules"])


@cache
def alerts() -> tuple[Alert, ...]:
    """Return every alerting rule."""
    return tuple(
        Alert(
            *(rule["alert"], rule["expr"], rule.get("for", "0s"), rule.get("keep_firing_for")),
            *(rule["labels"], rule["annotations"]),
        )
        for rule in rules()
        if "alert" in rule
    )


def alert(name: str, severity: str | None = None) -> Alert:
    """Return the one rule of this name and severity."""
    found = [each for each in alerts() if each.name == name and severity in {None, each.labels["severity"]}]
    assert len(found) == 1, (name, severity)
    return found[0]


@dataclass(frozen=True)
class Tested:
    """One question to promtool: which alerts of a name fire, given what so many replicas tell."""

    name: str
    fires: bool
    replicas: int


@cache
def questions() -> tuple[Tested, ...]:
    """Return every question that the tests of the rules ask."""
    groups = [group for path in TEST_FILES for group in yaml.safe_load(path.read_text("utf-8"))["tests"]]
    return tuple(
        Tested(question["alertname"], bool(question["exp_alerts"]), _replicas(group))
        for group in groups
        for question in group.get("alert_rule_test", ())
    )


def _replicas(group: Mapping[str, Any]) -> int:
    series = "".join(each["series"] for each in group["input_series"] if 'job="progress-sidecar"' in each["series"])
    return len(set(re.findall(r'instance="([^"]*)"', series)))


def _filled(text: str, labels: Mapping[str, str]) -> str:
    """Return the text with its labels; of values there is only a stand-in."""
    with_labels = re.sub(r"{{ \$labels\.(\w+) }}", lambda label: labels[label[1]], text)
    return re.sub(r"{{ \$externalLabels\.\w+ }}", "", re.sub(r"{{ \$value[^}]*}}", "7", with_labels))
