"""What pages of other origins may do: those of named origins ask with a token of their own, all others nothing."""

import pytest
from aiohttp import WSServerHandshakeError

from sidecar.http import routes
from sidecar.http.auth import Gate
from sidecar.http.sign_in import COOKIE
from sidecar.tokens import Role, Token, digest
from tests.http.conftest import Sidecar, Starter
from tests.http.test_watch_project import until_synced, watching
from tests.http.test_websocket import connected

SECRET = "an-admin-of-project-p"
BEARER = {"Authorization": f"Bearer {SECRET}"}
NAMED = {"Origin": "https://app.example"}
OTHERS = ["https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example.evil", "null"]
OPEN = "Access-Control-Allow-Origin"
PATHS = ["/v1/jobs", "/v1/jobs/j", "/v1/updates", "/v1/tickets", "/v1/jobs/j/cancel", "/v1/jobs/j/events", "/v1/events"]


@pytest.fixture
async def named(start: Starter) -> Sidecar:
    """Return a sidecar with a token and a named origin."""
    admin = Token(Role.ADMIN, frozenset({"p"}), digest(SECRET))
    return await start(gate=Gate([admin], is_token_required=True, origins=["https://app.example"]))


@pytest.mark.parametrize("path", PATHS)
async def test_a_browser_is_told_beforehand_what_a_page_of_a_named_origin_may_send(named: Sidecar, path: str) -> None:
    asked = {**NAMED, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with named.client.options(path, headers=asked) as response:
        assert response.status == 204
        assert response.headers[OPEN] == "https://app.example"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert int(response.headers["Access-Control-Max-Age"]) > 0


async def test_every_method_and_every_header_of_the_contract_is_allowed(named: Sidecar) -> None:
    served = {route.method for route in routes.api(named.services).router.routes()}
    async with named.client.options("/v1/jobs", headers=NAMED) as response:
        assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == served
        allowed = {each.lower() for each in response.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id"} <= allowed


@pytest.mark.parametrize("origin", OTHERS)
@pytest.mark.parametrize("path", PATHS)
async def test_a_browser_is_told_nothing_of_the_kind_for_any_other_origin(
    named: Sidecar, path: str, origin: str
) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with named.client.options(path, headers=asked) as response:
        assert response.status in (401, 403, 405)
        assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/v1/jobs/j", b'{"project": "p"}', 200),
        ("POST", "/v1/updates", b'[{"job_id": "j", "project": "p"}]', 200),
        ("POST", "/v1/tickets", b"", 201),
        ("GET", "/v1/jobs", None, 200),
        ("GET", "/v1/jobs/nobody", None, 404),
        ("GET", "/v1/jobs?limit=x", None, 422),
        ("POST", "/v1/jobs/j", b"{", 400),
        ("GET", "/v1/nowhere", None, 404),
        ("PUT", "/v1/jobs/j", b"", 405),
    ],
)
async def test_every_answer_to_a_page_of_a_named_origin_can_be_read_by_it(
    named: Sidecar, method: str, path: str, body: bytes | None, expected: int
) -> None:
    headers = {**NAMED, **BEARER, "Content-Type": "application/json"}
    async with named.client.request(method, path, data=body, headers=headers) as response:
        assert response.status == expected
        assert response.headers[OPEN] == "https://app.example"
        assert response.headers["Vary"] == "Origin"
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Date", "ETag", "Location", "Retry-After", "X-Request-Id"} <= set(exposed)


async def test_the_refusal_of_a_token_can_be_read_too(named: Sidecar) -> None:
    async with named.client.get("/v1/jobs", headers=NAMED) as response:
        assert (response.status, response.headers[OPEN]) == (401, "https://app.example")


@pytest.mark.parametrize("origin", OTHERS)
async def test_an_answer_to_a_page_of_any_other_origin_cannot_be_read_by_it(named: Sidecar, origin: str) -> None:
    async with named.client.get("/v1/jobs", headers={"Origin": origin, **BEARER}) as response:
        assert OPEN not in response.headers
        assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", OTHERS)
