import re

import pytest

from sidecar.core.errors import Forbidden
from sidecar.http import auth, routes
from sidecar.http.auth import Gate, Right
from sidecar.http.problem import Unauthorized
from sidecar.tokens import Role, Token, digest
from tests.http.conftest import Sidecar, Starter

SECRETS = {role: f"the-secret-of-a-{role}" for role in Role}
METRICS_SECRET = "what-the-scraper-has"


def token(role: Role, *projects: str) -> Token:
    return Token(role, frozenset(projects), digest(SECRETS[role]))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def guarded(start: Starter) -> Sidecar:
    """Return a sidecar with a token of each role, all for project p; the admin's is for every project."""
    return await start(
        token(Role.WORKER, "p"),
        token(Role.READER, "p"),
        token(Role.OPERATOR, "p"),
        token(Role.ADMIN, "*"),
        metrics_token=METRICS_SECRET,
    )


RIGHTS = {
    Right.PUSH: {Role.WORKER, Role.ADMIN},
    Right.READ: set(Role),
    Right.CONTROL: {Role.OPERATOR, Role.ADMIN},
    Right.DELETE: {Role.ADMIN},
    Right.LINK: {Role.ADMIN},
}
NEEDS = {
    ("POST", "/v1/jobs/j"): Right.PUSH,
    ("POST", "/v1/jobs"): Right.PUSH,
    ("POST", "/v1/updates"): Right.PUSH,
    ("POST", "/v1/jobs/j/attempts"): Right.PUSH,
    ("GET", "/v1/jobs/j"): Right.READ,
    ("GET", "/v1/jobs"): Right.READ,
    ("GET", "/v1/jobs/j/timeline"): Right.READ,
    ("GET", "/v1/jobs/j/attempts"): Right.READ,
    ("GET", "/v1/stats"): Right.READ,
    ("GET", "/v1/job-types"): Right.READ,
    ("GET", "/v1/jobs/j/events"): Right.READ,
    ("GET", "/v1/events?project=p"): Right.READ,
    ("GET", "/v1/ws"): Right.READ,
    ("POST", "/v1/tickets"): Right.READ,
    ("POST", "/v1/jobs/j/cancel"): Right.CONTROL,
    ("POST", "/v1/jobs/j/pause"): Right.CONTROL,
    ("POST", "/v1/jobs/j/resume"): Right.CONTROL,
    ("DELETE", "/v1/jobs/j"): Right.DELETE,
    ("POST", "/v1/jobs/j/links"): Right.LINK,
}
WITHOUT_A_TOKEN = {(method, "/v1/session") for method in ("GET", "POST", "DELETE")}
"""How somebody gets in; `test_sign_in.py` says what these tell."""


