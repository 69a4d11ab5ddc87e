"""What a client may say, checked field by field. Limits are those of the API."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, from_json, to_json

from sidecar.core.job import Json
from sidecar.http import checks
from sidecar.http.problem import FieldError, InvalidRequest, NotReadable

MOST_ENTRIES = 100
VALUE_BYTES = 16 * 1024
ERRORS_TOLD = 20
MOST_WATCHED = 1_000

NOT_GIVEN: Any = None
"""The default of a field in which a null is a mistake; `model_fields_set` tells what was given."""


def _small(value: Json) -> Json:
    if len(encode(value)) > VALUE_BYTES:
        raise ValueError(f"must be at most {VALUE_BYTES} bytes of JSON")
    return value


_COUNTER = checks.number(0, checks.MOST_COUNTED, f"must be a finite number from 0 to {checks.MOST_COUNTED}")
_PERCENT = checks.number(0, 100, "must be a number from 0 to 100")
_SECONDS = checks.number(1e-3, checks.MOST_SECONDS, f"must be seconds from 0.001 to {checks.MOST_SECONDS}")
_PRINTABLE = AfterValidator(checks.printable)

JobId = Annotated[str, AfterValidator(checks.job_id)]
Name = Annotated[str, AfterValidator(checks.name)]
Word = Annotated[str, Field(min_length=1, max_length=64), _PRINTABLE]
Line32 = Annotated[str, Field(max_length=32), _PRINTABLE]
Line128 = Annotated[str, Field(max_length=128), _PRINTABLE]
Text256 = Annotated[str, Field(max_length=256)]
Text1024 = Annotated[str, Field(max_length=1_024)]
Text8192 = Annotated[str, Field(max_length=8_192)]
Counter = Annotated[Any, PlainValidator(_COUNTER)]
Percent = Annotated[Any, PlainValidator(_PERCENT)]
Seconds = Annotated[Any, PlainValidator(_SECONDS)]
Added = Annotated[Any, PlainValidator(checks.whole(0, checks.MOST_ADDED))]
Attempt = Annotated[Any, PlainValidator(checks.whole(1, checks.MOST_ATTEMPTS))]
Seq = Annotated[Any, PlainValidator(checks.whole(0, checks.MOST_COUNTED))]
Time = Annotated[str, AfterValidator(checks.time)]
AnyValue = Annotated[Any, AfterValidator(checks.nested)]
SmallValue = Annotated[AnyValue, AfterValidator(_small)]
SmallObject = Annotated[dict[str, Any], AfterValidator(checks.nested), AfterValidator(_small)]


class Strict(BaseModel):
    """No conversions, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


class StageFields(Strict):
    """One stage of a plan."""

    name: Word
    weight: Counter = 1.0
    label: Line128 | None = None


class AddFields(Strict):
    """Increments."""

    current: Added = NOT_GIVEN
    items: Annotated[dict[Word, Added], Field(max_length=MOST_ENTRIES)] = NOT_GIVEN


class ErrorFields(Strict):
    """Why a job failed, as its worker tells it."""

    message: Text8192 | None = None
    type: Text256 | None = None
    context: SmallValue = None
    stack: Annotated[str, Field(max_length=32_768)] | None = None


class EventFields(Strict):
    """A line for the timeline."""

    type: Annotated[Name, AfterValidator(checks.own_event)]
    details: SmallObject = NOT_GIVEN


def _unique(stages: list[StageFields]) -> list[StageFields]:
    if len({stage.name for stage in stages}) < len(stages):
        raise ValueError("must have different names")
    return stages


class Report(Strict):
    """The body of a push: the fields of the API, every one optional. Null clears where a null is allowed."""

    job_id: JobId = NOT_GIVEN
    project: Name = NOT_GIVEN
    job_type: Name = NOT_GIVEN
    attempt: Attempt = NOT_GIVEN
    writer: Line128 = ""
    seq: Seq = NOT_GIVEN
    stages: Annotated[list[StageFields], Field(max_length=MOST_ENTRIES), AfterValidator(_unique)] = NOT_GIVEN
    stage: Word = NOT_GIVEN
    stage_status: Literal["running", "completed"] = NOT_GIVEN
    rewind: bool = False
    current: Counter = NOT_GIVEN
    total: Counter | None = None
    total_growing: bool = NOT_GIVEN
    percent: Percent = NOT_GIVEN
    stage_percent: Percent = NOT_GIVEN
    items: Annotated[dict[Word, Counter], Field(max_length=MOST_ENTRIES)] = NOT_GIVEN
    add: AddFields = NOT_GIVEN
    message: Text1024 | None = None
    detail: Text8192 | None = None
    unit: Line32 | None = None
    metadata: SmallObject = NOT_GIVEN
    labels: Annotated[dict[Name, Line128], Field(max_length=16)] | None = None
    resume: SmallValue = None
    status: Literal["queued", "running", "paused", "blocked", "completed", "failed", "cancelled"] = NOT_GIVEN
    error: ErrorFields | None = None
    result: AnyValue = None
    blocked_on: Text256 | None = None
    event: EventFields = NOT_GIVEN
    interval_seconds: Seconds | None = None
    deadline_at: Time | None = None
    max_runtime_seconds: Seconds | None = None
    parent_id: JobId | None = None
    trace_id: Line128 | None = None


