"""The rules of Grafana's dashboard-linter, by their names there, and one of ours: each yields where one is broken."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.models import units

from tests.dashboards.documents import Board

Rule = Callable[[Board], Iterator[str]]

UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
IN_RANGES = {"rate", "irate", "increase"}
LABEL_QUERY = re.compile(r"label_values\((?:(.+), )?\w+\)|label_names\(\)|metrics\(.*\)|query_result\((.+)\)")
ANYTHING = re.compile(r"\$\{?\w+\}?")
STATS = {"stat", "gauge", "bargauge"}
DURATIONS = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}


def template_datasource(board: Board) -> Iterator[str]:
    """The data source is a variable, called so."""
    found = [each for each in board.variables if each["type"] == "datasource"]
    if [(each["name"], each["label"], each["query"]) for each in found] != [
        ("datasource", "Data source", "prometheus")
    ]:
        yield "datasource"


def template_job(board: Board) -> Iterator[str]:
    """The job is a variable that can be several."""
    yield from _choice(board, "job")


def template_instance(board: Board) -> Iterator[str]:
    """So is the instance."""
    yield from _choice(board, "instance")


def _choice(board: Board, name: str) -> Iterator[str]:
    found = next((each for each in board.variables if each["name"] == name), {})
    wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
    if {key: found.get(key) for key in wanted} != wanted or found["datasource"]["uid"] != "${datasource}":
        yield name


def template_label_promql(board: Board) -> Iterator[str]:
    """Variables ask what Grafana understands, with a selector that Prometheus does."""
    for each in _queried(board):
        found = LABEL_QUERY.fullmatch(each["query"])
        if found is None or bad_promql([part for part in found.groups() if part]):
            yield each["name"]


def template_on_time_change_reload(board: Board) -> Iterator[str]:
    """Variables are asked for again when another time is chosen."""
    yield from (each["name"] for each in _queried(board) if each["refresh"] != 2)


def panel_datasource(board: Board) -> Iterator[str]:
    """Panels use the data source that is chosen."""
    yield from (each["title"] for each in board.panels if each["datasource"]["uid"] != "${datasource}")


def panel_title_description(board: Board) -> Iterator[str]:
    """Panels say what they are."""
    yield from (str(each["id"]) for each in board.panels if not (each.get("title") and each.get("description")))


def panel_units(board: Board) -> Iterator[str]:
    """Numbers have a unit that Grafana knows."""
    for panel in board.panels:
        properties = [each for override in panel["fieldConfig"]["overrides"] for each in override["properties"]]
        used = {each["value"] for each in properties if each["id"] == "unit"}
        if not {panel["fieldConfig"]["defaults"].get("unit"), *used} <= UNITS:
            yield panel["title"]


def panel_no_targets(board: Board) -> Iterator[str]:
    """Panels ask something."""
    yield from (each["title"] for each in board.panels if not each.get("targets"))


def target_logql(board: Board) -> Iterator[str]:
    """Queries for Loki are valid: nothing asks Loki."""
    for panel in board.panels:
        if {each["datasource"]["type"] for each in panel["targets"]} != {"prometheus"}:
            yield panel["title"]


def target_promql(board: Board) -> Iterator[str]:
    """Prometheus can read every query."""
    by_expr = {target.expr: target.where for target in board.targets}
    yield from (by_expr[expr] for expr in bad_promql(by_expr))


def target_rate_interval(board: Board) -> Iterator[str]:
    """Rates are over the interval that Grafana computes."""
    for target in board.targets:
        if any(it.function in {"rate", "irate"} and it.window != "$__rate_interval" for it in target.selectors):
            yield target.where


def target_job(board: Board) -> Iterator[str]:
    """Every selector has the job that is chosen."""
    yield from _without_matcher(board, "job")


def target_instance(board: Board) -> Iterator[str]:
    """And the instance."""
    yield from _without_matcher(board, "instance")


def _without_matcher(board: Board, name: str) -> Iterator[str]:
    for target in board.targets:
        if any(f'{name}=~"${name}"' not in selector.matchers for selector in target.selectors):
            yield target.where


def target_counter_agg(board: Board) -> Iterator[str]:
    """Counters are seen by how they grow."""
    for target in board.targets:
        counters = [each for each in target.selectors if each.metric.endswith("_total")]
        if any(each.function not in IN_RANGES or each.window is None for each in counters):
            yield target.where


def stat_is_instant(board: Board) -> Iterator[str]:
    """A rule of ours. What says how it is now asks for now: the last of a range may have been so hours ago."""
    for panel in board.panels:
        if panel["type"] in STATS and not all(each["instant"] and not each["range"] for each in panel["targets"]):
            yield panel["title"]


def uneditable(board: Board) -> Iterator[str]:
    """Nobody edits in Grafana what the next provisioning would take back."""
    if board.document["editable"] is not False:
        yield "editable"


RULES: Mapping[str, Rule] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": template_job,
    "template-instance-rule": template_instance,
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-logql-rule": target_logql,
    "target-logql-auto-rule": target_logql,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": target_job,
    "target-instance-rule": target_instance,
    "target-counter-agg-rule": target_counter_agg,
    "stat-instant-rule": stat_is_instant,
    "uneditable-dashboard": uneditable,
}


def bad_promql(exprs: Iterable[str]) -> list[str]:
    """Return those that Prometheus' own parser does not take; it is asked for all at once, and for each if need be."""
    given = list(exprs)
    if _is_read(given):
        return []
    return given if len(given) == 1 else [bad for each in given for bad in bad_promql([each])]


def _is_read(exprs: list[str]) -> bool:
    rules = [{"record": f"test:query:{number}", "expr": _readable(expr)} for number, expr in enumerate(exprs)]
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is missing; on Debian: apt-get install prometheus"
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        command = [promtool, "check", "rules", "--lint=none", str(Path(file.name))]
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0  # noqa: S603


def _readable(expr: str) -> str:
    """Return a query with something in the place of each variable."""
    for name, duration in DURATIONS.items():
        expr = expr.replace(name, duration)
    return ANYTHING.sub("x", expr)


def _queried(board: Board) -> list[Mapping[str, Any]]:
    return [each for each in board.variables if each["type"] == "query"]
