"""The pages and their files as a browser asks for them, and what stands in them."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from typing_extensions import override
from yarl import URL

from sidecar.http.auth import Gate
from sidecar.http.pages import FOLDER
from sidecar.tokens import Role, Token, digest
from tests.http.conftest import Sidecar, Starter

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGES = {"/": "index.html", "/jobs/night-run": "job.html", "/embed/night-run": "embed.html"}
DOCUMENTS = sorted(FOLDER.glob("*.html"))
SCRIPTS = sorted(FOLDER.rglob("*.js"))
STYLES = sorted(FOLDER.glob("*.css"))
SERVED = [*SCRIPTS, *STYLES, *sorted(FOLDER.glob("*.svg"))]
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
}
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", re.DOTALL)
IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*["']([^"'\n]+)["']""")
DANGEROUS = re.compile(
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|srcdoc|setHTMLUnsafe|parseFromString|createContextualFragment)\b"
    r"|\bdocument\.write|\beval\s*\(|\bnew\s+Function\b|\bset(?:Timeout|Interval)\s*\(\s*[\"'`]"
    r"|\bsetAttribute\(\s*[\"'](?:style|on\w+)[\"']|javascript:"
)
ADDRESS = re.compile(r"\b(?:https?|wss?)://[A-Za-z0-9][^\s\"'`)]*")
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}


def name_of(path: Path) -> str:
    """Return the name under which a file is served."""
    return path.relative_to(FOLDER).as_posix()


