"""Grafana's own rules for good dashboards hold, but for what is excluded, with its reason."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.documents import BOARDS, board
from tests.dashboards.linter import RULES

NOT_OF_A_REPLICA = (
    "alerts tell of all replicas together, and then have no label `instance`: `$instance|` finds these, too"
)

EXCLUSIONS = {
    ("target-instance-rule", "overview / Firing alerts / A"): NOT_OF_A_REPLICA,
    ("target-instance-rule", "overview / Alerts that fire / A"): NOT_OF_A_REPLICA,
}
"""What breaks a rule on purpose, and why; one that is not needed any more is an error as well."""

Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize("name", RULES)
def test_dashboards_keep_the_rule(name: str) -> None:
    broken = {(name, where) for each in BOARDS for where in RULES[name](each)}
    assert broken == {key for key in EXCLUSIONS if key[0] == name}


def panel(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["panels"] if each["type"] == "timeseries")
    return found


def stat(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["panels"] if each["type"] == "stat")
    return found


def variable(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["templating"]["list"] if each["name"] == name)
    return found


def asking(expr: str) -> Change:
    return lambda document: panel(document)["targets"][0].update(expr=expr)


CHOSEN = 'job=~"$job", instance=~"$instance"'

BREAKING: dict[str, Change] = {
    "template-datasource-rule": lambda it: variable(it, "datasource").update(name="source"),
    "template-job-rule": lambda it: variable(it, "job").update(multi=False),
    "template-instance-rule": lambda it: variable(it, "instance").update(allValue=".*"),
    "template-label-promql-rule": lambda it: variable(it, "job").update(query="label_values(up{, job)"),
    "template-on-time-change-reload-rule": lambda it: variable(it, "job").update(refresh=1),
    "panel-datasource-rule": lambda it: panel(it)["datasource"].update(uid="prometheus"),
    "panel-title-description-rule": lambda it: panel(it).update(description=""),
    "panel-units-rule": lambda it: panel(it)["fieldConfig"]["defaults"].update(unit="furlongs"),
    "panel-no-targets-rule": lambda it: panel(it).update(targets=[]),
    "target-logql-rule": lambda it: panel(it)["targets"][0]["datasource"].update(type="loki"),
    "target-logql-auto-rule": lambda it: panel(it)["targets"][0]["datasource"].update(type="loki"),
    "target-promql-rule": asking(f"sum(up{{{CHOSEN}}}"),
    "target-rate-interval-rule": asking(f"rate(some_total{{{CHOSEN}}}[5m])"),
    "target-job-rule": asking('up{job="progress-sidecar", instance=~"$instance"}'),
    "target-instance-rule": asking('up{job=~"$job"}'),
    "target-counter-agg-rule": asking(f"sum(some_total{{{CHOSEN}}})"),
    "stat-instant-rule": lambda it: stat(it)["targets"][0].update(instant=False, range=True),
    "uneditable-dashboard": lambda it: it.update(editable=True),
}
"""For each rule a change that breaks it."""


@pytest.mark.parametrize("name", RULES)
def test_the_rule_finds_what_breaks_it(name: str) -> None:
    broken = board("job")
    assert list(RULES[name](broken)) == []
    BREAKING[name](broken.document)
    assert list(RULES[name](broken)) != []
