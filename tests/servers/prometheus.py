"""A real Prometheus, and what its HTTP API answers."""

import asyncio
import math
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession

from tests.faults.process import Process
from tests.servers.ports import free_port

READY_SECONDS = 20.0
UNTIL_SECONDS = 30.0
STEP_SECONDS = 1.0
GRAFANA_URL = "http://127.0.0.1:3000"


class Prometheus:
    """The running server, asked as Grafana asks it."""

    def __init__(self, address: str, http: ClientSession) -> None:
        self.address = address
        self._http = http

    async def now(self, expr: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        return list((await self._get("query", query=expr))["result"])

    async def until(self, expr: str, seconds: float = UNTIL_SECONDS) -> None:
        """Wait until an instant query has a result."""
        async with asyncio.timeout(seconds):
            while True:
                if await self.now(expr):
                    return
                await asyncio.sleep(0.1)

    async def over(self, expr: str, seconds: float) -> list[dict[str, Any]]:
        """Return the result of a query over the last seconds."""
        end = time.time()
        data = await self._get("query_range", query=expr, start=end - seconds, end=end, step=STEP_SECONDS)
        return list(data["result"])

    async def values(self, label: str, selector: str, seconds: float) -> list[str]:
        """Return the values that a label had within the last seconds."""
        end = time.time()
        given = {"match[]": selector, "start": end - seconds, "end": end}
        return list(await self._get(f"label/{label}/values", **given))

    async def exemplars(self, expr: str, seconds: float) -> list[dict[str, Any]]:
        """Return the exemplars of the series that a query looks at, within the last seconds."""
        end = time.time()
        found = await self._get("query_exemplars", query=expr, start=end - seconds, end=end)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    async def ready(self, process: Process) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            process.check()
            try:
                async with self._http.get(f"{self.address}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                pass
            assert time.monotonic() < deadline, process.last_words()
            await asyncio.sleep(0.05)

    async def _get(self, path: str, **query: Any) -> Any:
        async with self._http.get(f"{self.address}/api/v1/{path}", params=query) as answer:
            told = await answer.json()
        assert told["status"] == "success", f"{query}: {told}"
        return told["data"]


def numbers(result: list[dict[str, Any]]) -> list[float]:
    """Return the numbers in a result; NaN is none."""
    samples = [sample for series in result for sample in series.get("values") or [series["value"]]]
    return [number for _, text in samples if not math.isnan(number := float(text))]


@asynccontextmanager
async def running(config: Path, folder: Path, pages: Path | None = None) -> AsyncIterator[Prometheus]:
    """Run one with a configuration while inside; what it keeps is in the folder.

    With `pages` it shows the files below it, and the links of alerts lead there, as they do with compose.
    """
    program = shutil.which("prometheus")
    assert program is not None, "Prometheus is missing; on Debian: apt-get install prometheus"
    port = free_port()
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage,expand-external-labels",
    ]
    address = f"http://127.0.0.1:{port}"
    links = {} if pages is None else {"GRAFANA_URL": GRAFANA_URL, "DOCS_URL": f"{address}/user/"}
    process = Process([*command, *_shown(pages)], folder / "log", folder, links)
    async with ClientSession() as http:
        process.start()
        try:
            server = Prometheus(address, http)
            await server.ready(process)
            yield server
        finally:
            process.kill()


def _shown(pages: Path | None) -> list[str]:
    return [] if pages is None else [f"--web.user-assets={pages}"]
