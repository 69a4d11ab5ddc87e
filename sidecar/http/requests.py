"""What handlers share: which route, a body within its limit and its time, and an answer in JSON."""

import asyncio

from aiohttp import web

from sidecar.core.job import Json
from sidecar.http import wire
from sidecar.http.problem import TooLarge, TooSlow
from sidecar.http.services import SERVICES

STREAMS = frozenset({"/v1/jobs/{job_id}/events", "/v1/events", "/v1/ws"})
"""The routes that answer with a stream."""

ASKED_BESIDE = frozenset({"/v1/jobs/{job_id}", "/v1/jobs"})
"""The routes that whoever watches asks beside a stream, or in its place."""

UNMATCHED = "unmatched"


def route(request: web.Request) -> str:
    """Return the template of the address that was asked for, the same for all jobs."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else resource.canonical


async def body_of(request: web.Request, most_bytes: int) -> bytes:
    """Return the body, of which no more than the limit is ever held."""
    if request.content.is_eof():  # it came with the head, as it does unless it is large: nothing to wait for
        return bytes(_within(request.content.read_nowait(), most_bytes))
    body = bytearray()
    try:
        async with asyncio.timeout(request.app[SERVICES].body_seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                _within(body, most_bytes)
    except TimeoutError:
        raise TooSlow("the body did not arrive in time") from None
    return bytes(body)


def _within(body: bytes | bytearray, most_bytes: int) -> bytes | bytearray:
    if len(body) > most_bytes:
        raise TooLarge(f"the body has more than {most_bytes} bytes")
    return body


def json_answer(value: Json, status: int = 200) -> web.Response:
    """Return an answer in JSON."""
    return web.Response(body=wire.encode(value), status=status, content_type="application/json")
