"""What everything is measured against: aiohttp that answers, and aiohttp that streams, and nothing else.

`echo.py PORT`: POST /echo answers with 200 and the bytes that it was sent; POST /publish sends them as one event to
every listener of GET /stream, joined once and written straight to the transports. `?project=` parts the listeners.
"""

import asyncio
import sys
from collections import defaultdict
from typing import Any

from aiohttp import web

FILLER = b"x" * 290
"""Makes an event as long as the sidecar's brief row of the same update."""

WATCHERS = web.AppKey("watchers", dict[str, set[asyncio.Transport]])


async def echo(request: web.Request) -> web.Response:
    """Answer with what came."""
    return web.Response(body=await request.read(), content_type="application/json")


async def stream(request: web.Request) -> web.StreamResponse:
    """Let publish() write to this connection until it goes away."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    transport: Any = request.transport
    watchers = request.app[WATCHERS][request.query.get("project", "")]
    watchers.add(transport)
    try:
        await asyncio.Event().wait()
    finally:
        watchers.discard(transport)
    return response


async def publish(request: web.Request) -> web.Response:
    """Send one event to every listener."""
    event = b"data: %s %s\n\n" % (await request.read(), FILLER)
    chunk = b"%x\r\n%s\r\n" % (len(event), event)
    for transport in request.app[WATCHERS][request.query.get("project", "")]:
        transport.write(chunk)
    return web.Response()


def main() -> None:
    """Serve on 127.0.0.1."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    watchers: dict[str, set[asyncio.Transport]] = defaultdict(set)
    app[WATCHERS] = watchers
    app.add_routes([web.post("/echo", echo), web.get("/stream", stream), web.post("/publish", publish)])
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        backlog=1024,
        access_log=None,
        print=None,
        handler_cancellation=True,
        shutdown_timeout=1,
    )


if __name__ == "__main__":
    main()
