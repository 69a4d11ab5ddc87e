"""The bytes of an event stream: one pure function for each thing that it says."""

import random

from sidecar.core.job import Json
from sidecar.http import answers, wire
from sidecar.ports import Cursor
from sidecar.watcher import Broadcast, Encode, Form, Store

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
    """Return a change as an event with the whole job, or its row if that is all that is left of it."""
    if change.view is None:
        return brief(change)
    return _change(change, wire.encode(answers.full(change.view, change.cursor)))


def brief(change: Broadcast) -> bytes:
    """Return a change as an event with the job's flat row; one that came encoded only lacks its cursor."""
    if change.row is not None:
        return _change(change, b'%s,"cursor":"%s"}' % (change.row[:-1], str(change.cursor).encode()))
    if change.view is None:
        return gone(change.job_id, change.cursor)
    return _change(change, wire.encode(answers.brief(change.view, change.cursor)))


def _change(change: Broadcast, job: bytes) -> bytes:
    cursor = str(change.cursor).encode()
    if not change.is_end:
        return b"event: progress\nid: %s\ndata: %s\n\n" % (cursor, job)
    data = {"job_id": change.job_id, "status": wire.value_from_json(job)["status"]}
    return b'event: done\nid: %s\ndata: %s,"job":%s}\n\n' % (cursor, wire.encode(data)[:-1], job)


def chunked(data: bytes) -> bytes:
    """Return the data as a chunk of an HTTP/1.1 response."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def _as_it_is(data: bytes) -> bytes:
    return data


ENCODERS: dict[str, Encode] = {"full": full, "brief": brief}


def degraded(store: str) -> bytes:
    """Return the event that says which store serves now."""
    return event("degraded", {"store": store})


FORMS = {
    (view, is_chunked): Form(
        encode,
        frame,
        frame(PING),
        is_whole=encode is full,
        turned={store: frame(degraded(store)) for store in Store},
    )
    for view, encode in ENCODERS.items()
    for is_chunked, frame in ((True, chunked), (False, _as_it_is))
}
"""By view, and by whether the response is chunked: an HTTP/1.0 client gets the bytes as they are."""


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
