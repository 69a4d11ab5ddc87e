"""Log lines: a constant sentence and fields, for people or as JSON; what is bound goes into every line.

So do `trace_id` and `span_id`, while a span is active.

logger = logging.getLogger(__name__)
with bound(request_id="4f1c"):
    logger.warning("the store is slow", extra={"fields": {"seconds": 0.8}})
"""

import json
import logging
import math
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

from opentelemetry import trace
from typing_extensions import override

_BOUND: ContextVar[Mapping[str, object]] = ContextVar("bound log fields")
NOTHING_BOUND: Mapping[str, object] = {}


class bound:  # noqa: N801 - used as a block, like `suppress`
    """Put these fields (`request_id`, `job_id`) into every line logged inside, by this task and its children."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: object) -> None:
        """Keep the fields."""
        self._fields = fields

    def __enter__(self) -> None:
        """Bind them."""
        self._token = _BOUND.set({**_BOUND.get(NOTHING_BOUND), **self._fields})

    def __exit__(self, *_: object) -> None:
        """Bind what was bound before."""
        _BOUND.reset(self._token)


def configure(
    level: Literal["debug", "info", "warning", "error"], form: Literal["console", "json"] | None, stream: TextIO
) -> None:
    """Send every logger's lines, aiohttp's and Python's warnings too, to `stream`; no form: `console` on a terminal.

    At `debug` libraries stay at `info`.
    """
    is_console = form == "console" or (form is None and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ConsoleFormatter() if is_console else JsonFormatter())
    others = "info" if level == "debug" else level  # what libraries say then has parameters of SQL in it, many a second
    logging.basicConfig(level=others.upper(), handlers=[handler], force=True)
    logging.getLogger("sidecar").setLevel(level.upper())
    logging.captureWarnings(capture=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every start


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, message, fields, and exception (the traceback) if there is one."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "fields": {name: _plain(value) for name, value in _fields(record).items()},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class ConsoleFormatter(logging.Formatter):
    """One line for people; a traceback follows, indented. Nothing that a client sent can start a line or colour it."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_quoted(value)}" for name, value in _fields(record).items())
        head = f"{_timestamp(record)} {record.levelname.lower():<7} {record.name}: "
        lines = [head + _escaped(record.getMessage()) + fields]
        if record.exc_info:
            lines += [f"    {_escaped(line)}" for line in self.formatException(record.exc_info).split("\n")]
        return "\n".join(lines)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {**_BOUND.get(NOTHING_BOUND), **_traced(), **vars(record).get("fields", {})}


def _traced() -> dict[str, str]:
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}


def _timestamp(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> object:
    """Return what JSON can say: NaN, an infinity or an object as its text."""
    is_plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)


def _quoted(value: object) -> str:
    text = _escaped(str(value))
    is_one_word = text and not any(mark in text for mark in ' "=')
    return text if is_one_word else '"' + text.replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
