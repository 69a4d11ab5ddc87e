"""The dashboards agree with the metrics, the alerts, the documents, and one another."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests.alerts.rules import FOLDER as ALERTS
from tests.alerts.rules import alerts
from tests.dashboards.documents import BOARDS, ROOT, TARGETS, Board, Selector

METRICS = (ROOT / "docs" / "metrics.md").read_text("utf-8")
ROWS: dict[str, str] = dict(re.findall(r"^\| `(\w+)` \|(.*)$", METRICS, re.MULTILINE))
OF_PROMETHEUS = {"up", "ALERTS"}

OF_SINGLE_JOBS = set(re.findall(r"^\| `(\w+)`", METRICS.split("## Single jobs")[1].split("\n## ")[0], re.MULTILINE))
OF_THE_OUTBOX = {f"progress_outbox_{name}" for name in ("length", "bytes", "limit_bytes", "oldest_timestamp_seconds")}
SHARED = OF_SINGLE_JOBS | OF_THE_OUTBOX | {name for name, row in ROWS.items() if "*Shared.*" in row}

ONCE = re.compile(r"\bmax(?: by \([^()]*\) )?\((?:deriv\()?$|\band on \(job_type\) last_over_time\($")
"""What has to stand before a value that every replica reads alike."""

WITH_EXEMPLARS = ("progress_stage_duration_seconds_bucket", "progress_http_request_duration_seconds_bucket")

VARIABLE = re.compile(r"\$(?:\{([^}:]+)(?::\w+)?\}|(\w+))")
OF_GRAFANA = re.compile(
    r"__(?:all|from|to|range|rate_interval|url_time_range|value\.raw|(?:data\.fields|field\.labels)\.\w+)"
)


def selectors() -> Iterator[Selector]:
    return (selector for target in TARGETS.values() for selector in target.selectors)


def family(name: str) -> str:
    return name if name in ROWS else re.sub(r"_(bucket|count|sum)$", "", name)


GRAFANA = "{{ $externalLabels.grafana_url }}"
"""Before the links of alerts."""


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from strings(each)


def variables(board: Board) -> set[str]:
    return {each["name"] for each in board.variables}


def board_of(uid: str) -> Board:
    return next(each for each in BOARDS if each.document["uid"] == uid)


def test_every_metric_that_is_shown_is_documented() -> None:
    assert {family(each.metric) for each in selectors()} - ROWS.keys() - OF_PROMETHEUS == set()


def test_every_metric_of_ours_is_shown_somewhere() -> None:
    ours = {name for name in ROWS if name.startswith(("progress_", "sse_", "db_"))}
    assert ours - {family(each.metric) for each in selectors()} == set()


def test_what_every_replica_reads_alike_is_taken_once() -> None:
    shared = [each for each in selectors() if each.metric in SHARED]
    assert len({each.metric for each in shared}) > 15
    assert [each.text for each in shared if not ONCE.search(each.before)] == []


def test_windows_are_those_that_are_shown_but_for_the_objective() -> None:
    windows = {
        (target.dashboard, each.window) for target in TARGETS.values() for each in target.selectors if each.window
    }
    fixed = {dashboard for dashboard, window in windows if window not in {"$__rate_interval", "$__range"}}
    assert fixed == {"slo"}


def test_stages_and_requests_come_with_exemplars() -> None:
    for board in BOARDS:
        for panel in board.panels:
            for target in panel["targets"]:
                spread = "histogram_quantile" in target["expr"] or target["format"] == "heatmap"
                has_some = spread and not target["instant"] and any(name in target["expr"] for name in WITH_EXEMPLARS)
                drawn = panel["type"] in {"timeseries", "heatmap"}
                assert target["exemplar"] == (has_some and drawn), (board.name, panel["title"])


def test_every_variable_that_is_used_is_there() -> None:
    for board in BOARDS:
        used = {found[1] or found[2] for text in strings(board.document) for found in VARIABLE.finditer(text)}
        assert {name for name in used - variables(board) if not OF_GRAFANA.fullmatch(name)} == set(), board.name


def test_links_lead_to_dashboards_that_have_the_variables_which_they_fill() -> None:
    urls = {text for board in BOARDS for text in strings(board.document) if text.startswith("/d/")}
    assert len(urls) >= 6
    of_alerts = {alert.annotations["dashboard_url"].removeprefix(GRAFANA) for alert in alerts()}
    for url in urls | of_alerts:
        parts = urlsplit(url)
        filled = {name.removeprefix("var-") for name, _ in parse_qsl(parts.query) if name.startswith("var-")}
        assert filled <= variables(board_of(parts.path.removeprefix("/d/"))), url


def test_the_objective_is_that_of_the_alerts() -> None:
    rules = yaml.safe_load((ALERTS / "slo.yml").read_text("utf-8"))["groups"][0]["rules"]
    pairs = r"ratio_rate(\w+)\{[^}]*\} > ([\d.]+) \* 0\.005\s+and\s+\S+ratio_rate(\w+)\{"
    expected = {found.groups() for rule in rules if "alert" in rule if (found := re.search(pairs, rule["expr"]))}
    burns = [panel for panel in board_of("progress-slo").panels if panel["title"].startswith("Burn over")]
    shown = set()
    for panel in burns:
        long, short = re.findall(r"\d+[mhd]", panel["title"])
        limit = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        asked = [set(re.findall(r"\[(\w+)\]", target["expr"])) for target in panel["targets"]]
        assert asked == [{long}, {short}]
        shown.add((long, f"{limit:g}", short))
    assert shown == expected
    assert len(shown) == 4


def test_every_row_is_documented() -> None:
    page = (ROOT / "docs" / "dashboards.md").read_text("utf-8")
    rows = [panel["title"] for board in BOARDS for panel in board.document["panels"] if panel["type"] == "row"]
    assert [row for row in rows if f"**{row}**" not in page] == []
