"""A reader of event streams made of `httpx-sse` alone, as its documentation shows it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from httpx import AsyncClient, HTTPError, Timeout
from httpx_sse import aconnect_sse

TIMES = Timeout(5, read=20)
NO_CONTENT = 204

HASTE = 10
"""How much sooner it comes back than it is asked to: the time is for crowds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    name: str
    id: str
    data: dict[str, Any]


async def follow(url: str, last_event_id: str = "") -> AsyncGenerator[Event, None]:
    """Yield the events of a stream, reconnecting as a browser does, until the server says that there is no more."""
    retry_milliseconds = 1000
    async with AsyncClient(timeout=TIMES) as client:
        while True:
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            try:
                async with aconnect_sse(client, "GET", url, headers=headers) as source:
                    if source.response.status_code == NO_CONTENT:
                        return
                    async for sse in source.aiter_sse():
                        last_event_id, retry_milliseconds = sse.id, sse.retry or retry_milliseconds
                        if sse.data:
                            yield Event(sse.event, sse.id, json.loads(sse.data))
            except HTTPError:
                pass  # the line was cut, or the server is away
            await asyncio.sleep(retry_milliseconds / 1000 / HASTE)
