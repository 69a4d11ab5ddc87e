"""Tickets for streams, sessions for browsers."""

import pytest

from sidecar.http.auth import Gate
from sidecar.http.passes import Passes
from sidecar.tokens import Role, Token, digest
from tests.http.conftest import Sidecar, Starter

SECRET = "a-reader-of-project-p"
READER = Token(Role.READER, frozenset({"p"}), digest(SECRET))
BEARER = {"Authorization": f"Bearer {SECRET}"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def guarded(start: Starter, clock: Clock) -> Sidecar:
    return await start(gate=Gate([READER], is_token_required=True, passes=Passes(None, clock)))


async def ticket(sidecar: Sidecar) -> str:
    async with sidecar.client.post("/v1/tickets", headers=BEARER) as response:
        assert response.status == 201
        return str((await response.json())["ticket"])


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
