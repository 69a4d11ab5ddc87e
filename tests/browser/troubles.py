"""Whatever goes wrong in a page by itself: a test that did not announce it fails."""

import re
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Request, WebError

LOST_CONNECTION = (
    r"net::ERR_(CONNECTION_\w+|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)"
    r"|WebSocket connection to .* failed"
)
"""What Chromium says of a server that dies; a page cannot keep it from saying so."""

LEFT_BY_THE_PAGE = "net::ERR_ABORTED"
"""A request that the page itself ended: an `EventSource` that it closed, or what was under way when it was left."""

HOME = {"127.0.0.1", "localhost", ""}


class Troubles:
    """Console errors, uncaught errors, failed requests and requests to strangers, of every page of the contexts."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._expected: list[str] = []

    def expect(self, *patterns: str) -> None:
        """Let pass whatever one of these regular expressions finds, before and after this call."""
        self._expected.extend(patterns)

    def watch(self, context: BrowserContext) -> None:
        """Listen to all pages of this context, those to come too."""
        context.on("console", self._console)
        context.on("weberror", self._uncaught)
        context.on("requestfailed", self._failed)
        context.on("request", self._asked)

    def unexpected(self) -> list[str]:
        """Return what nobody announced."""
        return [each for each in self._found if not any(re.search(pattern, each) for pattern in self._expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._found.append(f"console: {message.text} ({message.location['url']})")

    def _uncaught(self, error: WebError) -> None:
        self._found.append(f"uncaught: {error.error.message}\n{error.error.stack}")

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT_BY_THE_PAGE:
            self._found.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in HOME and not request.url.startswith(("data:", "blob:")):
            self._found.append(f"a stranger was asked: {request.method} {request.url}")
