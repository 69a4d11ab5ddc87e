"""Tickets for streams and sessions for browsers, which cannot send a header everywhere."""

from aiohttp import web

from sidecar.core.document import rfc3339
from sidecar.http import cross_origin, wire
from sidecar.http.auth import RIGHTS, Right
from sidecar.http.passes import SESSION_SECONDS
from sidecar.http.problem import Unauthorized
from sidecar.http.requests import body_of, json_answer
from sidecar.http.services import PRINCIPAL, SERVICES

COOKIE = "sidecar_session"
MOST_BYTES = 4096


async def ticket(request: web.Request) -> web.Response:
    """POST /v1/tickets: a ticket that opens one stream."""
    request[PRINCIPAL].may(Right.READ)
    text, expires_at = request.app[SERVICES].gate.ticket(request[PRINCIPAL])
    return json_answer({"ticket": text, "expires_at": rfc3339(expires_at)}, status=201)


async def sign_in(request: web.Request) -> web.Response:
    """POST /v1/session: a cookie that can only read, for whoever knows a token."""
    gate = request.app[SERVICES].gate
    said = wire.sign_in(await body_of(request, MOST_BYTES))
    answer = web.Response(status=204)
    if gate.is_token_required:
        text, _ = gate.session(said.token)
        answer.set_cookie(
            COOKIE, text, max_age=int(SESSION_SECONDS), httponly=True, samesite="Strict", secure=_is_secure(request)
        )
    return answer


async def sign_out(request: web.Request) -> web.Response:
    """DELETE /v1/session: take the cookie back."""
    answer = web.Response(status=204)
    answer.del_cookie(COOKIE, httponly=True, samesite="Strict", secure=_is_secure(request))
    return answer


async def session(request: web.Request) -> web.Response:
    """GET /v1/session: whether a token is needed, and what this client may do."""
    gate = request.app[SERVICES].gate
    cookie = None if cross_origin.is_allowed(request) else request.cookies.get(COOKIE)
    try:
        principal = gate.principal(request.headers.get("Authorization"), cookie=cookie)
    except Unauthorized:
        principal = None
    return json_answer(
        {
            "is_token_required": gate.is_token_required,
            "is_signed_in": principal is not None,
            "may_control": principal is not None and Right.CONTROL in RIGHTS[principal.role],
        }
    )


def _is_secure(request: web.Request) -> bool:
    """Whether the browser came by HTTPS, to us or to a proxy before us."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
