"""For whoever operates the sidecar: is it alive, is it ready, what does it count."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from sidecar.core.errors import SidecarError
from sidecar.core.job import Json
from sidecar.http import wire
from sidecar.http.services import SERVICES, Probe, Services

PROBE_SECONDS = 1.0
SCRAPE_SECONDS = 10.0
MOST_SCRAPE_SECONDS = 120.0

WELCOME = """\
progress-sidecar {version}: push the progress of your jobs, and watch it.

Report progress; the first report creates the job:

    curl -d current=3 -d total=10 -d message=hello {url}/v1/jobs/my-job

Watch it:

    curl -N {url}/v1/jobs/my-job/events

List what is running:

    curl '{url}/v1/jobs?active=true'
"""


async def welcome(request: web.Request) -> web.Response:
    """GET /: what this is, and the first three commands."""
    text = WELCOME.format(version=request.app[SERVICES].version, url=f"{request.scheme}://{request.host}")
    return web.Response(text=text)


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the process lives."""
    body = wire.encode({"status": "ok", "version": request.app[SERVICES].version})
    return web.Response(body=body, content_type="application/json")


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: it can take work, with a line for each part and one for how Redis keeps what it was given."""
    services = request.app[SERVICES]
    answers, durability = await asyncio.gather(
        asyncio.gather(*map(_is_ready, services.probes.values())), _durability(services)
    )
    parts = dict(zip(services.probes, answers, strict=True))
    lines = [f'"{name}": "{"ok" if is_good else "unavailable"}"' for name, is_good in parts.items()]
    lines += [] if durability is None else [f'"redis_durability": {wire.encode(durability).decode()}']
    is_ready = services.is_ready(parts)
    status = 200 if is_ready else 503
    headers = {} if is_ready else {"Retry-After": "1"}
    body = "{\n" + ",\n".join(lines) + "\n}\n"
    return web.Response(text=body, status=status, headers=headers, content_type="application/json")


def metrics(*, is_open: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of GET /metrics; on an open listener no token is needed unless there is one for metrics."""

    async def scrape(request: web.Request) -> web.Response:
        services = request.app[SERVICES]
        services.gate.check_scrape(request.headers.get("Authorization"), is_open=is_open)
        seconds = _scrape_seconds(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", ""))
        body, content_type = await services.render(request.headers.get("Accept"), seconds)
        return web.Response(body=body, headers={"Content-Type": content_type})

    return scrape


async def _is_ready(probe: Probe) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe()
    except (SidecarError, TimeoutError, OSError):
        return False


async def _durability(services: Services) -> dict[str, Json] | None:
    if services.durability is None:
        return None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            found = await services.durability()
    except (SidecarError, TimeoutError, OSError):
        return {"is_safe": None}
    return {**found.settings, "is_safe": found.is_safe}


def _scrape_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return SCRAPE_SECONDS
    return min(seconds, MOST_SCRAPE_SECONDS) if seconds > 0 else SCRAPE_SECONDS
