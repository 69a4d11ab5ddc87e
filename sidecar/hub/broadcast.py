"""One change on its way to the watchers, and the forms in which it is said: encoded once for all who want the same."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from typing_extensions import override

from sidecar.core.view import View
from sidecar.ports import Cursor, Gone, Stored


class Facts(NamedTuple):
    """What of a changed job tells who wants to hear of it."""

    job_type: str
    status: str


class Broadcast:
    """One change on its way to the watchers; each form of it is encoded once, by whoever asks first.

    `row` is the brief row as JSON without its cursor, `view` the whole job; neither is there for a job that is gone.
    The view may be newer than `cursor`: a client that resumes there misses nothing. `repeats` is the place, in another
    epoch, at which some have been shown the very same already.
    """

    __slots__ = ("_encoded", "_facts", "cursor", "is_end", "job_id", "repeats", "row", "version", "view")

    def __init__(  # noqa: PLR0913 - the parts of a change
        self,
        job_id: str,
        cursor: Cursor,
        version: int = 0,
        *,
        is_end: bool = True,
        row: bytes | None = None,
        view: View | None = None,
    ) -> None:
        """Keep the parts; nothing is encoded yet."""
        self.job_id = job_id
        self.cursor = cursor
        self.version = version
        self.is_end = is_end
        self.row = row
        self.view = view
        self.repeats: Cursor | None = None
        self._encoded: dict[Encode, bytes] = {}
        self._facts: Facts | None = None

    @classmethod
    def of(cls, change: Stored | Gone) -> "Broadcast":
        """Return the word of a job as a store holds it, or that it is gone."""
        if isinstance(change, Gone):
            return cls(change.job_id, change.cursor)
        shown = change.view
        return cls(shown.job.job_id, change.cursor, shown.job.version, is_end=shown.is_over, view=shown)

    @property
    def is_gone(self) -> bool:
        """Whether there is no such job any more."""
        return self.row is None and self.view is None

    @property
    def facts(self) -> Facts | None:
        """What tells who wants to hear of it, None of a job that is gone."""
        if self._facts is None and not self.is_gone:
            self._facts = _facts(self)
        return self._facts

    @property
    def changed_at(self) -> float | None:
        """When the job changed (Unix seconds of the replica that was told), None of one that is gone."""
        if self.view is not None:
            return self.view.job.updated_at
        return None if self.row is None else _changed_at(self.row)

    def encoded(self, encode: "Encode") -> bytes:
        """Return the bytes in the form of `encode`."""
        known = self._encoded.get(encode)
        if known is None:
            known = self._encoded[encode] = encode(self)
        return known


UPDATED_AT = b'"updated_at":"'
STAMP_BYTES = 24
"""The length of a time with milliseconds in UTC."""


def _changed_at(row: bytes) -> float | None:
    """Return when a row says that its job changed; without reading all of it as JSON, which takes ten times as long."""
    found = row.rfind(UPDATED_AT)
    if found < 0:
        return None
    start = found + len(UPDATED_AT)
    return datetime.fromisoformat(row[start : start + STAMP_BYTES].decode("ascii")).timestamp()


def _facts(change: Broadcast) -> Facts:
    if change.view is not None:
        return Facts(change.view.job.job_type, change.view.status)
    row = json.loads(change.row or b"{}")
    return Facts(row["job_type"], row["status"])


Encode = Callable[[Broadcast], bytes]


class Store(StrEnum):
    """Which store serves; a watcher that was told nothing else takes it to be Redis."""

    REDIS = "redis"
    SQL = "sql"


NOTHING_SAID: Mapping[Store, bytes] = {}


class Form(NamedTuple):
    """How a transport says things: each change by `encode`, all that one write carries by `frame`.

    `ping` says that we live, in its frame; `is_whole` that `encode` needs the whole job and not only its row; `turned`
    has for each store what is said when it takes over, in its frame.
    """

    encode: Encode
    frame: Callable[[bytes], bytes]
    ping: bytes
    is_whole: bool
    turned: Mapping[Store, bytes] = NOTHING_SAID

    @override
    def __hash__(self) -> int:
        """Tell forms apart by how they encode and frame."""
        return hash(self[:4])

    def framed(self, changes: Sequence[Broadcast]) -> bytes:
        """Return the bytes of one write."""
        return self.frame(b"".join([change.encoded(self.encode) for change in changes]))