def policy(response: ClientResponse) -> dict[str, str]:
    """Return the directives of a Content-Security-Policy."""
    parts = (part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


def code(path: Path) -> str:
    """Return a script or a style without its comments."""
    return COMMENT.sub("", path.read_text())


def held(path: Path) -> bytes:
    """Return what a file holds."""
    return path.read_bytes()


class Document(HTMLParser):
    """What a document loads, and what of it would be against the policy."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.against: list[str] = []
        self._inside = ""
        self.feed(path.read_text())

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.against += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        self.against += [tag] if tag in ("style", "base", "iframe", "object", "embed") else []
        self.against += [f"{tag} without src"] if tag == "script" and "src" not in given else []
        self.against += [f"{tag} action"] if "action" in given or "formaction" in given else []
        reference = given.get("src") or (given.get("href") if tag == "link" else None)
        self.loaded += [reference] if reference else []
        self._inside = tag

    @override
    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.against.append(f"text in {self._inside}")


@pytest.mark.parametrize(("path", "file"), PAGES.items())
async def test_a_browser_gets_a_page_that_may_do_little(sidecar: Sidecar, path: str, file: str) -> None:
    async with sidecar.client.get(path, headers=HTML) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        directives = policy(response)
        assert directives.pop("frame-ancestors") == ("'self'" if file == "embed.html" else "'none'")
        assert directives == STRICT
        assert await response.read() == held(FOLDER / file)


@pytest.mark.parametrize(("path", "file"), PAGES.items())
async def test_named_origins_may_frame_an_embed_and_no_other_page(start: Starter, path: str, file: str) -> None:
    origins = ["https://b.example", "https://a.example:8443"]
    sidecar = await start(gate=Gate([], is_token_required=False, origins=origins))
    framed = "'self' https://a.example:8443 https://b.example" if file == "embed.html" else "'none'"
    async with sidecar.client.get(path, headers=HTML) as response:
        assert policy(response)["frame-ancestors"] == framed


@pytest.mark.parametrize("accept", ["*/*", "", "text/plain", "application/json"])
async def test_whoever_is_no_browser_gets_a_text(sidecar: Sidecar, accept: str) -> None:
    async with sidecar.client.get("/", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert "curl" in await response.text()
        assert response.headers["Vary"] == "Accept"


async def test_what_the_front_is_depends_on_who_asks(start: Starter) -> None:
    sidecar = await start(gate=Gate([], is_token_required=False, origins=["https://a.example"]))
    async with sidecar.client.get("/", headers=HTML) as response:
        varies = {name.strip() for each in response.headers.getall("Vary") for name in each.split(",")}
    assert varies == {"Accept", "Origin"}


@pytest.mark.parametrize("path", [*PAGES, "/web/progress.js", "/web/favicon.svg"])
async def test_pages_and_files_are_open_shells(start: Starter, path: str) -> None:
    sidecar = await start(Token(Role.READER, frozenset("*"), digest("a-secret-of-sixteen")))
    for method in ("GET", "HEAD"):
        async with sidecar.client.request(method, path, headers=HTML) as response:
            assert response.status == 200
            assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["/jobs/-bad", "/jobs/a%20b", "/embed/%3Cscript%3E", f"/jobs/{'x' * 129}"])
async def test_a_page_of_no_possible_job_is_refused(sidecar: Sidecar, path: str) -> None:
    async with sidecar.client.get(URL(path, encoded=True), headers=HTML) as response:
        assert response.status in (404, 422)
        assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("path", SERVED, ids=name_of)
async def test_every_file_is_served_as_what_it_is(sidecar: Sidecar, path: Path) -> None:
    async with sidecar.client.get(f"/web/{name_of(path)}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == TYPES[path.suffix]
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.read() == held(path)
        unchanged = {"If-None-Match": response.headers["ETag"]}
    async with sidecar.client.get(f"/web/{name_of(path)}", headers=unchanged) as response:
        assert response.status == 304


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "nothing.js", "package.json", "README.md", "index.html", "job.html", "progress.d.ts"),
        *("../http/auth.py", "..%2fhttp%2fauth.py", "%2e%2e/http/auth.py", "..%5chttp%5cauth.py", "progress.js%00"),
        *("./progress.js%2f..", "/etc/passwd", "%2fetc%2fpasswd.js", "PROGRESS.JS", "progress.js/", "progress.js.map"),
        *("client/", "client", "client/nothing.js", "client/../progress.js", "client/../../http/auth.py", "a/b/c.js"),
    ],
)
async def test_nothing_else_is_served(sidecar: Sidecar, name: str) -> None:
    async with sidecar.client.get(URL(f"{sidecar.url}/web/{name}", encoded=True)) as response:
        assert response.status == 404
        assert "sidecar/" not in await response.text()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_file_can_only_be_read(sidecar: Sidecar, method: str) -> None:
    async with sidecar.client.request(method, "/web/progress.js") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_there_is_something_to_look_at() -> None:
    assert {path.name for path in DOCUMENTS} == set(PAGES.values())
    assert len(SCRIPTS) > 10
    assert len(STYLES) > 1


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_document_holds_neither_script_nor_style(path: Path) -> None:
    assert Document(path).against == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_document_loads_only_files_that_are_served(path: Path) -> None:
    loaded = Document(path).loaded
    assert loaded
    assert [name for name in loaded if name not in {f"/web/{name_of(each)}" for each in SERVED}] == []


def imports(path: Path) -> Iterator[str]:
    for match in IMPORT.finditer(code(path)):
        yield match[1]


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_imports_only_its_neighbours(path: Path) -> None:
    known = {name_of(each) for each in SCRIPTS}
    for name in imports(path):
        if name.startswith("."):
            assert name_of((path.parent / name).resolve()) in known
        else:
            assert (name_of(path), name) == ("react.js", "react")


def test_imports_are_seen() -> None:
    assert "./client/job_watch.js" in {name for path in SCRIPTS for name in imports(path)}
    assert "react" in set(imports(FOLDER / "react.js"))


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_makes_no_markup_and_no_code_out_of_text(path: Path) -> None:
    assert DANGEROUS.findall(code(path)) == []


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, *DOCUMENTS], ids=name_of)
def test_no_address_but_our_own_is_named(path: Path) -> None:
    assert [found for found in ADDRESS.findall(code(path)) if found not in NAMESPACES] == []


@pytest.mark.parametrize("path", STYLES, ids=name_of)
def test_a_style_loads_nothing(path: Path) -> None:
    assert re.findall(r"@import|url\(\s*(?!['\"]?(?:data:|#))[^)]*", code(path)) == []
