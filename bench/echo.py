"""What everything is measured against: aiohttp that answers, and aiohttp that streams, and nothing else.

`echo.py PORT`: POST /echo answers with 200 and the bytes that it was sent; GET /stream?rate=N sends N small events a
second to everybody who listens, each joined from prebuilt bytes and written straight to the transports.
"""

import asyncio
import sys
import time
from typing import Any

from aiohttp import web

FILLER = b"x" * 280
WATCHERS = web.AppKey("watchers", set[asyncio.Transport])


async def echo(request: web.Request) -> web.Response:
    """Answer with what came."""
    return web.Response(body=await request.read(), content_type="application/json")


async def stream(request: web.Request) -> web.StreamResponse:
    """Let the shared loop write to this connection until it goes away."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    transport: Any = request.transport
    request.app[WATCHERS].add(transport)
    try:
        while not transport.is_closing():  # noqa: ASYNC110 - a benchmark's loop
            await asyncio.sleep(0.5)
    finally:
        request.app[WATCHERS].discard(transport)
    return response


async def publish(request: web.Request) -> web.Response:
    """POST /publish: send one event to every listener."""
    event = b"data: t=%d %s\n\n" % (time.monotonic_ns(), FILLER)
    chunk = b"%x\r\n%s\r\n" % (len(event), event)
    for transport in request.app[WATCHERS]:
        transport.write(chunk)
    return web.Response()


def main() -> None:
    """Serve on 127.0.0.1."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app[WATCHERS] = set()
    app.add_routes([web.post("/echo", echo), web.get("/stream", stream), web.post("/publish", publish)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
