"""Query parameters and opaque tokens: from strings to values, each mistake named."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Container, Mapping
from typing import TypeVar

from multidict import MultiMapping

from sidecar.core.job import Json, Status
from sidecar.history import StatsQuery
from sidecar.http import checks, wire
from sidecar.http.answers import VIEWS, Show
from sidecar.http.problem import FieldError, InvalidRequest, NotReadable
from sidecar.hub.selection import ANY, Selection
from sidecar.ports import Cursor, Order, Place, Query

T = TypeVar("T")

MOST_LISTED = 1_000
LISTED = 100

REPEATED = ("status", "label")

WAIT = re.compile(r"\d{1,2}(\.\d{1,6})?", re.ASCII)


LINK = "link"
"""How somebody comes in who was handed a link; looked at before any handler."""


def only(given: MultiMapping[str], *known: str) -> None:
    """Refuse parameters that are not known, and those given twice that make no sense twice."""
    for name in given:
        if name not in known and name != LINK:
            raise InvalidRequest(FieldError(name[:128], "is not a known parameter"))
        if name not in REPEATED and len(given.getall(name)) > 1:
            raise InvalidRequest(FieldError(name, "must be given once"))


def parsed(given: MultiMapping[str], name: str, parse: Callable[[str], T]) -> T | None:
    """Return a parameter parsed, None if it is not given; a ValueError of `parse` names the parameter."""
    text = given.get(name)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidRequest(FieldError(name, str(error))) from None


def job_id(text: str) -> str:
    """Return the id in a path. Raises `InvalidRequest`."""
    try:
        return checks.job_id(text)
    except ValueError as error:
        raise InvalidRequest(FieldError("job_id", str(error))) from None


def flag(text: str) -> bool:
    """Return true or false."""
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in a range."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < len(str(most)) + 1 and least <= int(text) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


limit = whole(1, MOST_LISTED)
number = whole(0, checks.MOST_COUNTED)


def accepted(accept: str, offered: Container[str]) -> str | None:
    """Return the first media type of an Accept header that is offered; weights are not weighed."""
    types = (each.partition(";")[0].strip().lower() for each in accept.split(","))
    return next((each for each in types if each in offered), None)


def view(given: MultiMapping[str], default: str = "full") -> str:
    """Return the name of the view asked for."""
    return parsed(given, "view", _view) or default


def show(given: MultiMapping[str]) -> Show:
    """Return the form in which jobs are asked for."""
    return VIEWS[view(given)]


def cursor(text: str | None) -> Cursor | None:
    """Return a cursor, or None for what is none of ours: it counts as unknown."""
    epoch, _, rev = (text or "").rpartition("-")
    if not (epoch and rev.isascii() and rev.isdigit() and len(rev) < len(str(checks.MOST_COUNTED))):
        return None
    return Cursor(epoch, int(rev))


SELECTING = ("job_type", "status", "job_id")
"""What narrows down the jobs of a project that are watched."""

MOST_NAMED = 1_000
MOST_WAIT_SECONDS = 60.0


def watched_project(given: MultiMapping[str]) -> str | None:
    """Return the project to watch, or the star for all. Raises `InvalidRequest`."""
    return parsed(given, "project", checks.project_or_all)


def selection(given: MultiMapping[str]) -> Selection:
    """Return which jobs of the project are watched. Raises `InvalidRequest`."""
    return Selection(
        parsed(given, "job_type", checks.name),
        _statuses(given.getall("status", [])),
        parsed(given, "job_id", _job_ids) or ANY,
    )


def has_pings(given: MultiMapping[str]) -> bool:
    """Return whether heartbeats are asked for as events. Raises `InvalidRequest`."""
    return parsed(given, "ping", _ping) or False


def wait_seconds(given: MultiMapping[str]) -> float:
    """Return how long to wait for something newer. Raises `InvalidRequest`."""
    return parsed(given, "wait", _wait) or 0.0


def jobs(given: MultiMapping[str], may_see: Callable[[str], bool]) -> Query:
    """Return the query of a list of jobs. Raises `InvalidRequest`."""
    only(given, *FILTERS, "order", "limit", "page", "view", "ticket")
    order = parsed(given, "order", _order) or Order.NEWEST_CREATED
    return Query(
        may_see=may_see,
        project=parsed(given, "project", checks.name),
        job_type=parsed(given, "job_type", checks.name),
        statuses=_statuses(given.getall("status", [])),
        active=parsed(given, "active", flag),
        stalled=parsed(given, "stalled", flag),
        labels=_labels(given.getall("label", [])),
        parent_id=parsed(given, "parent_id", checks.job_id),
        updated_since=parsed(given, "updated_since", _since),
        order=order,
        limit=parsed(given, "limit", limit) or LISTED,
        after=parsed(given, "page", lambda token: place(token, order)),
    )


def stats(given: MultiMapping[str]) -> StatsQuery:
    """Return which finished jobs are asked for. Raises `InvalidRequest`."""
    only(given, "project", "job_type", "since")
    return StatsQuery(
        project=parsed(given, "project", checks.name),
        job_type=parsed(given, "job_type", checks.name),
        since=parsed(given, "since", _since),
    )


FILTERS = ("project", "job_type", "status", "active", "stalled", "label", "parent_id", "updated_since")


def page_token(after: Place | None, order: Order) -> str | None:
    """Return the opaque token of the page that follows this place."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(wire.encode([order, after.at, after.job_id])).decode().rstrip("=")


