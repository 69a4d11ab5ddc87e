"""A real Alertmanager with the configuration that is shipped, which tells a receiver of the test's own."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.alerts.rules import ALERTMANAGER
from tests.faults.process import Process
from tests.servers.ports import free_port

SECONDS = 40.0
SETTLED_SECONDS = 5.0
TRY_AGAIN_SECONDS = 0.05
SHIPPED_RECEIVER = "http://127.0.0.1:9095/alerts"
QUICK = {"group_wait": "100ms", "group_interval": "200ms"}
"""In place of what suits people."""


@dataclass
class Webhook:
    """What Alertmanager sent so far, one by one."""

    address: str = ""
    alerts: list[dict[str, Any]] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def named(self, name: str, status: str = "firing") -> list[dict[str, Any]]:
        """Return the alerts of this name and status that have come."""
        return [each for each in self.alerts if each["labels"]["alertname"] == name and each["status"] == status]

    async def first(self, name: str, status: str = "firing") -> dict[str, Any]:
        """Return the first alert of this name and status, once it has come."""
        async with asyncio.timeout(SECONDS):
            while not (found := self.named(name, status)):
                self._arrived.clear()
                await self._arrived.wait()
        return found[0]

    async def take(self, request: web.Request) -> web.Response:
        """POST: keep the alerts of a message."""
        self.alerts += (await request.json())["alerts"]
        self._arrived.set()
        return web.Response()


class Alertmanager:
    """The running server, as Prometheus and people talk to it."""

    def __init__(self, address: str, http: aiohttp.ClientSession, webhook: Webhook) -> None:
        self.webhook = webhook
        self.address = address
        self._http = http

    async def fire(self, *alerts: Mapping[str, Any]) -> None:
        """Send alerts that fire from now on."""
        await self._post([dict(alert) for alert in alerts])

    async def resolve(self, alert: Mapping[str, Any]) -> None:
        """Tell that an alert is over."""
        await self._post([{**alert, "endsAt": datetime.now(UTC).isoformat()}])

    async def muted(self) -> set[tuple[str, str]]:
        """Return name and `job` of every alert that is kept from people."""
        async with self._http.get(f"{self.address}/api/v2/alerts") as answer:
            shown = await answer.json()
        return {(each["labels"]["alertname"], each["labels"]["job"]) for each in shown if each["status"]["inhibitedBy"]}

    async def settled(self, muted: set[tuple[str, str]]) -> bool:
        """Whether these and no others come to be kept from people: what mutes what is worked out in the background."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while await self.muted() != muted:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(TRY_AGAIN_SECONDS)
        return True

    async def ready(self, process: Process) -> None:
        """Wait until it takes alerts."""
        deadline = time.monotonic() + SECONDS
        while True:
            process.check()
            try:
                async with self._http.get(f"{self.address}/-/ready") as answer:
                    answer.raise_for_status()
                    return
            except aiohttp.ClientError:
                assert time.monotonic() < deadline, process.last_words()
                await asyncio.sleep(TRY_AGAIN_SECONDS)

    async def _post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        async with self._http.post(f"{self.address}/api/v2/alerts", json=alerts) as answer:
            assert answer.status == 200, await answer.text()


@asynccontextmanager
async def running(folder: Path, *, is_patient: bool = False) -> AsyncIterator[Alertmanager]:
    """Run one while inside, with its files in the folder; a patient one waits as long as it does for people."""
    async with _listening() as webhook, aiohttp.ClientSession() as http:
        port = free_port()
        manager = Alertmanager(f"http://127.0.0.1:{port}", http, webhook)
        written = _patient(webhook.address) if is_patient else _hurried(webhook.address)
        (folder / "alertmanager.yml").write_text(written, "utf-8")
        process = Process(_command(folder, port), folder / "log", folder, {})
        process.start()
        try:
            await manager.ready(process)
            yield manager
        finally:
            process.kill()


@asynccontextmanager
async def _listening() -> AsyncIterator[Webhook]:
    webhook = Webhook()
    app = web.Application()
    app.add_routes([web.post("/alerts", webhook.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        webhook.address = f"http://127.0.0.1:{runner.addresses[0][1]}/alerts"
        yield webhook
    finally:
        await runner.cleanup()


def _command(folder: Path, port: int) -> list[str]:
    """Return how to start it; the program has another name in Debian."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program is not None, "Alertmanager is missing; on Debian: apt-get install prometheus-alertmanager"
    return [
        program,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]


def _patient(receiver: str) -> str:
    """Return the shipped configuration with another receiver."""
    shipped = ALERTMANAGER.read_text("utf-8")
    assert SHIPPED_RECEIVER in shipped
    return shipped.replace(SHIPPED_RECEIVER, receiver)


def _hurried(receiver: str) -> str:
    """Return the shipped configuration with another receiver, and without its patience."""
    config = yaml.safe_load(_patient(receiver))
    for route in (config["route"], *config["route"]["routes"]):
        route.update(QUICK)
    return str(yaml.safe_dump(config))
