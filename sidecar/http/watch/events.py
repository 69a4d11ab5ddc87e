"""The bytes of what is told: one pure function for each thing, and for each way in which a transport says it."""

import random
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from sidecar.core.job import Json
from sidecar.http import answers, wire
from sidecar.hub.broadcast import NOTHING_SAID, Broadcast, Encode, Form, Store
from sidecar.ports import Cursor

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "Content-Encoding": "identity",
    "X-Accel-Buffering": "no",
}
RETRY_MILLISECONDS = (1_000, 3_000)
OVERLOADED_RETRY_MILLISECONDS = (15_000, 45_000)

Say = Callable[[str, bytes, str | None], bytes]
"""Returns the bytes of an event: its name, its data as JSON, and its cursor if it has one."""


class Dialect(NamedTuple):
    """How a transport says things: one event in its frame, and the forms of what is shared.

    `forms` are by view, and by whether events have ids; `pulse` is that of a connection which carries many watches.
    """

    event: Say
    forms: Mapping[tuple[str, bool], Form]
    pulse: Form


def name(change: Broadcast) -> str:
    """Return the name of the event that tells of a change."""
    if change.is_gone:
        return "gone"
    return "done" if change.is_end else "progress"


def full(change: Broadcast) -> bytes:
    """Return the data of a change with the whole job, or its row if that is all that is left of it."""
    if change.view is None:
        return brief(change)
    return _data(change, wire.encode(answers.full(change.view, change.cursor)))


def brief(change: Broadcast) -> bytes:
    """Return the data of a change with the job's flat row; one that came encoded only lacks its cursor."""
    if change.row is not None:
        return _data(change, b'%s,"cursor":"%s"}' % (change.row[:-1], str(change.cursor).encode()))
    if change.view is None:
        return wire.encode({"job_id": change.job_id})
    return _data(change, wire.encode(answers.brief(change.view, change.cursor)))


def _data(change: Broadcast, job: bytes) -> bytes:
    if not change.is_end or change.facts is None:
        return job
    told = {"job_id": change.job_id, "status": change.facts.status}
    return b'%s,"job":%s}' % (wire.encode(told)[:-1], job)


VIEWS: dict[str, Encode] = {"full": full, "brief": brief}


def place(change: Broadcast) -> str:
    """Return the cursor of a change as clients see it.

    That of a `gone` says "I have heard that it is gone", by a zero before the rev, of the same value: a reconnect
    with it gets 204. One with any other cursor has yet to hear, even if the job is no longer known.
    """
    return f"{change.cursor.epoch}-{'0' if change.is_gone else ''}{change.cursor.rev}"


def has_heard_gone(text: str) -> bool:
    """Whether a Last-Event-ID is that of a `gone`."""
    rev = text.rpartition("-")[2]
    return len(rev) > 1 and rev.startswith("0")


UNKNOWN = Cursor("unknown", 0)
"""The place of a job that never was."""


def event(name: str, data: bytes, cursor: str | None = None) -> bytes:
    """Return a server-sent event; JSON keeps the data on one line whatever is in it."""
    id_line = b"" if cursor is None else f"id: {cursor}\n".encode()
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), id_line, data)


def chunked(data: bytes) -> bytes:
    """Return the data as a chunk of an HTTP/1.1 response."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def message(name: str, data: bytes, cursor: str | None = None) -> bytes:
    """Return an event as a WebSocket message, in the one frame that it takes."""
    told = b"null" if cursor is None else wire.encode(cursor)
    return text_frame(b'{"event":"%s","cursor":%s,"data":%s}' % (name.encode(), told, data))


def text_frame(text: bytes) -> bytes:
    """Return a final, unmasked text frame, as a server sends it (RFC 6455, 5.2)."""
    size = len(text)
    if size < 126:  # noqa: PLR2004 - the lengths at which the frame's head grows
        return b"\x81%c%s" % (size, text)
    if size < 1 << 16:
        return b"\x81\x7e%s%s" % (size.to_bytes(2, "big"), text)
    return b"\x81\x7f%s%s" % (size.to_bytes(8, "big"), text)


@lru_cache
def server_sent(*, is_chunked: bool, has_pings: bool = False) -> Dialect:
    """Return how a response says things; an HTTP/1.0 client gets the bytes without chunks.

    A ping is a comment, which a page does not see, or an event, which it does.
    """
    frame = chunked if is_chunked else _as_it_is
    return _dialect(event, frame, event("ping", b"{}") if has_pings else b": ping\n\n", are_many=False)


@lru_cache
def websocket() -> Dialect:
    """Return how a WebSocket says things: each event is a frame of its own."""
    return _dialect(message, _as_it_is, message("ping", b"{}"), are_many=True)


def _dialect(say: Say, frame: Callable[[bytes], bytes], ping: bytes, *, are_many: bool) -> Dialect:
    """Return a dialect; where many watches share a connection, or without ids, only the pulse tells of stores."""
    turned = {store: frame(say("degraded", wire.encode({"store": store}), None)) for store in Store}
    forms = {
        (view, has_ids): Form(
            _encoder(say, data, has_ids=has_ids),
            frame,
            frame(ping),
            is_whole=data is full,
            turned=turned if has_ids and not are_many else NOTHING_SAID,
        )
        for view, data in VIEWS.items()
        for has_ids in (True, False)
    }
    pulse = forms["brief", True]._replace(turned=turned)
    return Dialect(lambda name, data, cursor: frame(say(name, data, cursor)), forms, pulse)


def _encoder(say: Say, data: Encode, *, has_ids: bool) -> Encode:
    def encode(change: Broadcast) -> bytes:
        return say(name(change), change.encoded(data), place(change) if has_ids else None)

    return encode


def _as_it_is(data: bytes) -> bytes:
    return data


def opening() -> bytes:
    """Return the first bytes of a stream, which leave before anything is looked up."""
    return b"retry: %d\n\n: welcome\n\n" % _any_of(RETRY_MILLISECONDS)


def overloaded(*, is_leaving: bool) -> bytes:
    """Return the whole stream of a server that is full, or about to stop and not to be asked again.

    Anything but 200 would end an EventSource for good. The data says what `retry:` says, which a page cannot read.
    """
    retry = _retry_milliseconds(is_leaving=is_leaving)
    return b"retry: %d\n%s" % (retry, event("overloaded", _why(retry, is_leaving=is_leaving)))


def overloaded_message(*, is_leaving: bool) -> str:
    """Return the same as the text of a WebSocket message."""
    why = _why(_retry_milliseconds(is_leaving=is_leaving), is_leaving=is_leaving)
    return f'{{"event":"overloaded","cursor":null,"data":{why.decode()}}}'


def _retry_milliseconds(*, is_leaving: bool) -> int:
    return _any_of(RETRY_MILLISECONDS if is_leaving else OVERLOADED_RETRY_MILLISECONDS)


def _why(retry_milliseconds: int, *, is_leaving: bool) -> bytes:
    reason = "draining" if is_leaving else "full"
    return wire.encode({"reason": reason, "retry_after_seconds": retry_milliseconds / 1000})


def _any_of(bounds: tuple[int, int]) -> int:
    return random.randint(*bounds)  # noqa: S311 - spreads reconnects


def as_json(data: Mapping[str, Json]) -> bytes:
    """Return the data of an event."""
    return wire.encode(dict(data))