def place(token: str, order: Order) -> Place:
    """Return where a page begins. Raises ValueError for a token that is not ours, or of another order."""
    match _unpacked(token):
        case [str(asked), float(at), str(job)] if asked == order and math.isfinite(at) and checks.JOB_ID.fullmatch(job):
            return Place(at, job)
        case _:
            raise ValueError("must be the `next` of a page in the same order")


def _unpacked(token: str) -> Json:
    try:
        return wire.value_from_json(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, NotReadable):
        return None


def _view(text: str) -> str:
    if text not in VIEWS:
        raise ValueError("must be full or brief")
    return text


def _job_ids(text: str) -> frozenset[str]:
    ids = frozenset(checks.job_id(each) for each in text.split(","))
    if len(ids) > MOST_NAMED:
        raise ValueError(f"must name at most {MOST_NAMED} jobs")
    return ids


def _ping(text: str) -> bool:
    if text not in ("event", "comment"):
        raise ValueError("must be event or comment")
    return text == "event"


def _wait(text: str) -> float:
    if not WAIT.fullmatch(text) or float(text) > MOST_WAIT_SECONDS:
        raise ValueError(f"must be seconds from 0 to {MOST_WAIT_SECONDS:.0f}")
    return float(text)


def _order(text: str) -> Order:
    if text not in tuple(Order):
        raise ValueError(f"must be one of {', '.join(Order)}")
    return Order(text)


def _since(text: str) -> float:
    # A plus that nobody escaped arrives as a space.
    at = checks.unix_seconds(f"{text[:-6]}+{text[-5:]}" if text[-6:-5] == " " else text)
    if at is None:
        raise ValueError("must be an RFC 3339 time with an offset, such as 2030-01-31T12:00:00Z")
    return at


def _statuses(given: list[str]) -> frozenset[str]:
    names = [name for text in given for name in text.split(",")]
    if not all(name in tuple(Status) for name in names):
        raise InvalidRequest(FieldError("status", f"must be among {', '.join(Status)}"))
    return frozenset(names) if names else ANY


def _labels(given: list[str]) -> Mapping[str, str]:
    pairs = [text.partition(":") for text in given]
    if not all(checks.NAME.fullmatch(name) and colon for name, colon, _ in pairs):
        raise InvalidRequest(FieldError("label", "must be name:value"))
    return {name: value for name, _, value in pairs}
