"""Beginning the next attempt at a job."""

import asyncio
from typing import Any

import pytest

from sidecar.tokens import Role, Token, digest
from tests.http.conftest import Sidecar, Starter

CRASHED = {"current": 3, "total": 4, "items": {"rows": 3}, "resume": {"row": 3}}
WORKER, ELSEWHERE = "worker-of-default", "worker-of-elsewhere"


async def begin(sidecar: Sidecar, key: str | None = None, job_id: str = "j", **request: Any) -> tuple[int, Any]:
    headers = {**request.pop("headers", {}), **({} if key is None else {"Idempotency-Key": key})}
    async with sidecar.client.post(f"/v1/jobs/{job_id}/attempts", headers=headers, **request) as response:
        return response.status, await response.json()


async def test_next_attempt_tells_what_the_one_before_had_reached(sidecar: Sidecar) -> None:
    await sidecar.push("j", **CRASHED)
    status, begun = await begin(sidecar)
    assert (status, begun["attempt"], begun["resume"]) == (201, 2, {"row": 3})
    previous = begun["previous"]
    assert (previous["attempt"], previous["status"], previous["percent"]) == (1, "running", 75.0)
    assert previous["items"] == {"rows": 3}
    assert set(begun) == {"attempt", "previous", "resume"}
    async with sidecar.client.get("/v1/jobs/j") as response:
        job = await response.json()
    assert (job["attempt"], job["status"], job["percent"], job["resume"]) == (2, "running", 0.0, {"row": 3})
    async with sidecar.client.get("/v1/jobs/j/timeline") as response:
        assert "attempt_started" in [event["type"] for event in (await response.json())["events"]]
    assert (await sidecar.push("j", attempt=1, current=4))["reason"] == "stale_attempt"


@pytest.mark.parametrize("end", [{"status": "failed", "error": {"message": "no"}}, {"status": "paused"}, {}])
async def test_every_job_that_is_not_done_may_be_tried_again(sidecar: Sidecar, end: dict[str, Any]) -> None:
    await sidecar.push("j", **CRASHED, **end)
    status, begun = await begin(sidecar)
    assert (status, begun["previous"]["status"]) == (201, end.get("status", "running"))


async def test_repeated_call_with_a_key_begins_one_attempt_and_is_answered_the_same(sidecar: Sidecar) -> None:
    await sidecar.push("j", **CRASHED)
    answers = await asyncio.gather(*(begin(sidecar, "a") for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    await sidecar.push("j", current=1)
    _, second = await begin(sidecar, "b")
    assert (second["attempt"], second["previous"]["attempt"]) == (3, 2)
    assert await begin(sidecar, "a") == answers[0]
    assert (await begin(sidecar))[1]["attempt"] == 4
    assert await begin(sidecar, "b") == (201, second)


async def test_without_a_key_each_call_begins_another(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    assert [(await begin(sidecar))[1]["attempt"] for _ in range(3)] == [2, 3, 4]


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_nothing_is_left_to_try_of_a_job_that_is_done(sidecar: Sidecar, status: str) -> None:
    await sidecar.push("j", status=status)
    assert (await begin(sidecar))[0] == 409


async def test_last_attempt_that_there_can_be_is_followed_by_none(sidecar: Sidecar) -> None:
    await sidecar.push("j", attempt=2**31 - 1)
    assert (await begin(sidecar))[0] == 409


async def test_unknown_job_has_no_attempts(sidecar: Sidecar) -> None:
    assert (await begin(sidecar))[0] == 404
    async with sidecar.client.get("/v1/jobs/j") as response:
        assert response.status == 404


async def test_job_of_another_project_is_as_unknown_as_none(start: Starter) -> None:
    tokens = [
        Token(Role.WORKER, frozenset({name}), digest(secret))
        for name, secret in (("default", WORKER), ("elsewhere", ELSEWHERE))
    ]
    sidecar = await start(*tokens)
    mine, other = ({"Authorization": f"Bearer {secret}"} for secret in (WORKER, ELSEWHERE))
    async with sidecar.client.post("/v1/jobs/j", json={}, headers=mine) as response:
        assert response.status == 200
    assert (await begin(sidecar, headers=other))[0] == 404
    assert (await begin(sidecar, headers=mine))[0] == 201


async def test_key_of_a_report_begins_no_attempt_and_the_other_way_round(sidecar: Sidecar) -> None:
    async with sidecar.client.post("/v1/jobs/j", json=CRASHED, headers={"Idempotency-Key": "a"}) as response:
        assert response.status == 200
    assert (await begin(sidecar, "a"))[0] == 422
    assert (await begin(sidecar, "b"))[0] == 201
    async with sidecar.client.post("/v1/jobs/j", json=CRASHED, headers={"Idempotency-Key": "b"}) as response:
        assert response.status == 422


@pytest.mark.parametrize("body", [b'{"attempt": 7}', b"current=1", b"[]"])
async def test_body_is_refused(sidecar: Sidecar, body: bytes) -> None:
    await sidecar.push("j", current=1)
    assert (await begin(sidecar, data=body))[0] == 422
    assert (await begin(sidecar, data=b" {} "))[0] == 201
