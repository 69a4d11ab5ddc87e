"""What the runbooks tell to type can be copied from the page, and is what its program takes."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.alerts.rules import ALERTS, ROOT, alerts, seconds

RUNBOOKS = ROOT / "docs" / "runbooks"
CODE = "    "
SHELL = ("curl ", "redis-cli ")
TYPED = re.compile(r"curl |redis-cli |[a-z_:]*\(|\w+ by \(|.*[a-z]{")
"""How a line begins that is to be typed, and no sentence."""

IN_WORDS = {"two": 2, "five": 5, "eight": 8, "ten": 10}
MORE = re.compile(r"stays? for (\w+)\s+minutes\s+more|resolves (\w+) minutes after")


def how_to_see(name: str) -> list[str]:
    """Return the lines of the section that has the commands."""
    page = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    return page.partition("\n## How to see it\n")[2].partition("\n## ")[0].splitlines()


def typed(name: str) -> list[str]:
    """Return what is to be typed."""
    return [line.removeprefix(CODE) for line in how_to_see(name) if line.startswith(CODE)]


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_what_is_to_be_typed_is_shown_as_code(name: str) -> None:
    lines = how_to_see(name)
    assert typed(name)
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith(CODE):  # right below a sentence it would be a part of it
            assert before == "" or before.startswith(CODE), line
        else:
            assert not TYPED.match(re.sub(r"`[^`]*`|\([^)]* [^)]*\)", "", line)), line


def test_prometheus_takes_the_queries(tmp_path: Path) -> None:
    queries = [line for name in sorted(ALERTS) for line in typed(name) if not line.startswith(SHELL)]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
    command = ["promtool", "check", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(queries) >= len(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_links_to_other_pages_lead_to_some(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert [link for link in re.findall(r"\]\(([^)#:]+)", page) if not (RUNBOOKS / link).is_file()] == []


def test_an_alert_stays_for_as_long_as_its_runbook_says() -> None:
    kept = {each.name: seconds(each.keep_firing_for or "0s") // 60 for each in alerts()}
    told = {
        name: IN_WORDS[found[1] or found[2]]
        for name in ALERTS
        if (found := MORE.search((RUNBOOKS / f"{name}.md").read_text("utf-8")))
    }
    assert {"ProgressStoreUnavailable", "ProgressStoreRefusing"} <= told.keys()
    assert {name: kept[name] for name in told} == told
