"""Around every handler: the request id, who sends it, errors into problems, and what is counted."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from sidecar import log
from sidecar.core.errors import Forbidden, SidecarError
from sidecar.http import auth, cross_origin, problem, sign_in, tracing, updates, wire
from sidecar.http.auth import Principal
from sidecar.http.problem import NotReadable
from sidecar.http.requests import ASKED_BESIDE, STREAMS, route
from sidecar.http.services import IS_STARTED, NAMED_TYPE, PRINCIPAL, REQUEST_ID, SERVICES, TICKET

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PUSHES = frozenset({"/v1/jobs", "/v1/jobs/{job_id}", "/v1/updates"})
OPEN_ROUTES = frozenset(
    {"/", "/jobs/{job_id}", "/embed/{job_id}", "/web/{file}", "/healthz", "/readyz", "/metrics", "/v1/session"}
)
"""Served without a token; /metrics asks for its own."""

LINKED = frozenset(
    {
        *("/v1/jobs/{job_id}", "/v1/jobs/{job_id}/events", "/v1/jobs/{job_id}/timeline"),
        *("/v1/jobs/{job_id}/attempts", "/v1/ws"),
    }
)
"""What a link to a job lets somebody read."""

BROKEN_BODY = (HttpProcessingError, ClientPayloadError, web.RequestPayloadError)


@web.middleware
async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request: what goes wrong becomes a problem document, once and here."""
    services = request.app[SERVICES]
    clock = asyncio.get_running_loop().time
    began = clock()
    given = request.headers.get("X-Request-Id", "")
    request_id = request[REQUEST_ID] = given if SANE_ID.fullmatch(given) else updates.identity()
    services.metrics.request_began()
    try:
        with log.bound(request_id=request_id):
            response = await _response(request, handler)
    finally:
        services.metrics.request_ended()
    if response.content_type != "text/event-stream" and response.status != HTTPStatus.SWITCHING_PROTOCOLS:
        seconds = clock() - began
        name = route(request)
        services.metrics.request_finished(request.method, name, response.status, seconds, tracing.exemplar())
    return response


@web.middleware
async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may come in, and note who it is."""
    gate = request.app[SERVICES].gate
    headers = request.headers
    if not gate.is_token_required:
        auth.check_host(headers.get("Host"))
    if request.method not in SAFE_METHODS or "Upgrade" in headers:
        auth.check_origin(headers.get("Origin"), headers.get("Host"), gate.origins)
    if request.method == "OPTIONS" and cross_origin.is_allowed(request):
        return cross_origin.preflight()
    if route(request) in OPEN_ROUTES:
        return await handler(request)
    request[PRINCIPAL] = _principal(request)
    return await (_watched(request, handler) if TICKET in request else handler(request))


def _principal(request: web.Request) -> Principal:
    """Return who sends a request: by a header, by a ticket where jobs are watched, by a link, or by a session."""
    gate, authorization = request.app[SERVICES].gate, request.headers.get("Authorization")
    link = request.query.get("link")
    if authorization is None and link is not None:
        if request.method not in SAFE_METHODS or route(request) not in LINKED:
            raise Forbidden("a link shows one job, and nothing else")
        return gate.guest(link, request.match_info.get("job_id"))
    is_stream = route(request) in STREAMS
    is_ticketed = is_stream or (request.method in SAFE_METHODS and route(request) in ASKED_BESIDE)
    ticket = request.query.get("ticket") if is_ticketed else None
    if authorization is None and ticket is not None:
        is_back = is_stream and bool(request.headers.get("Last-Event-ID"))
        principal = gate.watcher(ticket, request.path, is_back=is_back)
        request[TICKET] = ticket
        return principal
    is_foreign = cross_origin.is_allowed(request)
    return gate.principal(authorization, None if is_foreign else request.cookies.get(sign_in.COOKIE))


async def _watched(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let whoever has a ticket open a stream, or ask once; a ticket that was of no use is as it was."""
    response, is_stream = None, route(request) in STREAMS
    try:
        response = await handler(request)
    finally:
        is_plain = isinstance(response, web.Response) and (is_stream or response.status >= HTTPStatus.BAD_REQUEST)
        if IS_STARTED not in request and (response is None or is_plain):
            request.app[SERVICES].gate.give_back(request[TICKET])
    return response


async def label(request: web.Request, response: web.StreamResponse) -> None:
    """Put on every response what all of them carry; the signal comes before a stream's first byte too."""
    request[IS_STARTED] = True
    response.headers["Server"] = "progress-sidecar"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
    cross_origin.allow(request, response)


def rejection(status: int) -> str:
    """Return the reason under which a refused push is counted."""
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return "auth"
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "too_large"
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "rate_limited"
        case HTTPStatus.CONFLICT:
            return "conflict"
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return "unavailable"
        case _:
            return "validation"


async def _response(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except SidecarError as error:
        return _problem(request, error)
    except web.HTTPException as error:
        return _problem(request, problem.of_aiohttp(error, request.method))
    except BROKEN_BODY as error:
        return _problem(request, NotReadable(f"the body is broken: {_first_line(error)}"))
    except ConnectionError:
        logger.debug("the client went away")
        raise
    except Exception as error:
        tracing.failed(error)
        if IS_STARTED in request:
            logger.exception("a response broke off")
            raise ConnectionResetError from None
        logger.exception("a request failed")
        return _json_problem(problem.unexpected(request[REQUEST_ID]), HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(request: web.Request, error: SidecarError) -> web.Response:
    status = problem.status_of(error)
    if IS_STARTED in request:
        logger.debug("a response broke off", extra={"fields": {"error": str(error)}})
        raise ConnectionResetError from None
    if request.method == "POST" and route(request) in PUSHES:
        request.app[SERVICES].metrics.rejected(rejection(status), request.get(NAMED_TYPE))
    logger.debug("a request was refused", extra={"fields": {"status": status.value, "error": str(error)}})
    response = _json_problem(problem.document(error, request[REQUEST_ID]), status)
    response.headers.update(problem.headers_of(error))
    return response


def _json_problem(document: dict[str, object], status: HTTPStatus) -> web.Response:
    return web.Response(body=wire.encode(document), status=status, content_type=problem.CONTENT_TYPE)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
