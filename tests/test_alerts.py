"""The rules in alerts/ speak of metrics that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULES = sorted((ROOT / "alerts").glob("*.yml"))


def test_every_metric_of_the_rules_is_documented() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    used = {name for path in RULES for name in re.findall(r"\b(?:progress|sse|db)_[a-z_]+(?=[{\[])", path.read_text())}
    assert len(used) >= 5
    assert [name for name in used if f"`{name}`" not in page] == []


def test_every_page_that_the_rules_send_to_is_there() -> None:
    pages = {page for path in RULES for page in re.findall(r"runbook_url: (\S+)", path.read_text())}
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []
