"""Hosts, URLs and origins as an operator writes them: each check returns the text, or says what it must be."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")


def host(text: str) -> str:
    """Check the form of a host."""
    if re.search(r"[\s/\[\]]", text) or (":" in text and not _is_address(text)):
        raise ValueError("must be a host name or an IP address, without port or brackets")
    return text


def redis_url(text: str) -> str:
    """Check the form of a Redis' URL."""
    if not _is_redis_url(text):
        raise ValueError("must be redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH, a password %-encoded")
    return text


def database_url(text: str) -> str:
    """Check the form of a database's URL."""
    if not _is_database_url(text):
        raise ValueError(
            "must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:////PATH, a password %-encoded"
        )
    return text


def origins(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins of a list joined by commas."""
    origins = tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else given
    if not all(ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("must be origins such as https://app.example, without a path, joined by commas")
    return origins


def _is_redis_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        if url.scheme == "unix":
            return bool(url.path)
        return url.scheme in {"redis", "rediss"} and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _is_database_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        if url.scheme == "sqlite":
            return not url.netloc and len(url.path) > 1
        return url.scheme == "postgresql" and bool(url.hostname) and url.port != 0 and len(url.path) > 1
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
