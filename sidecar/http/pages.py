"""The pages and their files: open shells without data; what they show needs a right."""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from aiohttp import web

from sidecar.http import ops, queries
from sidecar.http.services import SERVICES

FOLDER = Path(__file__).parent.parent / "web"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors {}"
)
"""What a page may do: nothing that comes from elsewhere, or stands in the document itself, is run or drawn."""


async def front(request: web.Request) -> web.StreamResponse:
    """GET /: the live page for a browser, for anyone else what this is and the first three commands."""
    if queries.accepted(request.headers.get("Accept", ""), ("text/html",)) is None:
        answer: web.StreamResponse = await ops.welcome(request)
    else:
        answer = _page("index.html", ())
    answer.headers["Vary"] = "Accept"
    return answer


def page(name: str, *, is_embed: bool = False) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of a page about one job; an embed may be framed by the origins that are allowed."""

    async def show(request: web.Request) -> web.StreamResponse:
        queries.job_id(request.match_info["job_id"])
        return _page(name, ("'self'", *sorted(request.app[SERVICES].gate.origins)) if is_embed else ())

    return show


async def file(request: web.Request) -> web.StreamResponse:
    """GET /web/{file}: a script, a style or a picture of the pages."""
    path = FOLDER / request.match_info["file"]
    if not path.is_file():
        raise web.HTTPNotFound
    return _file(path, {})


def _page(name: str, framed_by: Iterable[str]) -> web.FileResponse:
    policy = POLICY.format(" ".join(framed_by) or "'none'")
    return _file(FOLDER / name, {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"})


def _file(path: Path, headers: dict[str, str]) -> web.FileResponse:
    """Return a file that is asked for again each time: a new release is seen at once, an unchanged one costs a 304."""
    return web.FileResponse(path, headers={**headers, "Content-Type": TYPES[path.suffix], "Cache-Control": "no-cache"})
