"""Bodies of pushes: JSON, NDJSON or a form, by their content type or else by how they begin."""

from enum import Enum
from typing import assert_never
from urllib.parse import parse_qsl

from sidecar.core.errors import SidecarError
from sidecar.core.job import Json
from sidecar.http import wire
from sidecar.http.problem import FieldError, InvalidRequest, NotReadable, TooLarge, UnsupportedType
from sidecar.http.wire import Report

MOST_UPDATES = 10_000
BATCH_BYTES = 8 * 1024 * 1024

OBJECTS = (
    *("add.items", "error.context", "event.details"),
    *("add", "error", "event", "items", "labels", "metadata", "resume", "result"),
)
"""The fields that dotted names in a form reach into, longer paths first; what follows the path is the key."""

TEXTS = frozenset(
    [
        *("job_id", "project", "job_type", "writer", "stage", "stage_status", "message", "detail", "unit"),
        *("status", "blocked_on", "deadline_at", "parent_id", "trace_id"),
        *("error.message", "error.type", "error.stack", "event.type"),
    ]
)
"""The paths whose values are strings whatever they look like; labels are too."""


class Kind(Enum):
    """How a body is written; GUESSED is what curl sends: JSON if it begins like it, else a form."""

    JSON = "json"
    NDJSON = "ndjson"
    GUESSED = "guessed"


Line = bytes | Json
"""One update of a batch: a line of NDJSON, or a member of an array."""


def kind_of(content_type: str) -> Kind:
    """Return how a body of this Content-Type (empty if there was none) is to be read."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return Kind.JSON
    if media_type in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        return Kind.NDJSON
    if media_type in ("", "text/plain", "application/x-www-form-urlencoded"):
        return Kind.GUESSED
    raise UnsupportedType("the body must be JSON, NDJSON (for many updates) or a form")


def report_of(body: bytes, content_type: str) -> Report:
    """Return the one report in a body; an empty one is a heartbeat, whatever type some client gave to nothing."""
    start = body.lstrip()[:1]
    if not start:
        return Report()
    kind = kind_of(content_type)
    if kind is Kind.NDJSON:
        raise UnsupportedType("NDJSON is for POST /v1/updates")
    if kind is Kind.JSON or start in (b"{", b"["):
        return wire.report_from_json(body)
    return wire.report_from_value(form(body))


def lines_of(body: bytes, content_type: str) -> list[Line]:
    """Return the updates of a batch, not yet parsed as far as that can wait."""
    lines = _lines(body, kind_of(content_type))
    if len(lines) > MOST_UPDATES:
        raise TooLarge(f"{len(lines)} updates; at most {MOST_UPDATES} at once")
    return lines


def report_of_line(line: Line, most_bytes: int) -> Report:
    """Return the report in one update of a batch."""
    size = len(line if isinstance(line, bytes) else wire.encode(line))
    if size > most_bytes:
        raise TooLarge(f"the update has {size} bytes; at most {most_bytes}")
    report = wire.report_from_json(line) if isinstance(line, bytes) else wire.report_from_value(line)
    if report.job_id is None:
        raise InvalidRequest(FieldError("job_id", "is required"))
    return report


def named_type(update: Line) -> str:
    """Return the job type that a refused update names, as far as that can be read, else "": it is only counted."""
    try:
        is_form = isinstance(update, bytes) and update.lstrip()[:1] not in (b"{", b"[")
        fields = (form(update) if is_form else wire.value_from_json(update)) if isinstance(update, bytes) else update
    except SidecarError:
        return ""
    named = fields.get("job_type") if isinstance(fields, dict) else None
    return named if isinstance(named, str) else ""


def form(body: bytes) -> dict[str, Json]:
    """Return the fields of a form; what is not a string field and looks like JSON is read as such."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise NotReadable(f"the form is not UTF-8: {error.reason}") from None
    fields: dict[str, Json] = {}
    for path, value in pairs:
        _put(fields, path, value)
    return fields


def _lines(body: bytes, kind: Kind) -> list[Line]:
    match kind:
        case Kind.JSON:
            return _members(body)
        case Kind.NDJSON:
            return [line for line in body.split(b"\n") if line.strip()]
        case Kind.GUESSED:
            return _lines(body, Kind.JSON if body.lstrip()[:1] == b"[" else Kind.NDJSON)
        case _:
            assert_never(kind)


def _members(body: bytes) -> list[Line]:
    value = wire.value_from_json(body)
    if not isinstance(value, list):
        raise InvalidRequest(FieldError("", "must be an array of updates"))
    return value


def _put(fields: dict[str, Json], path: str, value: str) -> None:
    """Put a form's value where its dotted name says."""
    prefix = next((each for each in OBJECTS if path.startswith(each + ".")), None)
    keys = [path] if prefix is None else [*prefix.split("."), path[len(prefix) + 1 :]]
    place = fields
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise InvalidRequest(FieldError(path, f"contradicts {key}, which was given another value"))
    place[keys[-1]] = value if path in TEXTS or prefix == "labels" else _guessed(value)


def _guessed(value: str) -> Json:
    """Return a number, boolean, null, object or array as what it is; anything else is a string."""
    if value not in ("true", "false", "null") and value[:1] not in "-0123456789{[":
        return value
    try:
        return wire.value_from_json(value)
    except NotReadable:
        return value