async def test_every_route_of_the_api_is_in_the_table(sidecar: Sidecar) -> None:
    served = {
        (route.method, route.resource.canonical)
        for route in routes.api(sidecar.services).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    named = {(method, re.sub("/j(?=/|$)", "/{job_id}", path.partition("?")[0])) for method, path in NEEDS}
    guarded = {route for route in served if route[1].startswith("/v1/")} - WITHOUT_A_TOKEN
    assert guarded == named


@pytest.mark.parametrize(("method", "path"), NEEDS)
async def test_each_role_may_do_what_the_contract_says(guarded: Sidecar, method: str, path: str) -> None:
    allowed = set()
    for role in Role:
        await guarded.client.post("/v1/jobs/j", json={"project": "p"}, headers=bearer(SECRETS[Role.ADMIN]))
        body = b"" if path == "/v1/updates" else b"project=p"
        async with guarded.client.request(method, path, headers=bearer(SECRETS[role]), data=body) as response:
            if response.status != 403:
                allowed.add(role)
    assert allowed == RIGHTS[NEEDS[method, path]]


@pytest.mark.parametrize(("method", "path"), NEEDS)
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic eDp5", "Bearer \u00e9"]
)
async def test_without_a_known_token_nothing_is_done(
    guarded: Sidecar, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with guarded.client.request(method, path, headers=headers) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.content_type == "application/problem+json"


async def test_refused_pushes_are_counted(guarded: Sidecar) -> None:
    await guarded.client.post("/v1/jobs/j", json={})
    await guarded.client.post("/v1/jobs/j", json={}, headers=bearer(SECRETS[Role.READER]))
    await guarded.client.get("/v1/jobs/j")
    assert guarded.metrics.counts["rejected", "auth"] == 2


@pytest.mark.parametrize("is_taken", [True, False])
async def test_another_project_is_forbidden_whether_the_id_is_taken_or_not(guarded: Sidecar, *, is_taken: bool) -> None:
    if is_taken:
        await guarded.client.post("/v1/jobs/j", json={"project": "q"}, headers=bearer(SECRETS[Role.ADMIN]))
    async with guarded.client.post("/v1/jobs/j", json={}, headers=bearer(SECRETS[Role.WORKER])) as response:
        assert response.status == 403
        assert (await response.json())["detail"] == "the token does not reach this project"


async def test_a_job_of_another_project_is_unknown_to_a_reader(guarded: Sidecar) -> None:
    await guarded.client.post("/v1/jobs/j", json={"project": "q"}, headers=bearer(SECRETS[Role.ADMIN]))
    for path in ("/v1/jobs/j", "/v1/jobs/j/timeline", "/v1/jobs/j/attempts"):
        async with guarded.client.get(path, headers=bearer(SECRETS[Role.READER])) as response:
            assert response.status == 404
    async with guarded.client.post("/v1/jobs/j/cancel", headers=bearer(SECRETS[Role.OPERATOR])) as response:
        assert response.status == 404


async def test_a_list_holds_only_what_the_reader_may_see(guarded: Sidecar) -> None:
    for job_id in ("p", "q"):
        await guarded.client.post(f"/v1/jobs/{job_id}", json={"project": job_id}, headers=bearer(SECRETS[Role.ADMIN]))
    async with guarded.client.get("/v1/jobs", headers=bearer(SECRETS[Role.READER])) as response:
        assert [job["job_id"] for job in (await response.json())["jobs"]] == ["p"]
    async with guarded.client.get("/v1/jobs?project=q", headers=bearer(SECRETS[Role.READER])) as response:
        assert response.status == 403


async def test_tokens_are_replaced_while_serving(guarded: Sidecar) -> None:
    guarded.services.gate.replace([Token(Role.READER, frozenset("*"), digest("another-secret-of-ours"))])
    async with guarded.client.get("/v1/jobs", headers=bearer("another-secret-of-ours")) as response:
        assert response.status == 200
    async with guarded.client.get("/v1/jobs", headers=bearer(SECRETS[Role.ADMIN])) as response:
        assert response.status == 401


def test_no_tokens_left_is_not_the_same_as_none_needed() -> None:
    gate = Gate([], is_token_required=True)
    with pytest.raises(Unauthorized):
        gate.principal("Bearer anything-at-all")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
async def test_what_says_nothing_about_jobs_is_open(guarded: Sidecar, path: str) -> None:
    async with guarded.client.get(path) as response:
        assert response.status == 200


@pytest.mark.parametrize("secret", [METRICS_SECRET, SECRETS[Role.READER]])
async def test_a_scrape_has_the_metrics_token_or_any_other(guarded: Sidecar, secret: str) -> None:
    async with guarded.client.get("/metrics", headers=bearer(secret)) as response:
        assert response.status == 200
    async with guarded.client.get("/metrics", headers=bearer(secret + "x")) as response:
        assert response.status == 401
    async with guarded.client.get("/v1/jobs", headers=bearer(METRICS_SECRET)) as response:
        assert response.status == 401


async def test_metrics_need_a_token_where_everything_does(start: Starter) -> None:
    sidecar = await start(token(Role.READER, "*"))
    async with sidecar.client.get("/metrics") as response:
        assert response.status == 401


async def test_metrics_are_open_where_everything_is(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/metrics") as response:
        assert response.status == 200


async def test_the_second_listener_needs_no_token(start: Starter) -> None:
    sidecar = await start(token(Role.READER, "*"), is_ops=True)
    for path in ("/metrics", "/healthz", "/readyz"):
        async with sidecar.client.get(path, headers={"Host": "sidecar.example.com"}) as response:
            assert response.status == 200
    async with sidecar.client.get("/v1/jobs", headers=bearer(SECRETS[Role.READER])) as response:
        assert response.status == 404


async def test_the_second_listener_asks_for_the_metrics_token_if_there_is_one(start: Starter) -> None:
    sidecar = await start(metrics_token=METRICS_SECRET, is_ops=True)
    async with sidecar.client.get("/metrics") as response:
        assert response.status == 401
    async with sidecar.client.get("/metrics", headers=bearer(METRICS_SECRET)) as response:
        assert response.status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.1.2.3:8650", "[::1]", "[::1]:8650"])
def test_a_loopback_name_is_answered(host: str) -> None:
    auth.check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "example.com", "127.0.0.1.example.com", "localhost.example.com", "localhost:80@example.com"),
        *("10.0.0.1", "[::2]", "[::1", "::1", "localhost\n", "[localhost]", "127.0.0.1:x"),
    ],
)
def test_any_other_name_is_not(host: str | None) -> None:
    with pytest.raises(Forbidden):
        auth.check_host(host)


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/v1/jobs"])
async def test_without_tokens_a_page_that_rebinds_its_name_gets_nothing(sidecar: Sidecar, path: str) -> None:
    async with sidecar.client.get(path, headers={"Host": "evil.example.com"}) as response:
        assert response.status == 403


async def test_with_tokens_any_name_will_do(guarded: Sidecar) -> None:
    headers = {"Host": "sidecar.example.com", **bearer(SECRETS[Role.ADMIN])}
    async with guarded.client.get("/v1/jobs", headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://localhost:1", "", "http://["])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs/j"), ("DELETE", "/v1/jobs/j")])
async def test_a_page_of_another_origin_may_not_write(sidecar: Sidecar, origin: str, method: str, path: str) -> None:
    async with sidecar.client.request(method, path, headers={"Origin": origin}) as response:
        assert response.status == 403


async def test_a_page_of_our_own_origin_may_write(sidecar: Sidecar) -> None:
    async with sidecar.client.post("/v1/jobs/j", json={}, headers={"Origin": sidecar.url}) as response:
        assert response.status == 200


async def test_a_page_of_another_origin_is_not_kept_from_reading_by_us(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/v1/jobs", headers={"Origin": "https://other.example.com"}) as response:
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers
