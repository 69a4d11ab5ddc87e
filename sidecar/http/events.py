"""The bytes of an event stream: one pure function for each thing that it says."""

import random

from sidecar.core.job import Json
from sidecar.http import answers, wire
from sidecar.http.answers import Show
from sidecar.hub import Broadcast, Encode
from sidecar.ports import Cursor

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "Content-Encoding": "identity",
    "X-Accel-Buffering": "no",
}
PING = b": ping\n\n"
RETRY_MILLISECONDS = (1_000, 3_000)
OVERLOADED_RETRY_MILLISECONDS = (15_000, 45_000)


def event(name: str, data: Json, cursor: str | None = None) -> bytes:
    """Return one event; JSON keeps the data on one line whatever is in it."""
    id_line = b"" if cursor is None else f"id: {cursor}\n".encode()
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), id_line, wire.encode(data))


def full(change: Broadcast) -> bytes:
    """Return a change as an event with the whole job."""
    return _change(change, answers.full)


def brief(change: Broadcast) -> bytes:
    """Return a change as an event with the job's flat row."""
    return _change(change, answers.brief)


ENCODERS: dict[str, Encode] = {"full": full, "brief": brief}
"""Shared functions, so that the hub shares their bytes."""


def _change(change: Broadcast, show: Show) -> bytes:
    if change.view is None:
        return gone(change.job_id, change.cursor)
    job = show(change.view, change.cursor)
    if change.is_end:
        job = {"job_id": change.job_id, "status": change.view.status, "job": job}
    return event("done" if change.is_end else "progress", job, str(change.cursor))


UNKNOWN = Cursor("unknown", 0)
"""The place of a job that never was."""


def gone(job_id: str, cursor: Cursor = UNKNOWN) -> bytes:
    """Return the event that says that there is no such job any more, or never was."""
    return event("gone", {"job_id": job_id}, _gone_id(cursor))


def has_heard_gone(text: str) -> bool:
    """Whether a Last-Event-ID is that of a `gone`."""
    rev = text.rpartition("-")[2]
    return len(rev) > 1 and rev.startswith("0")


def _gone_id(cursor: Cursor) -> str:
    """Return a cursor that says "I have heard that it is gone": a zero before the rev, of the same value.

    A reconnect with it gets 204. One with any other cursor has yet to hear, even if the job is no longer known.
    """
    return f"{cursor.epoch}-0{cursor.rev}"


def opening() -> bytes:
    """Return the first bytes of a stream, which leave before anything is looked up."""
    return b"retry: %d\n\n: welcome\n\n" % random.randint(*RETRY_MILLISECONDS)  # noqa: S311 - spreads reconnects


def overloaded() -> bytes:
    """Return the whole stream of a server that is full: anything but 200 would end an EventSource for good."""
    retry = random.randint(*OVERLOADED_RETRY_MILLISECONDS)  # noqa: S311 - spreads reconnects
    return b"retry: %d\n%s" % (retry, event("overloaded", {}))
