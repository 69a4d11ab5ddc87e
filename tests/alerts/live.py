"""A sidecar, Prometheus and Alertmanager, wired by the files that are shipped; only their patience is shorter."""

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.alerts import alertmanager
from tests.alerts.alertmanager import Alertmanager, Webhook
from tests.alerts.rules import ROOT, RULE_FILES, seconds
from tests.faults.program import Sidecar
from tests.servers import prometheus
from tests.servers.prometheus import Prometheus

SHIPPED = ROOT / "deploy" / "compose" / "prometheus"
HURRY = 30
"""How many times as soon as people would be called these tests want to be."""

QUICK = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "500ms"}
PATIENCE = re.compile(r"(?P<before>\b(?:for|keep_firing_for|interval): |\[)(?P<duration>\d+[smhd])\b")


@dataclass
class Deployment:
    """What runs."""

    sidecar: Sidecar
    prometheus: Prometheus
    alertmanager: Alertmanager
    targets: Path

    def forget_sidecar(self) -> None:
        """Take the sidecar out of what Prometheus scrapes."""
        (self.targets / "progress-sidecar.yml").write_text("[]\n", "utf-8")

    @property
    def webhook(self) -> Webhook:
        """Who is told."""
        return self.alertmanager.webhook


def hurried(rules: str) -> str:
    """Return rules with all of their waits and windows as much shorter, a second at least; their thresholds stay."""

    def shorter(found: re.Match[str]) -> str:
        return f"{found['before']}{max(1, seconds(found['duration']) // HURRY)}s"

    return PATIENCE.sub(shorter, rules)


@asynccontextmanager
async def deployed(folder: Path, **settings: object) -> AsyncIterator[Deployment]:
    """Run all of it while inside; settings are the sidecar's."""
    sidecar = Sidecar(folder / "sidecar", **settings)
    (folder / "alertmanager").mkdir()
    try:
        sidecar.start()
        await sidecar.ready()
        async with alertmanager.running(folder / "alertmanager") as manager:
            targets = {"progress-sidecar": sidecar.url, "alertmanager": manager.address}
            async with prometheus.running(_config(folder, targets), folder, pages=ROOT) as server:
                yield Deployment(sidecar, server, manager, folder / "prometheus" / "targets")
    finally:
        sidecar.kill()


def _config(folder: Path, urls: Mapping[str, str]) -> Path:
    """Return the shipped configuration with these targets and no others, beside the rules that it names."""
    config: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text("utf-8"))
    config["global"] |= QUICK
    (folder / "prometheus-alerts").mkdir()
    for path in RULE_FILES:
        (folder / "prometheus-alerts" / path.name).write_text(hurried(path.read_text("utf-8")), "utf-8")
    shutil.copytree(SHIPPED, folder / "prometheus")
    for path in (folder / "prometheus" / "targets").iterdir():
        hosts = [urls[path.stem].removeprefix("http://")] if path.stem in urls else []
        path.write_text(yaml.safe_dump([{"targets": hosts}]), "utf-8")
    written = folder / "prometheus" / "prometheus.yml"
    written.write_text(yaml.safe_dump(config), "utf-8")
    return written
