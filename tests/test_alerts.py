"""The rules in alerts/ are valid, fire when they should, speak of what there is, and send people somewhere useful."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.alerts.rules import (
    ALERTMANAGER,
    ALERTS,
    DASHBOARDS,
    FOLDER,
    ROOT,
    RULE_FILES,
    TEST_FILES,
    Alert,
    alerts,
    questions,
    rules,
    seconds,
)

SECONDS = 60.0
SEVERITIES = {"critical", "warning", "info", "none"}
OF_ONE_JOB = {f"ProgressJob{name}" for name in ("Stalled", "Silent", "Overdue", "DeadlineMissed", "CancelStuck")}
SOMETHING = dict.fromkeys(("job_id", "job_type", "project", "instance", "loop", "transport"), "some")
LED_TO = {"ProgressDatabaseFallback", "ProgressOutboxBacklog", "ProgressLoopCrashing", "ProgressMetricsCollectorErrors"}
MINUTE = 60
OURS = re.compile(r"""\bjob=(?:"progress-sidecar"|~"progress-sidecar(?:\(-\.\+\)\?|-\.\+)")""")
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard_url"}

A_JOB_STANDS_STILL = """
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series:
      - {{series: 'progress_job_last_advance_timestamp_seconds{{{first}}}', values: 0x60}}
      - {{series: 'progress_job_last_advance_timestamp_seconds{{{second}}}', values: 0x60}}
      - {{series: 'progress_job_stall_threshold_seconds{{{first}}}', values: 600x60}}
      - {{series: 'progress_job_stall_threshold_seconds{{{second}}}', values: 600x60}}
    alert_rule_test:
      - {{eval_time: 5m, alertname: Naive, exp_alerts: []}}
""".format(first='instance="a",job_id="j1"', second='instance="b",job_id="j1"')

A_PLAIN_JOIN = """
groups:
  - name: naive
    rules:
      - alert: Naive
        expr: >-
          time() - progress_job_last_advance_timestamp_seconds > on (job_id) progress_job_stall_threshold_seconds
