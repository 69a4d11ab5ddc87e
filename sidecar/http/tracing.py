"""A span for every request that is answered at once: by its route, as a child of the client's, without what was sent.

Addresses are told as templates, and neither query strings nor headers or bodies at all: tickets, links and tokens
stand there. Streams have no span, as it would end with the stream; probes and scrapes would be nothing but noise.
"""

import traceback
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sidecar import spans
from sidecar.http import checks
from sidecar.http.requests import STREAMS, UNMATCHED, route

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

UNTRACED = STREAMS | {"/healthz", "/readyz", "/metrics"}

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

MOST_HEADER = 512
"""Characters of a `traceparent` or `tracestate`; of longer ones the library would warn, at the client's will."""

_PROPAGATOR = TraceContextTextMapPropagator()


def traced(tracer: Tracer) -> Middleware:
    """Return the middleware, to stand around all others, so that what they log belongs to the span too."""

    @web.middleware
    async def trace_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        if route(request) in UNTRACED:
            return await handler(request)
        span = _started(tracer, request)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                response = await handler(request)
            except ConnectionError as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise
            _answered(span, response.status)
            return response

    return trace_request


def failed(error: Exception) -> None:
    """Note on this request's span where an exception came from; what it says may repeat a body, and is left out."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    frames = "".join(traceback.format_tb(error.__traceback__))
    span.add_event("exception", {"exception.type": kind, "exception.stacktrace": frames})
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def exemplar() -> dict[str, str] | None:
    """Return the exemplar that leads to the span of this request, None if it has none that is kept."""
    context = trace.get_current_span().get_span_context()
    return spans.exemplar(context.trace_id, context.span_id) if context.trace_flags.sampled else None


def trace_id(headers: Mapping[str, str]) -> str | None:
    """Return the trace that a request belongs to by its `traceparent`, None without one or if nobody keeps it."""
    if "traceparent" not in headers:
        return None
    context = trace.get_current_span(_parent(headers)).get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid and context.trace_flags.sampled else None


def _started(tracer: Tracer, request: web.Request) -> Span:
    method = request.method if request.method in METHODS else "_OTHER"
    template, job_id = route(request), request.match_info.get("job_id", "")
    attributes = {"http.request.method": method, "url.scheme": request.scheme}
    if template != UNMATCHED:
        attributes["http.route"] = template
    if checks.JOB_ID.fullmatch(job_id):
        attributes["progress.job.id"] = job_id
    name = "HTTP" if method == "_OTHER" else method
    name = name if template == UNMATCHED else f"{name} {template}"
    return tracer.start_span(name, _parent(request.headers), SpanKind.SERVER, attributes)


def _parent(headers: Mapping[str, str]) -> Context:
    given = {name: headers.get(name, "") for name in ("traceparent", "tracestate")}
    return _PROPAGATOR.extract(
        {name: value for name, value in given.items() if 0 < len(value) <= MOST_HEADER}, Context()
    )


def _answered(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_status(StatusCode.ERROR)
        if status != HTTPStatus.INTERNAL_SERVER_ERROR:  # that one is of an exception, which tells its own type
            span.set_attribute("error.type", str(status))
