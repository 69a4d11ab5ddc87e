"""A Prometheus that scrapes one sidecar, and has the rules that are shipped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.alerts.rules import RULE_FILES
from tests.servers.prometheus import Prometheus, running

EVERY = "500ms"


@asynccontextmanager
async def scraping(sidecar: str, folder: Path) -> AsyncIterator[Prometheus]:
    """Run one while inside, which scrapes a sidecar (`host:port`) and has the rules of alerts/, to fire at once."""
    async with running(_written(sidecar, folder), folder) as server:
        yield server


def _written(sidecar: str, folder: Path) -> Path:
    """Return the configuration, with the rules beside it."""
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(sidecar)), "utf-8")
    (folder / "rules.yml").write_text(yaml.safe_dump(_impatient_rules()), "utf-8")
    return config


def _config(sidecar: str) -> dict[str, Any]:
    """Return what is scraped: the sidecar by two names, as two replicas with the same stores would answer."""
    targets = [sidecar, sidecar.replace("127.0.0.1", "localhost")]
    scrape = {"job_name": "progress-sidecar", "static_configs": [{"targets": targets}]}
    timing = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": "1s"}
    return {"global": timing, "rule_files": ["rules.yml"], "scrape_configs": [scrape]}


def _impatient_rules() -> dict[str, Any]:
    """Return the shipped rules, in which alerts fire at once."""
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    for group in groups:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule.pop("for", None)
    return {"groups": groups}
