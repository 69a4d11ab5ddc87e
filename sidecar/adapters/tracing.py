"""Carries spans to an OTLP/HTTP endpoint. The one module that knows the SDK; imported only when there is an endpoint.

Spans wait in the SDK's bounded queue, from which a thread of its own sends them; when it is full the oldest go. The
variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`,
`OTEL_SERVICE_NAME`) mean what they mean everywhere. The sampler chooses among requests; of finished work all is kept.
"""

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from typing_extensions import override

from sidecar.core.errors import StartError
from sidecar.spans import FinishedSpan, Tracing

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
"""How long the end waits until what is queued has been sent; a stop may take 3 s in all."""

CHATTY = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
"""Loggers of the SDK that tell of every failed try, and of every span that finds no room."""

KEPT = TraceFlags(TraceFlags.SAMPLED)


class OtlpSpans:
    """`Spans` on their way to the endpoint, with the times and ids that they have."""

    def __init__(self, processor: SpanProcessor, resource: Resource, version: str) -> None:
        """Keep the parts."""
        self._processor = processor
        self._resource = resource
        self._scope = InstrumentationScope("sidecar.spans", version)

    def ended(self, span: FinishedSpan) -> None:
        """Queue a span."""
        self._processor.on_end(self._readable(span))

    def _readable(self, span: FinishedSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
            resource=self._resource,
            attributes=span.attributes,
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
            start_time=_nanoseconds(span.started_at),
            end_time=_nanoseconds(span.finished_at),
            instrumentation_scope=self._scope,
        )


class TellingExporter(SpanExporter):
    """Exports, and says once when that begins to fail and once when it works again."""

    def __init__(self, inner: SpanExporter) -> None:
        """Keep what exports."""
        self._inner = inner
        self._works = True

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        works = result is SpanExportResult.SUCCESS
        if works != self._works:
            self._works = works
            if works:
                logger.info("traces are exported again")
            else:
                logger.warning("traces cannot be exported and are dropped", extra={"fields": {"spans": len(spans)}})
        return result

    @override
    def shutdown(self) -> None:
        self._inner.shutdown()


@asynccontextmanager
async def exporting(version: str) -> AsyncIterator[Tracing]:
    """Export while inside; at the end send what is queued, within `FLUSH_SECONDS`. Raises `StartError`."""
    for name in CHATTY:
        logging.getLogger(name).addFilter(_at_debug)
    try:
        exporter = TellingExporter(OTLPSpanExporter())
        processor = BatchSpanProcessor(exporter)
    except ValueError as error:
        raise StartError(f"the OTEL_ variables do not fit: {error}") from None
    resource = _resource(version)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    try:
        yield Tracing(provider.get_tracer("sidecar.http", version), OtlpSpans(processor, resource, version))
    finally:
        await _flushed(provider, exporter)


async def _flushed(provider: TracerProvider, exporter: SpanExporter) -> None:
    """Send what is queued; in a thread that nobody waits for, should the endpoint take it and never answer."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=shut_down, name="OtelShutdown", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), FLUSH_SECONDS)
    except TimeoutError:
        exporter.shutdown()  # it gives up between two tries
        logger.warning("the last traces could not be exported in time")


def _resource(version: str) -> Resource:
    """Return who sends the spans; what the environment says of it goes before."""
    ours = {"service.name": "progress-sidecar", "service.version": version, "service.instance.id": str(uuid.uuid4())}
    return Resource.create(ours).merge(OTELResourceDetector().detect())


def _at_debug(record: logging.LogRecord) -> bool:
    """Make a line one for debugging, without a traceback, and tell whether anybody wants it."""
    record.levelno, record.levelname, record.exc_info = logging.DEBUG, "DEBUG", None
    return logger.isEnabledFor(logging.DEBUG)


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=KEPT)


def _nanoseconds(at: float) -> int:
    return int(at * 1e6) * 1000
