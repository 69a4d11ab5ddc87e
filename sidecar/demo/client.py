"""The demo's way to a sidecar: one connection that is kept, one call at a time, each with a deadline."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 5.0


class Away(Exception):
    """The sidecar does not answer, or cannot take it now: the same may be sent again."""


class Refused(Exception):
    """The sidecar answered no; `status` says which no."""

    def __init__(self, status: int, told: str) -> None:
        """Keep both."""
        super().__init__(f"{status}: {told}")
        self.status = status


class Address(NamedTuple):
    """Where a sidecar is, and what opens it."""

    url: str
    token: str | None

    @property
    def path(self) -> str:
        """What stands before every path of the API."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        """Return a new connection, which is opened by its first request."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.netloc, timeout=timeout_seconds)


def is_address(url: str) -> bool:
    """Whether a sidecar could be there."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Client:
    """Calls a sidecar; `close` at the end."""

    def __init__(self, address: Address, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Open nothing yet."""
        self._address = address
        self._connection = address.connection(timeout_seconds)

    def get(self, path: str) -> Any:
        """Return what a path answers. Raises `Away` and `Refused`, as does `post`."""
        return self._call("GET", path, None, {})

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send JSON and return what is answered."""
        return self._call("POST", path, b"" if body is None else json.dumps(body).encode(), headers or {})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        sent = {**self._address.headers, **headers} | ({"Content-Type": "application/json"} if body else {})
        try:
            self._connection.request(method, self._address.path + path, body, sent)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Away(f"{type(error).__name__}: {error}") from None
        return _answer(response.status, text)


def _answer(status: int, text: bytes) -> Any:
    if status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS:
        raise Away(f"it answers {status}")
    if status >= http.client.BAD_REQUEST:
        raise Refused(status, text[:300].decode(errors="replace"))
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise Refused(status, "what answers is no sidecar") from None