"""


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = shutil.which(program)
    assert path is not None, f"{program} is missing; on Debian: apt-get install prometheus prometheus-alertmanager"
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603


def assert_succeeds(program: str, *arguments: str | Path) -> None:
    done = run(program, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_every_rule() -> None:
    assert_succeeds("promtool", "check", "rules", *RULE_FILES)


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_rules_fire_and_keep_quiet_as_their_tests_say(path: Path) -> None:
    assert_succeeds("promtool", "test", "rules", path)


def test_two_replicas_would_break_a_plain_join(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(A_PLAIN_JOIN, "utf-8")
    (tmp_path / "tests.yml").write_text(A_JOB_STANDS_STILL, "utf-8")
    done = run("promtool", "test", "rules", tmp_path / "tests.yml")
    assert done.returncode != 0
    assert "many-to-many" in done.stdout + done.stderr


def test_there_is_every_alert_that_is_promised_and_no_other() -> None:
    assert {each.name for each in alerts()} == ALERTS


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_is_seen_to_fire_over_two_replicas_and_to_keep_quiet(name: str) -> None:
    asked = [each for each in questions() if each.name == name]
    assert any(each.fires and each.replicas > 1 for each in asked)
    assert any(not each.fires for each in asked) or name == "ProgressWatchdog"  # which always fires


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_every_alert_says_what_it_is_and_where_to_look(alert: Alert) -> None:
    assert alert.labels["severity"] in SEVERITIES
    assert set(alert.annotations) == ANNOTATIONS
    assert "{{" not in alert.annotations["summary"]
    assert "{{" in alert.annotations["description"] or alert.name == "ProgressWatchdog"


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_has_a_runbook_that_says_what_to_do(name: str) -> None:
    links = {each.sent(**SOMETHING)["annotations"]["runbook_url"] for each in alerts() if each.name == name}
    assert links == {f"docs/runbooks/{name}.md"}
    page = (ROOT / "docs" / "runbooks" / f"{name}.md").read_text("utf-8")
    assert page.startswith(f"# {name}\n")
    for heading in ("## What it means", "## How to see it", "## What to do first", "## What it is not"):
        assert heading in page


def test_links_begin_where_prometheus_says_that_documents_and_dashboards_are() -> None:
    for each in alerts():
        assert each.annotations["runbook_url"].startswith("{{ $externalLabels.docs_url }}docs/runbooks/")
        assert each.annotations["dashboard_url"].startswith("{{ $externalLabels.grafana_url }}/d/")


def test_alerts_on_one_job_say_whose_it_is_and_do_not_wait_for_longer_than_short_jobs_live() -> None:
    found = [each for each in alerts() if each.is_of_one_job]
    assert {each.name for each in found} == {name for name in ALERTS if name in OF_ONE_JOB}
    for each in found:
        assert "group_left (project)" in each.expression
        assert "project {{ $labels.project }}" in each.annotations["description"]
        assert (each.waits_for, each.keep_firing_for) == ("1m", "2m")


def test_the_page_of_alerts_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \|", page, re.MULTILINE))
    assert rows == {name: name for name in ALERTS}


def test_there_is_no_runbook_without_its_alert() -> None:
    assert {path.stem for path in (ROOT / "docs" / "runbooks").glob("Progress*.md")} == ALERTS


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_every_alert_links_to_a_dashboard_with_its_variables_filled(alert: Alert) -> None:
    used = set(re.findall(r"by \(([^)]*)\)", alert.expression))
    labels = {label.strip(): f"some-{label.strip()}" for group in used for label in group.split(",")}
    link = urlsplit(alert.sent(**(labels | {"instance": "a:8650"}))["annotations"]["dashboard_url"])
    assert link.path.removeprefix("/d/") in DASHBOARDS
    variables = parse_qs(link.query, strict_parsing=True) if link.query else {}
    assert set(variables) <= {"var-job", "var-instance", "var-job_type", "var-job_id"}
    assert variables or alert.name == "ProgressWatchdog"
    assert ("var-job_id" in variables) == (link.path == "/d/progress-job")


def test_every_metric_of_the_rules_is_documented() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE))
    used = {name for rule in rules() for name in re.findall(r"(?<![:\w])[a-z_]+(?={)", rule["expr"])} - {"up"}
    assert len(used) >= 20
    assert {
        name for name in used if name not in rows and re.sub(r"_(bucket|count|sum)$", "", name) not in rows
    } == set()


def test_only_our_own_scrape_is_looked_at() -> None:
    for rule in rules():
        for selector in re.findall(r"[a-z_:\d]+{([^}]*)", rule["expr"]):
            assert OURS.search(selector), rule["expr"]


def test_every_deployment_by_its_own_name_is_looked_at_alike() -> None:
    exact = [rule["alert"] for rule in rules() if 'job="progress-sidecar"' in rule["expr"]]
    assert exact == ["ProgressSidecarDown", "ProgressSidecarAbsent"]  # what has a name that does not change is missed


def test_alerts_on_single_jobs_and_on_ratios_stay_for_a_while_when_they_flap() -> None:
    flapping = [each for each in alerts() if "job_id" in each.expression or re.search(r"(?:^|\s)/\s", each.expression)]
    missing = {each.name for each in flapping if each.keep_firing_for is None}
    assert len(flapping) >= 10
    assert missing == {"ProgressStallThresholdMissing"}  # what it tells of is missing for good


@pytest.mark.parametrize("outage", ["ProgressStoreUnavailable", "ProgressStoreRefusing", "ProgressRedisDown"])
def test_an_outage_is_told_of_until_what_it_led_to_is_over(outage: str) -> None:
    muting = min(seconds(each.keep_firing_for or "0s") for each in alerts() if each.name == outage)
    led_to = [each for each in alerts() if each.name in LED_TO or each.labels.get("window") == "1h"]
    assert len(led_to) == len(LED_TO) + 1
    for each in led_to:
        assert each.lasts_seconds + MINUTE <= muting, each.name


def test_alertmanager_takes_its_configuration() -> None:
    assert_succeeds("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=ProgressJobStalled severity=warning", "team"),
        ("alertname=ProgressJobStalled severity=critical", "on-call"),
        ("alertname=ProgressJobSilent severity=warning", "team"),
        ("alertname=ProgressStoreUnavailable severity=critical", "on-call"),
        ("alertname=ProgressStoreRefusing severity=critical", "on-call"),
        ("alertname=ProgressRedisDown severity=warning", "team"),
        ("alertname=ProgressRedisDown severity=critical", "on-call"),
        ("alertname=ProgressJobSeriesCapped severity=info", "notes"),
        ("alertname=ProgressWatchdog severity=none", "heartbeat"),
        ("alertname=HostOutOfDiskSpace severity=warning", "team"),
        ("alertname=HostOutOfDiskSpace severity=critical", "on-call"),
        ("alertname=HostOutOfDiskSpace", "team"),
    ],
)
def test_alerts_go_to_whom_their_severity_concerns(labels: str, receiver: str) -> None:
    done = run(
        *("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}"),
        *(f"--verify.receivers={receiver}", *labels.split()),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_alertmanager_names_are_alerts_of_ours() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text("utf-8"))
    sides = ("source_matchers", "target_matchers")
    matchers = [matcher for rule in config["inhibit_rules"] for side in sides for matcher in rule[side]]
    patterns = [found[1] for each in matchers if (found := re.fullmatch(r'alertname (?:=|=~|!~) "(.*)"', each))]
    named = {name for pattern in patterns for name in _alternatives(pattern)}
    assert named == ALERTS - {"ProgressWatchdog"}


def _alternatives(pattern: str) -> set[str]:
    """Return the names that a pattern of the form `A(b|c)|D` stands for."""
    names: set[str] = set()
    for start, ends, alone in re.findall(r"(\w+)\(([^)]*)\)|([^|]+)", pattern):
        names |= {start + end for end in ends.split("|")} if start else {alone}
    return names


def test_the_folder_holds_nothing_that_is_not_looked_at() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        "alertmanager",
        "tests",
        *(each.name for each in RULE_FILES),
    }
