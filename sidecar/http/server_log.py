"""The HTTP server's own log: a client's garbage is a line at debug, not a traceback."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

logger = logging.getLogger(__name__)

GARBAGE = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


def server_logger() -> logging.Logger:
    """Return the logger to hand to aiohttp's runner."""
    server = logging.getLogger("sidecar.http.server")
    server.addFilter(_is_ours)
    return server


def _is_ours(record: logging.LogRecord) -> bool:
    """Return whether a record tells of more than a broken request, of which one line at debug is enough."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, GARBAGE):
        return True
    told = str(error).strip().partition("\n")[0] or type(error).__name__
    logger.debug("a malformed request", extra={"fields": {"error": told}})
    return False