AnyStatus = Literal["queued", "running", "paused", "blocked", "completed", "failed", "cancelled", "lost"]


def _listed(value: Json) -> Json:
    return [value] if isinstance(value, str) else value


class WatchFields(Strict):
    """What to watch: one job, or jobs of a project (`*` is every one)."""

    job_id: JobId | None = None
    project: Annotated[str, AfterValidator(checks.project_or_all)] | None = None
    job_type: Name | None = None
    status: Annotated[list[AnyStatus], BeforeValidator(_listed)] = Field(default=[], max_length=8)
    job_ids: Annotated[list[JobId], Field(min_length=1, max_length=MOST_WATCHED)] | None = None
    view: Literal["full", "brief"] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        others = {"project", "job_type", "status", "job_ids"} & self.model_fields_set
        if (self.job_id is None) == (self.project is None) or (self.job_id is not None and others):
            raise ValueError("must have a job_id alone, or a project")
        return self


class SocketMessage(Strict):
    """What a client may say on a WebSocket; `after` is the cursor up to which it has heard what it wants to watch."""

    watch: WatchFields | None = None
    unwatch: WatchFields | None = None
    after: Annotated[str, Field(max_length=256)] | None = None
    ping: Any = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.watch is None and self.unwatch is None and self.ping is None:
            raise ValueError("must say watch, unwatch or ping")
        return self


class SignIn(Strict):
    """Who wants a session."""

    token: Annotated[str, Field(max_length=1024)]


class LinkTerms(Strict):
    """For how long a link is to lead to its job."""

    expires_in_seconds: Annotated[float, Field(ge=60, le=30 * 86_400, allow_inf_nan=False)] = 86_400.0


def link_terms(body: bytes) -> LinkTerms:
    """Return what is asked of a link; nothing is asked by an empty body. Raises `NotReadable` or `InvalidRequest`."""
    try:
        return LinkTerms.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _told(error) from None


def sign_in(body: bytes) -> SignIn:
    """Return who wants a session. Raises `NotReadable` or `InvalidRequest`."""
    try:
        return SignIn.model_validate_json(body)
    except ValidationError as error:
        raise _told(error) from None


def socket_message(text: str) -> SocketMessage:
    """Return a client's message. Raises `NotReadable` or `InvalidRequest`."""
    try:
        return SocketMessage.model_validate_json(text)
    except ValidationError as error:
        raise _told(error) from None


def report_from_json(body: bytes) -> Report:
    """Return the report in a JSON body. Raises `NotReadable` or `InvalidRequest`."""
    try:
        return Report.model_validate_json(body)
    except ValidationError as error:
        raise _told(error) from None


def report_from_value(value: Json) -> Report:
    """Return the report in a value that has been parsed already. Raises `InvalidRequest`."""
    try:
        return Report.model_validate(value)
    except ValidationError as error:
        raise _told(error) from None


def value_from_json(body: bytes | str) -> Json:
    """Return any JSON value. Raises `NotReadable`."""
    try:
        return from_json(body)
    except ValueError as error:
        raise NotReadable(f"not JSON: {error}") from None


def encode(value: Json) -> bytes:
    """Return a value as JSON on one line."""
    return to_json(value, inf_nan_mode="null")


MESSAGES = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_long": "must be at most {max_length} characters",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
}
"""What people are told, by the kind of error; the numbers come from the model."""


def _told(error: ValidationError) -> NotReadable | InvalidRequest:
    """Return a model's complaint in words for people, under the names that the client wrote."""
    first = error.errors(include_url=False, include_input=False)[:ERRORS_TOLD]
    if first[0]["type"] == "json_invalid":
        return NotReadable(f"not JSON: {first[0]['ctx']['error']}")
    return InvalidRequest(*(FieldError(_path(each["loc"]), _message(each)) for each in first))


def _path(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:128] for part in parts if part != "[key]")


def _message(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    return MESSAGES[error["type"]].format_map(context) if error["type"] in MESSAGES else error["msg"]
