"""Every URL, on one screen."""

from aiohttp import web
from opentelemetry.trace import Tracer

from sidecar.core.job import Request
from sidecar.http import jobs, pages, sign_in
from sidecar.http import ops as operating
from sidecar.http.middleware import admitted, answered, label
from sidecar.http.services import SERVICES, Services
from sidecar.http.tracing import traced
from sidecar.http.watch import sse, websocket

JOB = "/v1/jobs/{job_id:[^/]+}"
"""Any id comes through, so that one against the contract is told so."""


def api(services: Services, tracer: Tracer | None = None) -> web.Application:
    """Return the application of the main listener; with a tracer its requests make spans."""
    tracing = () if tracer is None else (traced(tracer),)
    app = web.Application(middlewares=[*tracing, answered, admitted])
    app[SERVICES] = services
    app.add_routes(
        [
            web.get("/", pages.front),
            web.get("/jobs/{job_id:[^/]+}", pages.page("job.html")),
            web.get("/embed/{job_id:[^/]+}", pages.page("embed.html", is_embed=True)),
            web.get("/web/{file:(?:[a-z]+/)?[a-z0-9_-]+\\.(?:js|css|svg)}", pages.file),
            web.get("/healthz", operating.healthz),
            web.get("/readyz", operating.readyz),
            web.get("/metrics", operating.metrics(is_open=False)),
            web.get("/v1/jobs", jobs.listing),
            web.post("/v1/jobs", jobs.create),
            web.get(JOB, jobs.read),
            web.post(JOB, jobs.push),
            web.delete(JOB, jobs.forget),
            web.post(JOB + "/cancel", jobs.asking(Request.CANCEL)),
            web.post(JOB + "/pause", jobs.asking(Request.PAUSE)),
            web.post(JOB + "/resume", jobs.asking(Request.RESUME)),
            web.get(JOB + "/timeline", jobs.timeline),
            web.get(JOB + "/attempts", jobs.attempts),
            web.post(JOB + "/links", sign_in.link),
            web.post(JOB + "/attempts", jobs.begin_attempt),
            web.get("/v1/stats", jobs.stats),
            web.get("/v1/job-types", jobs.job_types),
            web.get(JOB + "/events", sse.watch_job),
            web.get("/v1/events", sse.watch_jobs),
            web.get("/v1/ws", websocket.watch, allow_head=False),
            web.post("/v1/tickets", sign_in.ticket),
            web.get("/v1/session", sign_in.session),
            web.post("/v1/session", sign_in.sign_in),
            web.delete("/v1/session", sign_in.sign_out),
            web.post("/v1/updates", jobs.push_many),
        ]
    )
    app.on_response_prepare.append(label)
    app.on_shutdown.append(_end_streams)
    return app


def ops(services: Services) -> web.Application:
    """Return the application of the second listener, which needs no tokens and has nothing to hide."""
    app = web.Application(middlewares=[answered])
    app[SERVICES] = services
    app.add_routes(
        [
            web.get("/healthz", operating.healthz),
            web.get("/readyz", operating.readyz),
            web.get("/metrics", operating.metrics(is_open=True)),
        ]
    )
    app.on_response_prepare.append(label)
    return app


async def _end_streams(app: web.Application) -> None:
    await app[SERVICES].streams.drain(0)
