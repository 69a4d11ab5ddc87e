"""Tickets for streams, sessions for browsers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest
from aiohttp import WSServerHandshakeError

from sidecar.http.auth import Gate
from sidecar.http.passes import Kind, Passes
from sidecar.http.problem import Unauthorized
from sidecar.http.sign_in import COOKIE
from sidecar.tokens import Role, Token, digest
from tests.clock import Clock
from tests.http.conftest import TIMES, Sidecar, Starter
from tests.http.test_watch_project import until_synced, watching
from tests.http.test_websocket import connected

SECRET = "a-reader-of-project-p"
READER = Token(Role.READER, frozenset({"p"}), digest(SECRET))
BEARER = {"Authorization": f"Bearer {SECRET}"}
WORKERS_SECRET = "a-worker-of-project-p"
WORKER = Token(Role.WORKER, frozenset({"p"}), digest(WORKERS_SECRET))


@pytest.fixture
async def guarded(start: Starter, clock: Clock) -> Sidecar:
    return await start(gate=Gate([READER, WORKER], is_token_required=True, passes=Passes(None, clock)))


async def ticket(sidecar: Sidecar) -> str:
    async with sidecar.client.post("/v1/tickets", headers=BEARER) as response:
        assert response.status == 201
        return str((await response.json())["ticket"])


async def push(sidecar: Sidecar) -> None:
    headers = {"Authorization": f"Bearer {WORKERS_SECRET}"}
    async with sidecar.client.post("/v1/jobs/j", json={"project": "p", "current": 1}, headers=headers) as response:
        assert response.status == 200


async def status(sidecar: Sidecar, path: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with sidecar.client.get(path, headers=named) as response:
        return response.status


async def test_a_ticket_that_opened_nothing_expires_whatever_the_client_says_to_have_heard(
    guarded: Sidecar, clock: Clock
) -> None:
    path = f"/v1/events?project=p&ticket={await ticket(guarded)}"
    clock.now += 61
    assert await status(guarded, path) == 401
    assert await status(guarded, path, Last_Event_ID="e-1") == 401


async def test_a_ticket_opens_one_stream_once(guarded: Sidecar) -> None:
    path = f"/v1/events?project=p&ticket={await ticket(guarded)}"
    assert [await status(guarded, path) for _ in range(2)] == [200, 401]


async def test_a_ticket_opens_the_stream_of_one_job_and_of_a_socket(guarded: Sidecar) -> None:
    assert await status(guarded, f"/v1/jobs/j/events?ticket={await ticket(guarded)}") == 200
    path = f"/v1/ws?ticket={await ticket(guarded)}"
    async with guarded.client.ws_connect(path):
        pass
    with pytest.raises(WSServerHandshakeError, match="401"):
        await guarded.client.ws_connect(path)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/j", "/v1/jobs?project=p&limit=1", "/v1/jobs/j?view=brief"])
async def test_a_ticket_lets_ask_once_for_what_can_be_watched(guarded: Sidecar, path: str) -> None:
    await push(guarded)
    text = await ticket(guarded)
    asked = f"{path}{'&' if '?' in path else '?'}ticket={text}"
    assert [await status(guarded, asked) for _ in range(2)] == [200, 401]
    assert await status(guarded, f"/v1/events?project=p&ticket={text}") == 401
    assert await status(guarded, asked, Last_Event_ID="e-1") == 401


async def test_a_ticket_whose_question_was_refused_is_as_it_was(guarded: Sidecar) -> None:
    await push(guarded)
    text = await ticket(guarded)
    assert await status(guarded, f"/v1/jobs/nobody?ticket={text}") == 404
    assert await status(guarded, f"/v1/jobs?limit=many&ticket={text}") == 422
    assert await status(guarded, f"/v1/jobs/j?ticket={text}") == 200


@pytest.mark.parametrize("path", ["/v1/jobs/j/timeline", "/v1/stats", "/metrics"])
async def test_a_ticket_opens_nothing_else(guarded: Sidecar, path: str) -> None:
    text = await ticket(guarded)
    assert await status(guarded, f"{path}?ticket={text}") == 401
    for stands_for_no_token in ("/v1/jobs", path):
        assert await status(guarded, stands_for_no_token, Authorization=f"Bearer {text}") == 401
        assert await status(guarded, stands_for_no_token, Cookie=f"{COOKIE}={text}") == 401
    assert await status(guarded, f"/v1/events?project=p&ticket={text}") == 200


@pytest.mark.parametrize(("seconds", "expected"), [(59, 200), (60, 401)])
async def test_a_ticket_is_good_for_a_minute(guarded: Sidecar, clock: Clock, seconds: float, expected: int) -> None:
    async with guarded.client.post("/v1/tickets", headers=BEARER) as response:
        said = await response.json()
    assert datetime.fromisoformat(said["expires_at"]).timestamp() == clock.now + 60
    clock.now += seconds
    assert await status(guarded, f"/v1/events?project=p&ticket={said['ticket']}") == expected


async def test_a_ticket_reopens_its_own_stream_for_whoever_has_heard_of_it(guarded: Sidecar, clock: Clock) -> None:
    text = await ticket(guarded)
    path = f"/v1/events?project=p&ticket={text}"
    assert await status(guarded, path) == 200
    clock.now += 3600
    assert await status(guarded, path, Last_Event_ID="e-1") == 200
    assert await status(guarded, path, Last_Event_ID="e-2") == 200
    assert await status(guarded, path) == 401
    assert await status(guarded, f"/v1/jobs/j/events?ticket={text}", Last_Event_ID="e-1") == 401


@pytest.mark.parametrize(("hours", "expected"), [(23.9, 200), (24.1, 401)])
async def test_a_stream_is_reopened_for_a_day(guarded: Sidecar, clock: Clock, hours: float, expected: int) -> None:
    path = f"/v1/events?project=p&ticket={await ticket(guarded)}"
    assert await status(guarded, path) == 200
    clock.now += hours * 3600
    assert await status(guarded, path, Last_Event_ID="e-1") == expected


@pytest.mark.parametrize("path", ["/v1/events?project=other", "/v1/events?project=p&view=none", "/v1/ws?what=is"])
async def test_a_ticket_that_is_refused_can_open_another_stream(guarded: Sidecar, path: str) -> None:
    text = await ticket(guarded)
    assert await status(guarded, f"{path}&ticket={text}") in (403, 422)
    assert await status(guarded, f"/v1/events?project=p&ticket={text}") == 200


async def test_a_ticket_that_no_socket_was_made_of_can_open_one(guarded: Sidecar) -> None:
    text = await ticket(guarded)
    assert await status(guarded, f"/v1/ws?ticket={text}") == 400
    await (await guarded.client.ws_connect(f"/v1/ws?ticket={text}")).close()


async def test_who_asks_for_the_headers_alone_has_not_used_the_ticket(guarded: Sidecar) -> None:
    path = f"/v1/events?project=p&ticket={await ticket(guarded)}"
    async with guarded.client.head(path) as response:
        assert response.status == 200
    assert await status(guarded, path) == 200


async def test_a_ticket_that_was_used_is_not_given_back_to_who_tries_it_elsewhere(guarded: Sidecar) -> None:
    path = f"/v1/events?project=p&ticket={await ticket(guarded)}"
    tries = [await status(guarded, path), await status(guarded, f"{path}&view=none"), await status(guarded, path)]
    assert tries == [200, 401, 401]


async def test_a_ticket_that_finds_the_server_full_when_it_comes_back_can_come_back_again(
    full: Sidecar, clock: Clock
) -> None:
    text = await ticket(full)
    full.services.gate.watcher(text, "/v1/events", is_back=False)
    clock.now += 3600
    heard = {"Last-Event-ID": "e-1"}
    for _ in range(2):
        async with watching(full, f"project=p&ticket={text}", **heard) as stream:
            await stream.next("overloaded")


@pytest.fixture
async def full(start: Starter, clock: Clock) -> AsyncIterator[Sidecar]:
    """Return a sidecar that takes one stream, which is taken."""
    gate = Gate([READER], is_token_required=True, passes=Passes(None, clock))
    sidecar = await start(gate=gate, most_streams=1, times=replace(TIMES, heartbeat=0.1))
    async with watching(sidecar, "project=p", **BEARER) as stream:
        await until_synced(stream)
        yield sidecar


async def test_a_ticket_is_given_back_by_a_full_server(full: Sidecar) -> None:
    text = await ticket(full)
    for _ in range(2):
        async with watching(full, f"project=p&ticket={text}") as stream:
            await stream.next("overloaded")


async def test_a_ticket_for_a_socket_is_given_back_by_a_full_server(full: Sidecar) -> None:
    text = await ticket(full)
    for _ in range(2):
        async with connected(full, f"/v1/ws?ticket={text}") as socket:
            await socket.next("overloaded")


@pytest.mark.parametrize("text", ["", ".", "x", "x.y", "\u00e9.\u00e9", "W10.W10", "a" * 4_000])
async def test_what_is_no_ticket_opens_nothing(guarded: Sidecar, text: str) -> None:
    assert await status(guarded, f"/v1/events?project=p&ticket={text}") == 401


async def test_no_bit_of_a_ticket_can_be_changed() -> None:
    passes = Passes()
    text, _ = passes.make(Kind.TICKET, "key")
    for place, letter in enumerate(text):
        forged = text[:place] + ("A" if letter != "A" else "g") + text[place + 1 :]
        with pytest.raises(Unauthorized):
            passes.session(forged)
        with pytest.raises(Unauthorized):
            passes.ticket(forged, "/v1/ws", is_back=False)


def test_a_ticket_is_no_session_and_a_session_no_ticket() -> None:
    passes = Passes()
    with pytest.raises(Unauthorized):
        passes.session(passes.make(Kind.TICKET, "key")[0])
    with pytest.raises(Unauthorized):
        passes.ticket(passes.make(Kind.SESSION, "key")[0], "/v1/ws", is_back=False)


def test_sidecars_with_one_secret_take_each_others_tickets(clock: Clock) -> None:
    one, other = Passes("a-secret-of-both", clock), Passes("a-secret-of-both", clock)
    assert other.ticket(one.make(Kind.TICKET, "key")[0], "/v1/ws", is_back=False).key == "key"
    with pytest.raises(Unauthorized):
        Passes("another-secret-here", clock).ticket(one.make(Kind.TICKET, "key")[0], "/v1/ws", is_back=False)


def test_a_stream_that_another_sidecar_opened_is_reopened_only_for_who_comes_back(clock: Clock) -> None:
    one, other = Passes("a-secret-of-both", clock), Passes("a-secret-of-both", clock)
    text, _ = one.make(Kind.TICKET, "key")
    one.ticket(text, "/v1/events", is_back=False)
    clock.now += 61
    with pytest.raises(Unauthorized):
        other.ticket(text, "/v1/events", is_back=False)
    assert other.ticket(text, "/v1/events", is_back=True).key == "key"
    with pytest.raises(Unauthorized):
        other.ticket(text, "/v1/jobs/j/events", is_back=True)


async def session(sidecar: Sidecar, token: str = SECRET) -> str:
    async with sidecar.client.post("/v1/session", json={"token": token}) as response:
        assert response.status == 204, await response.text()
        return response.cookies[COOKIE].value


async def test_a_session_is_a_cookie_that_no_script_and_no_other_site_can_use(guarded: Sidecar) -> None:
    async with guarded.client.post("/v1/session", json={"token": SECRET}) as response:
        cookie = response.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert (cookie["max-age"], cookie["secure"], cookie["domain"]) == ("43200", "", "")
    assert SECRET not in cookie.value


async def test_a_session_over_https_never_leaves_it(guarded: Sidecar) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    async with guarded.client.post("/v1/session", json={"token": SECRET}, headers=headers) as response:
        assert response.cookies[COOKIE]["secure"] is True


@pytest.mark.parametrize("role", [Role.READER, Role.ADMIN])
async def test_a_session_can_only_read(start: Starter, role: Role) -> None:
    sidecar = await start(Token(role, frozenset({"p"}), digest(SECRET)))
    cookie = f"{COOKIE}={await session(sidecar)}"
    for path in ("/v1/jobs", "/v1/jobs?project=p", "/v1/stats"):
        assert await status(sidecar, path, Cookie=cookie) == 200
    for method, path in (
        *(("POST", f"/v1/jobs/j{action}") for action in ("", "/cancel", "/pause", "/resume")),
        *(("DELETE", "/v1/jobs/j"), ("POST", "/v1/jobs"), ("POST", "/v1/updates")),
    ):
        async with sidecar.client.request(method, path, json={}, headers={"Cookie": cookie}) as response:
            assert response.status == 403, path


async def test_a_session_watches_what_its_token_may_see(guarded: Sidecar) -> None:
    cookie = f"{COOKIE}={await session(guarded)}"
    async with watching(guarded, "project=p", Cookie=cookie) as stream:
        await until_synced(stream)
    async with connected(guarded, Cookie=cookie) as socket:
        await socket.send(watch={"project": "p"})
        await socket.until("synced")
    assert await status(guarded, "/v1/events?project=q", Cookie=cookie) == 403


@pytest.mark.parametrize(("seconds", "expected"), [(12 * 3600 - 1, 200), (12 * 3600, 401)])
async def test_a_session_lasts_for_twelve_hours(guarded: Sidecar, clock: Clock, seconds: float, expected: int) -> None:
    cookie = f"{COOKIE}={await session(guarded)}"
    clock.now += seconds
    assert await status(guarded, "/v1/jobs", Cookie=cookie) == expected


async def test_a_ticket_made_by_a_session_ends_with_it(guarded: Sidecar, clock: Clock) -> None:
    cookie = {"Cookie": f"{COOKIE}={await session(guarded)}"}
    clock.now += 12 * 3600 - 10
    async with guarded.client.post("/v1/tickets", headers=cookie) as response:
        assert response.status == 201
        text = (await response.json())["ticket"]
    path = f"/v1/events?project=p&ticket={text}"
    assert await status(guarded, path) == 200
    clock.now += 10
    assert await status(guarded, path, Last_Event_ID="e-1") == 401


async def test_a_tampered_session_is_none(guarded: Sidecar) -> None:
    cookie = await session(guarded)
    body, _, signature = cookie.partition(".")
    for forged in (body, f"{body}.", f".{signature}", f"{signature}.{body}", cookie[:-2], f"{cookie}x", f"A{cookie}"):
        assert await status(guarded, "/v1/jobs", Cookie=f"{COOKIE}={forged}") == 401, forged


async def test_a_wrong_header_is_not_saved_by_a_session(guarded: Sidecar) -> None:
    cookie = f"{COOKIE}={await session(guarded)}"
    assert await status(guarded, "/v1/jobs", Cookie=cookie, Authorization="Bearer wrong") == 401


async def test_who_holds_a_withdrawn_token_has_no_session_and_no_ticket_any_more(guarded: Sidecar) -> None:
    cookie, path = f"{COOKIE}={await session(guarded)}", f"/v1/events?project=p&ticket={await ticket(guarded)}"
    guarded.services.gate.replace([Token(Role.READER, frozenset({"p"}), digest("another-secret-of-ours"))])
    assert await status(guarded, "/v1/jobs", Cookie=cookie) == 401
    assert await status(guarded, path) == 401


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"token": "not-the-token-here"}', 401),
        (b'{"token": ""}', 401),
        (b'{"token": "\xc3\xa9"}', 401),
        (b'{"token": 1}', 422),
        (b'{"token": null}', 422),
        (b"{}", 422),
        (b"[]", 422),
        (b'{"token": "x", "more": 1}', 422),
        (b'{"token": "%s"}' % (b"x" * 1_025), 422),
        (b"nonsense", 400),
        (b"", 400),
        (b'{"token": "%s"}' % (b"x" * 5_000), 413),
    ],
)
async def test_whoever_knows_no_token_gets_no_session(guarded: Sidecar, body: bytes, expected: int) -> None:
    async with guarded.client.post("/v1/session", data=body) as response:
        assert response.status == expected, await response.text()
        assert COOKIE not in response.cookies


async def told_of_session(sidecar: Sidecar, **headers: str) -> tuple[bool, bool, bool]:
    async with sidecar.client.get("/v1/session", headers=headers) as response:
        assert response.status == 200
        said = await response.json()
    assert list(said) == ["is_token_required", "is_signed_in", "may_control"]
    return said["is_token_required"], said["is_signed_in"], said["may_control"]


async def test_a_page_learns_who_it_is(start: Starter) -> None:
    sidecar = await start(READER, Token(Role.OPERATOR, frozenset({"p"}), digest("an-operator-of-project-p")))
    cookie = await session(sidecar, "an-operator-of-project-p")
    assert await told_of_session(sidecar) == (True, False, False)
    assert await told_of_session(sidecar, Cookie=f"{COOKIE}={cookie}") == (True, True, False)
    assert await told_of_session(sidecar, Cookie=f"{COOKIE}=nonsense") == (True, False, False)
    assert await told_of_session(sidecar, **BEARER) == (True, True, False)
    assert await told_of_session(sidecar, Authorization="Bearer an-operator-of-project-p") == (True, True, True)
    assert await told_of_session(sidecar, Authorization="Bearer nonsense") == (True, False, False)


async def test_without_tokens_nobody_has_to_sign_in(sidecar: Sidecar) -> None:
    assert await told_of_session(sidecar) == (False, True, True)
    async with sidecar.client.post("/v1/session", json={"token": "anything"}) as response:
        assert (response.status, COOKIE in response.cookies) == (204, False)
    async with sidecar.client.post("/v1/tickets") as response:
        assert response.status == 201
        text = (await response.json())["ticket"]
    assert await status(sidecar, f"/v1/events?project=p&ticket={text}") == 200


async def test_signing_out_takes_the_cookie_back(guarded: Sidecar) -> None:
    async with guarded.client.delete("/v1/session") as response:
        assert response.status == 204
        cookie = response.cookies[COOKIE]
    assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/")
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_page_of_another_origin_signs_nobody_in_or_out(guarded: Sidecar, method: str) -> None:
    headers = {"Origin": "https://evil.example"}
    async with guarded.client.request(method, "/v1/session", json={"token": SECRET}, headers=headers) as response:
        assert (response.status, COOKIE in response.cookies) == (403, False)
