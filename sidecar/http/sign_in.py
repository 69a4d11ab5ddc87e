"""Tickets for streams, sessions for browsers, which cannot send a header everywhere, and links to hand to somebody."""

from aiohttp import web

from sidecar.core.document import rfc3339
from sidecar.http import cross_origin, queries, wire
from sidecar.http.auth import RIGHTS, Right
from sidecar.http.passes import SESSION_SECONDS, LinkedJob
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


async def link(request: web.Request) -> web.Response:
    """POST /v1/jobs/{job_id}/links: a link to one job, for somebody without a token."""
    services, principal = request.app[SERVICES], request[PRINCIPAL]
    job_id, may = queries.job_id(request.match_info["job_id"]), principal.may(Right.LINK)
    terms = wire.link_terms(await body_of(request, MOST_BYTES))
    project = (await services.tracker.get(job_id, may)).view.job.project
    text, expires_at = services.gate.link(principal, LinkedJob(job_id, project), terms.expires_in_seconds)
    told = {"link": text, "url": f"/jobs/{job_id}?link={text}", "embed_url": f"/embed/{job_id}?link={text}"}
    return json_answer({**told, "expires_at": rfc3339(expires_at)}, status=201)


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
