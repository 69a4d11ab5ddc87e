"""What the handlers need, in one place; the app fills it in."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from sidecar.foresight import KnownType
from sidecar.http.auth import Gate, Principal
from sidecar.http.streams import Streams
from sidecar.hub.hub import Hub
from sidecar.hub.traffic import Traffic
from sidecar.ports import Durability, Metrics
from sidecar.tracker import Tracker

Render = Callable[[str | None, float], Awaitable[tuple[bytes, str]]]
"""Renders the metrics for an Accept header within seconds: the bytes, and their Content-Type."""

Probe = Callable[[], Awaitable[bool]]
"""Tells whether a part can take work; raising, or taking too long, means that it cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimes:
    """The waits of an event stream, in seconds."""

    heartbeat: float = 15.0
    check: float = 0.5
    """How long a reconnect waits to hear whether it has missed anything at all."""

    store: float = 0.4
    """How long the first word waits for the store; with the check before, it must leave within a second."""

    poll: float = 0.25
    unknown: float = 30.0
    """How long a stream waits for a job that nobody knows."""

    write: float = 30.0


class KnownTypes(Protocol):
    """Tells what is known of types of jobs."""

    def __call__(self, *, is_every_project_seen: bool) -> list[KnownType]:
        """Return the declared ones, and to who may see every project also those that only turned up."""
        ...


def nothing_known(*, is_every_project_seen: bool) -> list[KnownType]:
    """Know nothing."""
    del is_every_project_seen
    return []


def all_parts(parts: Mapping[str, bool]) -> bool:
    """Whether every part can take work."""
    return all(parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the routes; `watched` is what streams read from, as that is counted apart.

    `durability` tells how Redis keeps what it has acknowledged; it decides nothing.

    `is_ready` tells from the parts that can take work whether the whole can; `known_types` what is known of types of
    jobs; `traffic` counts what is sent, by transport.
    """

    tracker: Tracker
    watched: Tracker
    hub: Hub
    metrics: Metrics
    gate: Gate
    streams: Streams
    render: Render
    probes: Mapping[str, Probe]
    version: str
    is_ready: Callable[[Mapping[str, bool]], bool] = all_parts
    durability: Callable[[], Awaitable[Durability]] | None = None
    known_types: KnownTypes = nothing_known
    clock: Callable[[], float] = time.time
    max_update_bytes: int = 65_536
    body_seconds: float = 30.0
    traffic: Mapping[str, Traffic] = field(default_factory=lambda: {"sse": Traffic(), "websocket": Traffic()})
    times: StreamTimes = field(default_factory=StreamTimes)


SERVICES = web.AppKey("services", Services)
PRINCIPAL = web.RequestKey("principal", Principal)
TICKET = web.RequestKey("ticket", str)
"""What let a request in, if it was a ticket."""

REQUEST_ID = web.RequestKey("request_id", str)
IS_STARTED = web.RequestKey("is_started", bool)
NAMED_TYPE = web.RequestKey("named_type", str)
"""The job type that a push names."""
