"""The limits of the API as small checks: each returns the value, or raises ValueError in words for people."""

import math
import re
from collections.abc import Callable
from datetime import datetime

from sidecar.core.job import Json
from sidecar.tokens import EVERY_PROJECT

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

MOST_COUNTED = 2**63 - 1
MOST_ADDED = 2**53
MOST_ATTEMPTS = 2**31 - 1
MOST_SECONDS = 100 * 366 * 86_400
MOST_NESTED = 32
END_OF_TIME = 253_402_300_800.0
"""The year 10000, which RFC 3339 cannot write."""

SERVER_EVENTS = frozenset(
    [
        *("created", "attempt_started", "started", "stage_started", "stage_completed", "progress"),
        *(
            "paused",
            "resumed",
            "blocked",
            "unblocked",
            "cancel_requested",
            "pause_requested",
            "resume_requested",
        ),
        *("stalled", "recovered", "lost", "returned", "late", "completed", "failed", "cancelled", "deleted"),
    ]
)
"""The timeline's own types; no worker's event can be mistaken for one of them."""


def job_id(value: str) -> str:
    """Check the form of a job's id."""
    if not JOB_ID.fullmatch(value):
        raise ValueError("must be 1 to 128 of A-Z a-z 0-9 . _ : @ - and begin with a letter or digit")
    return value


def name(value: str) -> str:
    """Check the form of a name: of a project, a job type, a label, an event."""
    if not NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
    return value


def project_or_all(value: str) -> str:
    """Check the form of a project's name, or of the star that stands for all."""
    return value if value == EVERY_PROJECT else name(value)


def printable(value: str) -> str:
    """Check that a text can be shown on one line."""
    if not value.isprintable():
        raise ValueError("must have no control characters")
    return value


def number(least: float, most: float, told: str) -> Callable[[object], int | float]:
    """Return a check that something is a finite number from `least` to `most`; it says `told` otherwise."""

    def check(value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(told)
        return value + 0  # no negative zero

    return check


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return a check that something is a whole number from `least` to `most`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return check


def nested(value: Json, depth: int = 1) -> Json:
    """Check that a JSON value is nested at most 32 deep and holds only finite numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must not contain NaN or Infinity")
    if isinstance(value, dict | list):
        if depth > MOST_NESTED:
            raise ValueError(f"must be nested at most {MOST_NESTED} deep")
        for inner in value.values() if isinstance(value, dict) else value:
            nested(inner, depth + 1)
    return value


def time(value: str) -> str:
    """Check that a text is a time as RFC 3339 writes it."""
    if unix_seconds(value) is None:
        raise ValueError("must be an RFC 3339 time with an offset, such as 2030-01-31T12:00:00Z")
    return value


def unix_seconds(text: str) -> float | None:
    """Return an RFC 3339 time as Unix seconds; None if it is no such time, or before 1970."""
    if not RFC3339.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        return None
    return at if 0 <= at < END_OF_TIME else None


def own_event(value: str) -> str:
    """Check that an event's type is none of the timeline's own."""
    if value in SERVER_EVENTS:
        raise ValueError("is one of the server's own types")
    return value