async def test_a_page_of_any_other_origin_writes_nothing_even_with_a_token(named: Sidecar, origin: str) -> None:
    headers = {"Origin": origin, **BEARER}
    async with named.client.post("/v1/jobs/j", json={"project": "p"}, headers=headers) as response:
        assert response.status == 403
    async with named.client.get("/v1/jobs/j", headers=BEARER) as response:
        assert response.status == 404


async def test_a_page_of_a_named_origin_watches_with_a_token_or_a_ticket(named: Sidecar) -> None:
    async with named.client.post("/v1/tickets", headers={**NAMED, **BEARER}) as response:
        ticket = (await response.json())["ticket"]
    async with named.client.get(f"/v1/events?project=p&ticket={ticket}", headers=NAMED) as response:
        assert (response.status, response.headers[OPEN]) == (200, "https://app.example")
    async with watching(named, "project=p", **NAMED, **BEARER) as stream:
        await until_synced(stream)
    async with connected(named, **NAMED, **BEARER) as socket:
        await socket.send(watch={"project": "p"})
        await socket.until("synced")


@pytest.mark.parametrize("origin", OTHERS)
async def test_a_page_of_any_other_origin_opens_no_socket(named: Sidecar, origin: str) -> None:
    with pytest.raises(WSServerHandshakeError, match="403"):
        await named.client.ws_connect("/v1/ws", headers={"Origin": origin, **BEARER})


@pytest.mark.parametrize("origin", OTHERS)
async def test_without_tokens_a_page_of_any_other_origin_opens_no_socket(sidecar: Sidecar, origin: str) -> None:
    with pytest.raises(WSServerHandshakeError, match="403"):
        await sidecar.client.ws_connect("/v1/ws", headers={"Origin": origin})


async def test_a_page_of_our_own_origin_opens_a_socket(sidecar: Sidecar) -> None:
    async with connected(sidecar, Origin=sidecar.url) as socket:
        await socket.send(ping=1)
        await socket.next("pong")


async def test_no_session_is_lent_to_a_page_of_another_origin(named: Sidecar) -> None:
    """A browser would send the cookie from another port of the same host, which is the same site."""
    async with named.client.post("/v1/session", json={"token": SECRET}) as response:
        cookie = {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}
    for path in ("/v1/jobs", "/v1/events?project=p", "/v1/jobs/j/events"):
        async with named.client.get(path, headers={**NAMED, **cookie}) as response:
            assert response.status == 401, path
    async with named.client.post("/v1/tickets", headers={**NAMED, **cookie}) as response:
        assert response.status == 401
    with pytest.raises(WSServerHandshakeError, match="401"):
        await named.client.ws_connect("/v1/ws", headers={**NAMED, **cookie})
    async with named.client.get("/v1/jobs", headers=cookie) as response:
        assert response.status == 200


async def test_a_page_of_another_origin_does_not_learn_whether_the_reader_has_signed_in(named: Sidecar) -> None:
    async with named.client.post("/v1/session", json={"token": SECRET}) as response:
        cookie = {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}
    async with named.client.get("/v1/session", headers={**NAMED, **cookie}) as response:
        assert (await response.json())["is_signed_in"] is False


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/session", "/", "/web/progress.js", "/v1/events?project=p"])
async def test_cookies_are_never_allowed(named: Sidecar, path: str) -> None:
    async with named.client.get(path, headers={**NAMED, **BEARER}) as response:
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers[OPEN] == "https://app.example"


async def test_the_scripts_of_an_embed_can_be_loaded_by_a_page_of_a_named_origin(named: Sidecar) -> None:
    async with named.client.get("/web/progress-job.js", headers=NAMED) as response:
        assert (response.status, response.headers[OPEN]) == (200, "https://app.example")


@pytest.mark.parametrize("path", ["/v1/jobs", "/", "/web/progress.js", "/v1/events?project=p"])
async def test_where_no_origin_is_named_nothing_is_said_of_origins(sidecar: Sidecar, path: str) -> None:
    async with sidecar.client.get(path, headers=NAMED) as response:
        assert response.status == 200
        assert not [name for name in response.headers if name.startswith("Access-Control-")]
        assert "Origin" not in response.headers.get("Vary", "")
