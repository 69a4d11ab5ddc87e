"""What pages of other, named origins may do (CORS). Cookies are never taken from them."""

from aiohttp import web

from sidecar.http.services import SERVICES

METHODS = "GET, HEAD, POST, DELETE"
HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID"
READABLE = "Date, ETag, Location, Retry-After, X-Request-Id"
REMEMBERED_SECONDS = "600"


def is_allowed(request: web.Request) -> bool:
    """Whether a request comes from a page of an origin that is named."""
    return request.headers.get("Origin") in request.app[SERVICES].gate.origins


def allow(request: web.Request, response: web.StreamResponse) -> None:
    """Let a browser show the response to the page that asked, if its origin is named."""
    if request.app[SERVICES].gate.origins:
        response.headers.add("Vary", "Origin")
        if is_allowed(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = READABLE


def preflight() -> web.Response:
    """Return what a browser asks before it sends a request of a page."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": REMEMBERED_SECONDS,
        },
    )
