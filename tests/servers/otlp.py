"""A receiver of traces: OTLP over HTTP as a collector takes it, which keeps what it is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SECONDS = 15.0
PATH = "/v1/traces"


@dataclass(frozen=True)
class Received:
    """A span as it arrived; ids are hexadecimal, times Unix seconds, `parent_id` is empty at the root."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started_at: float
    finished_at: float
    is_error: bool
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """What was sent so far; `raw` is every body as it came."""

    endpoint: str = ""
    spans: list[Received] = field(default_factory=list)
    raw: bytes = b""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def first(self, is_wanted: Callable[[Received], bool]) -> Received:
        """Return the first span that is wanted, once it has arrived."""
        async with asyncio.timeout(SECONDS):
            while True:
                if found := [span for span in self.spans if is_wanted(span)]:
                    return found[0]
                self._arrived.clear()
                await self._arrived.wait()

    async def named(self, name: str) -> Received:
        """Return the first span of this name, once it has arrived."""
        try:
            return await self.first(lambda span: span.name == name)
        except TimeoutError:
            raise AssertionError(f"no span {name!r} among {[span.name for span in self.spans]}") from None

    def all_named(self, name: str) -> list[Received]:
        """Return every span of this name that has arrived."""
        return [span for span in self.spans if span.name == name]

    async def take(self, request: web.Request) -> web.Response:
        """POST /v1/traces: keep the spans of a request in protobuf."""
        assert request.content_type == "application/x-protobuf", request.content_type
        body = await request.read()
        self.raw += body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _values(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [_received(span, resource) for span in of_scope.spans]
        self._arrived.set()
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """Run a receiver while inside."""
    receiver = Receiver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post(PATH, receiver.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        receiver.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """Listen while inside, take whatever is sent, and never answer; yields the address."""
    done = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        await done.wait()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        done.set()
        server.close()


def _received(span: Span, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        started_at=span.start_time_unix_nano / 1e9,
        finished_at=span.end_time_unix_nano / 1e9,
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_values(span.attributes),
        events={event.name: _values(event.attributes) for event in span.events},
        resource=resource,
    )


def _values(attributes: "list[KeyValue] | Any") -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
