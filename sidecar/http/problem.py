"""What goes wrong, as problem documents (RFC 9457). Mistakes that only HTTP can make are at home here.

The branch of the error tree that grows here; core/errors.py draws the others:

    SidecarError
    +-- RequestError
        +-- NotReadable        not JSON, not UTF-8, too deep       HTTP 400
        +-- Unauthorized       no token, or none that we know      HTTP 401
        +-- NotFound           nothing at this path                HTTP 404
        +-- NotAllowed         not with this method                HTTP 405
        +-- TooSlow            the body did not arrive in time     HTTP 408
        +-- TooLarge           more than the limit                 HTTP 413
        +-- UnsupportedType    a body of a type that we cannot read HTTP 415
        +-- InvalidRequest     fields contradict the contract      HTTP 422
        +-- Overloaded         too many are watching               HTTP 503
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from sidecar.core.errors import (
    Conflict,
    Forbidden,
    InvalidUpdate,
    SidecarError,
    Unavailable,
    UnknownJob,
)
from sidecar.core.job import Json

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is its dotted path as the client wrote it."""

    field: str
    message: str


class RequestError(SidecarError):
    """The request is wrong in a way that only HTTP knows."""

    status = HTTPStatus.BAD_REQUEST


class NotReadable(RequestError):
    """The body cannot be parsed."""


class Unauthorized(RequestError):
    """No token, or none that we know."""

    status = HTTPStatus.UNAUTHORIZED


class NotFound(RequestError):
    """Nothing is served at this path."""

    status = HTTPStatus.NOT_FOUND


class NotAllowed(RequestError):
    """The path is served, but not with this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, method: str, allowed: str) -> None:
        """Keep the methods that are allowed, as the Allow header lists them."""
        super().__init__(f"{method} is not possible here; allowed: {allowed}")
        self.allowed = allowed


class TooSlow(RequestError):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class TooLarge(RequestError):
    """The body, or one update in it, is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedType(RequestError):
    """The body is of a type that we do not read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class InvalidRequest(RequestError):
    """One or more fields of the request contradict the contract."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, *errors: FieldError) -> None:
        """Keep what is wrong with each field."""
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


class Overloaded(RequestError):
    """One more who watches would be too many."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, *, is_leaving: bool = False) -> None:
        """Say so, or that it is about to stop, and when to come again."""
        super().__init__("about to stop; come again" if is_leaving else "too many are watching; come again later")
        self.retry_after_seconds = 2 if is_leaving else 15


STATUS = (
    (InvalidUpdate, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Conflict, HTTPStatus.CONFLICT),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (UnknownJob, HTTPStatus.NOT_FOUND),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: SidecarError) -> HTTPStatus:
    """Return the one HTTP status of an error."""
    if isinstance(error, RequestError):
        return error.status
    known = (status for kind, status in STATUS if isinstance(error, kind))
    return next(known, HTTPStatus.INTERNAL_SERVER_ERROR)


def headers_of(error: SidecarError) -> Mapping[str, str]:
    """Return the headers that tell the client what to do about it."""
    match error:
        case Unauthorized():
            return {"WWW-Authenticate": "Bearer"}
        case NotAllowed():
            return {"Allow": error.allowed}
        case Unavailable() | Overloaded():
            return {"Retry-After": str(error.retry_after_seconds)}
        case _:
            return {}


def document(error: SidecarError, request_id: str) -> dict[str, Json]:
    """Return the problem as JSON-able values."""
    errors = _errors(error)
    detail = "; ".join(f"{each.field}: {each.message}".lstrip(": ") for each in errors) or str(error)
    told = _document(status_of(error), detail, request_id)
    return {**told, "errors": [{"field": each.field, "message": each.message} for each in errors]} if errors else told


def unexpected(request_id: str) -> dict[str, Json]:
    """Return the problem that a bug of ours amounts to for the client, without any detail of it."""
    detail = "this is our mistake; the log has it under the request_id"
    return _document(HTTPStatus.INTERNAL_SERVER_ERROR, detail, request_id)


def of_aiohttp(error: web.HTTPException, method: str) -> SidecarError:
    """Return what aiohttp refused by itself as one of our errors."""
    match error:
        case web.HTTPMethodNotAllowed():
            return NotAllowed(method, ", ".join(sorted(error.allowed_methods)))
        case web.HTTPNotFound():
            return NotFound("nothing is served at this path")
        case web.HTTPRequestEntityTooLarge():
            return TooLarge("the body is too large")
        case _:
            return NotReadable(error.reason)


def _errors(error: SidecarError) -> tuple[FieldError, ...]:
    match error:
        case InvalidRequest():
            return error.errors
        case InvalidUpdate():
            return (FieldError(error.field, error.message),)
        case _:
            return ()


def _document(status: HTTPStatus, detail: str, request_id: str) -> dict[str, Json]:
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": request_id,
    }
