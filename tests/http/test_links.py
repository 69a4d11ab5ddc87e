"""Links to one job, for somebody without a token."""

from datetime import datetime

import pytest
from aiohttp import WSServerHandshakeError

from sidecar.http.auth import Gate
from sidecar.http.passes import Passes
from sidecar.tokens import Role, Token, digest
from tests.clock import Clock
from tests.http.conftest import Sidecar, Starter
from tests.http.test_sign_in import status
from tests.http.test_websocket import connected

SECRETS = {role: f"the-secret-of-a-{role}" for role in Role}
ADMIN = {"Authorization": f"Bearer {SECRETS[Role.ADMIN]}"}
TOKENS = [Token(role, frozenset({"*"}), digest(secret)) for role, secret in SECRETS.items()]
DAY = 86_400


@pytest.fixture
async def guarded(start: Starter, clock: Clock) -> Sidecar:
    sidecar = await start(gate=Gate(TOKENS, is_token_required=True, passes=Passes("a-secret-for-links", clock)))
    for job_id in ("j", "other"):
        async with sidecar.client.post(f"/v1/jobs/{job_id}", json={"current": 1, "project": "p"}, headers=ADMIN) as it:
            assert it.status == 200
    return sidecar


async def made(sidecar: Sidecar, **terms: object) -> dict[str, str]:
    async with sidecar.client.post("/v1/jobs/j/links", json=terms, headers=ADMIN) as response:
        assert response.status == 201, await response.text()
        return dict(await response.json())


@pytest.mark.parametrize("what", ["", "/events", "/timeline", "/attempts"])
async def test_a_link_shows_its_job_and_no_other(guarded: Sidecar, what: str) -> None:
    link = (await made(guarded))["link"]
    assert await status(guarded, f"/v1/jobs/j{what}?link={link}") == 200
    assert await status(guarded, f"/v1/jobs/other{what}?link={link}") == 403
    assert await status(guarded, f"/v1/jobs/j{what}") == 401


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/events?project=p", "/v1/stats", "/v1/job-types"])
async def test_a_link_shows_nothing_else(guarded: Sidecar, path: str) -> None:
    link = (await made(guarded))["link"]
    assert await status(guarded, f"{path}{'&' if '?' in path else '?'}link={link}") == 403


@pytest.mark.parametrize("path", ["/v1/jobs/j", "/v1/jobs/j/cancel", "/v1/jobs/j/links", "/v1/tickets"])
async def test_a_link_changes_nothing(guarded: Sidecar, path: str) -> None:
    link = (await made(guarded))["link"]
    async with guarded.client.post(f"{path}?link={link}", json={}) as response:
        assert response.status == 403
    async with guarded.client.delete(f"/v1/jobs/j?force=true&link={link}") as response:
        assert response.status == 403


async def test_over_a_socket_a_link_lets_its_job_be_watched(guarded: Sidecar) -> None:
    link = (await made(guarded))["link"]
    async with connected(guarded, f"/v1/ws?link={link}") as socket:
        for watch in ({"job_id": "other"}, {"project": "p"}, {"project": "*"}):
            await socket.send(watch=watch)
            assert (await socket.next("error"))["data"]["status"] == 403
        await socket.send(watch={"job_id": "j"})
        assert (await socket.until("progress"))[-1]["data"]["current"] == 1
    with pytest.raises(WSServerHandshakeError, match="401"):
        await guarded.client.ws_connect("/v1/ws?link=forged")


async def test_a_link_ends_when_it_was_said(guarded: Sidecar, clock: Clock) -> None:
    usual, short = await made(guarded), await made(guarded, expires_in_seconds=60)
    assert datetime.fromisoformat(short["expires_at"]).timestamp() == clock.now + 60
    assert datetime.fromisoformat(usual["expires_at"]).timestamp() == clock.now + DAY
    clock.now += 61
    assert await status(guarded, f"/v1/jobs/j?link={short['link']}") == 401
    assert await status(guarded, f"/v1/jobs/j?link={usual['link']}") == 200
    clock.now += DAY
    assert await status(guarded, f"/v1/jobs/j?link={usual['link']}") == 401


async def test_a_link_ends_with_the_token_of_who_made_it_and_a_session_is_not_one(guarded: Sidecar) -> None:
    link = (await made(guarded))["link"]
    gate = guarded.services.gate
    session, _ = gate.session(SECRETS[Role.READER])
    assert await status(guarded, f"/v1/jobs/j?link={session}") == 401
    assert await status(guarded, f"/v1/jobs/j?link={link[:-4]}AAAA") == 401
    gate.replace([each for each in TOKENS if each.role is not Role.ADMIN])
    assert await status(guarded, f"/v1/jobs/j?link={link}") == 401


async def test_a_link_shows_no_job_that_took_the_id_in_another_project(guarded: Sidecar) -> None:
    link = (await made(guarded))["link"]
    async with guarded.client.delete("/v1/jobs/j?force=true", headers=ADMIN) as response:
        assert response.status == 204
    assert await status(guarded, f"/v1/jobs/j?link={link}") == 404
    async with guarded.client.post("/v1/jobs/j", json={"project": "secret"}, headers=ADMIN) as response:
        assert response.status == 200
    assert await status(guarded, f"/v1/jobs/j?link={link}") == 404


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_an_admin_hands_out_links(guarded: Sidecar, role: Role) -> None:
    bearer = {"Authorization": f"Bearer {SECRETS[role]}"}
    async with guarded.client.post("/v1/jobs/j/links", headers=bearer) as response:
        assert response.status == 403


async def test_a_link_to_no_job_is_refused(guarded: Sidecar) -> None:
    async with guarded.client.post("/v1/jobs/nobody/links", headers=ADMIN) as response:
        assert response.status == 404


@pytest.mark.parametrize("seconds", [59, 30 * DAY + 1, "x", None])
async def test_a_link_for_another_time_is_refused_with_the_field_named(guarded: Sidecar, seconds: object) -> None:
    async with guarded.client.post("/v1/jobs/j/links", json={"expires_in_seconds": seconds}, headers=ADMIN) as response:
        assert response.status == 422
        assert [each["field"] for each in (await response.json())["errors"]] == ["expires_in_seconds"]


async def test_without_a_body_a_link_has_the_usual_time_and_leads_to_the_pages(guarded: Sidecar) -> None:
    async with guarded.client.post("/v1/jobs/j/links", headers=ADMIN) as response:
        told = await response.json()
    assert told["url"] == f"/jobs/j?link={told['link']}"
    assert told["embed_url"] == f"/embed/j?link={told['link']}"
    for page in (told["url"], told["embed_url"]):
        assert await status(guarded, page) == 200
