"""What stands for a token where none can be sent: a ticket or a link in a URL, a session in a cookie. Signed."""

import base64
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sidecar.core.job import Json
from sidecar.http import wire
from sidecar.http.problem import NotReadable, Unauthorized

TICKET_SECONDS = 60.0
SESSION_SECONDS = 12 * 3600.0
REOPEN_SECONDS = 24 * 3600.0
"""How long after its making a ticket reopens the stream that it opened: an `EventSource` comes back to the same URL."""

NEVER = 253_402_300_799.0
"""The end of the year 9999: when a right ends that does not."""

USED_REMEMBERED = 100_000


class Kind(StrEnum):
    """What a pass is for."""

    TICKET = "ticket"
    SESSION = "session"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Pass:
    """A signed statement that its holder stands for a token, `key`, until `expires_at` (Unix seconds).

    A link is about one job.
    """

    kind: Kind
    key: str
    nonce: str
    expires_at: float
    job: "LinkedJob | None" = None


class LinkedJob(NamedTuple):
    """The job that a link is about; another one that takes its id in another project is none."""

    job_id: str
    project: str


class Passes:
    """Makes passes and reads them. Sidecars that share the secret read each other's."""

    def __init__(self, secret: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """Keep the secret, or make one that ends with the process; `clock` gives Unix seconds."""
        self._secret = (secret or secrets.token_urlsafe(32)).encode()
        self._is_shared = secret is not None
        self._clock = clock
        self._used: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def key(self, digest: str) -> str:
        """Return the name of a token, by which nobody else can tell whether they have guessed its secret."""
        return hmac.digest(self._secret, b"key:" + digest.encode(), "sha256").hex()[:32]

    def make(self, kind: Kind, key: str, right_ends_at: float = NEVER) -> tuple[str, float]:
        """Return a new pass as text, and when it expires: no later than the right that it stands for."""
        now = self._clock()
        expires_at = min(right_ends_at, now + (TICKET_SECONDS if kind is Kind.TICKET else SESSION_SECONDS))
        return self._signed([kind, key, secrets.token_urlsafe(9), expires_at, right_ends_at]), expires_at

    def link(self, job: LinkedJob, key: str, seconds: float, right_ends_at: float = NEVER) -> tuple[str, float]:
        """Return a new link to a job as text, and when it expires, at the latest after so many seconds."""
        expires_at = min(right_ends_at, self._clock() + seconds)
        return self._signed([Kind.LINK, key, secrets.token_urlsafe(9), expires_at, right_ends_at, *job]), expires_at

    def linked(self, text: str) -> Pass:
        """Return what a link says, which may be used again and again. Raises `Unauthorized`."""
        return self._read(text, Kind.LINK, self._clock())

    def session(self, text: str) -> Pass:
        """Return what a session's cookie says. Raises `Unauthorized`."""
        return self._read(text, Kind.SESSION, self._clock())

    def ticket(self, text: str, path: str, *, is_back: bool) -> Pass:
        """Return what a ticket says: it opens one stream, once, and (`is_back`) the same one again.

        `path` is that of the stream. One that another sidecar may have opened, as it shares the secret, is believed to
        come back. Raises `Unauthorized`.
        """
        now = self._clock()
        known = self._read(text, Kind.TICKET, now - REOPEN_SECONDS if is_back else now)
        opened, times = self._used.get(known.nonce, (path, 0))
        if times and not (is_back and opened == path):
            raise Unauthorized("the ticket has been used")
        if not times and not self._is_shared:
            known = self._read(text, Kind.TICKET, now)
        self._used[known.nonce] = path, times + 1
        if len(self._used) > USED_REMEMBERED:
            self._used.popitem(last=False)
        return known

    def give_back(self, text: str) -> None:
        """Let a ticket be as it was: the stream that it was to open did not open."""
        with suppress(Unauthorized):
            nonce = self._read(text, Kind.TICKET, self._clock() - REOPEN_SECONDS).nonce
            path, times = self._used.pop(nonce, ("", 0))
            if times > 1:
                self._used[nonce] = path, times - 1

    def _read(self, text: str, kind: Kind, at: float) -> Pass:
        match self._body(text):
            case [str(found), str(key), str(nonce), float(expires_at), float(right), *about] if found == kind:
                if expires_at > at and right > self._clock():
                    job = LinkedJob(*map(str, about)) if kind is Kind.LINK else None
                    return Pass(kind, key, nonce, right if kind is Kind.TICKET else expires_at, job)
        raise Unauthorized(f"the {kind} is not valid, or not any more")

    def _body(self, text: str) -> object:
        body, _, signature = text.partition(".")
        try:
            signed = _bytes(body)
            is_ours = hmac.compare_digest(self._signature(signed), _bytes(signature))
            return wire.value_from_json(signed) if is_ours else None
        except (ValueError, NotReadable):
            return None

    def _signed(self, said: list[Json]) -> str:
        body = wire.encode(said)
        return f"{_text(body)}.{_text(self._signature(body))}"

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
