"""A whole deployment: Valkey, a history, a sidecar, who takes its traces, Prometheus, and the workers of the demo."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.dashboards.grafana import Grafana
from tests.dashboards.prometheus import scraping
from tests.faults.process import Process
from tests.faults.program import CHECKOUT, Sidecar
from tests.faults.valkey import Valkey
from tests.servers.otlp import receiving

SPEED = 12.0
"""How many times as fast as usual the jobs of the demo work."""

LIMITS = {
    "silent_seconds": 2,
    "silent_floor_seconds": 1,
    "no_progress_seconds": 2,
    "not_started_seconds": 1,
    "cancel_stuck_seconds": 1,
    "watchdog_interval_seconds": 0.5,
}
"""So short that jobs which stall on purpose can be seen to within seconds."""

JOB_TYPES = """
[job_types.nightly]
expected_success_interval_seconds = 86400
"""
"""In addition to those that are shipped, of which none says how often one should get through."""


class TracedSidecar(Sidecar):
    """A sidecar that sends spans, and so names traces in its exemplars."""

    def __init__(self, home: Path, endpoint: str, **settings: object) -> None:
        super().__init__(home, **settings)
        self._environment = {**self._environment, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


@dataclass
class Deployment:
    """What runs; `demo` is yet to be started."""

    grafana: Grafana
    sidecar: Sidecar
    valkey: Valkey
    demo: Process


@asynccontextmanager
async def deployed(folder: Path, **history: str) -> AsyncIterator[Deployment]:
    """Run all of it while inside; `database_url` says where the history is, SQLite unless it does."""
    valkey = Valkey(folder / "valkey")
    async with receiving() as traces, AsyncExitStack() as stack:
        sidecar = TracedSidecar(folder / "sidecar", traces.endpoint, **_settings(folder, valkey.url), **history)
        demo = _demo(sidecar.url, folder)
        for process in (valkey, sidecar, demo):
            stack.callback(process.kill)
        valkey.start()
        await valkey.ready()
        sidecar.start()
        await sidecar.ready()
        address = sidecar.url.removeprefix("http://")
        prometheus = await stack.enter_async_context(scraping(address, folder / "prometheus"))
        yield Deployment(Grafana(prometheus), sidecar, valkey, demo)


def _settings(folder: Path, redis_url: str) -> dict[str, object]:
    job_types = folder / "job_types.toml"
    job_types.write_text(JOB_TYPES, "utf-8")
    return {"redis_url": redis_url, "job_types_file": job_types, **LIMITS}


def _demo(url: str, folder: Path) -> Process:
    program = f"from sidecar.demo import run; raise SystemExit(run({url!r}, None, seed=1, speed={SPEED}))"
    return Process([sys.executable, "-c", program], folder / "demo.log", CHECKOUT, {})
