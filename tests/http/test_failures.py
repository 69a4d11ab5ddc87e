"""What goes wrong on our side: a store that is away, a bug of ours."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from typing_extensions import override

from sidecar.adapters.redis.live import RedisLive
from sidecar.core.errors import StoreRefused, StoreUnavailable
from sidecar.core.job import Event
from sidecar.tracker import Tracker
from tests.http.conftest import Counted, Sidecar, Starter, Unrecorded

Hanging = Callable[[], AbstractAsyncContextManager[None]]


async def test_a_store_that_hangs_is_a_503_with_a_time_to_come_back(start: Starter, hanging: Hanging) -> None:
    sidecar = await start(store_timeout_seconds=0.3)
    async with hanging():
        for method, path in (("POST", "/v1/jobs/j"), ("GET", "/v1/jobs/j"), ("GET", "/v1/jobs")):
            async with sidecar.client.request(method, path) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
                assert response.content_type == "application/problem+json"
    assert sidecar.metrics.counts["rejected", "unavailable"] == 1


async def test_a_process_whose_store_hangs_is_healthy_and_counts_on(start: Starter, hanging: Hanging) -> None:
    sidecar = await start(store_timeout_seconds=0.3)
    async with hanging():
        for path in ("/healthz", "/metrics"):
            async with sidecar.client.get(path) as response:
                assert response.status == 200


class Refusing(RedisLive):
    """A store that takes no writes, and counts how often it was asked."""

    asked = 0

    @override
    async def update(self, *_: Any) -> Any:
        self.asked += 1
        raise StoreRefused("out of memory")


async def test_a_store_that_takes_no_writes_says_so(sidecar: Sidecar, start: Starter) -> None:
    live = Refusing(sidecar.link, lambda: 0.0)
    full = await start(tracker=Tracker(live, live, Unrecorded(), Counted(), lambda: 0.0))
    async with full.client.post("/v1/jobs/j", json={}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert (await response.json())["detail"] == "out of memory"


async def test_a_batch_does_not_wait_for_a_store_that_is_away_line_by_line(start: Starter, hanging: Hanging) -> None:
    sidecar = await start(store_timeout_seconds=1.5)
    lines = [{"job_id": f"j{n % 200}", "seq": n} for n in range(3_000)]
    async with sidecar.client.post("/v1/updates", json=lines) as response:
        assert {answer["reason"] for answer in (await response.json())["results"]} == {"applied"}
    async with hanging(), asyncio.timeout(4), sidecar.client.post("/v1/updates", json=lines) as response:
        answers = (await response.json())["results"]
    assert [answer["status"] for answer in answers] == [503] * 3_000


class BreaksOff(Unrecorded):
    """A history that gives a full page of the timeline and is away for the next."""

    @override
    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        if after:
            raise StoreUnavailable("away")
        return [Event(f"e{n}", n, "tick", 4e9, 1) for n in range(1, limit + 1)]


async def test_an_export_that_breaks_off_is_not_taken_for_a_whole_one(sidecar: Sidecar, start: Starter) -> None:
    await sidecar.push("j", current=1)
    live = RedisLive(sidecar.link, lambda: 0.0)
    breaking = await start(tracker=Tracker(live, live, BreaksOff(), Counted(), lambda: 0.0))
    async with breaking.client.get("/v1/jobs/j/timeline", headers={"Accept": "text/csv"}) as response:
        assert response.status == 200
        with pytest.raises(ClientPayloadError):
            await response.read()


async def broken(_accept: str | None, _timeout_seconds: float) -> tuple[bytes, str]:
    raise RuntimeError("a secret detail")


async def test_a_bug_of_ours_is_logged_and_told_without_details(
    start: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar = await start(render=broken)
    async with sidecar.client.get("/metrics") as response:
        problem = await response.json()
        assert (response.status, response.content_type) == (500, "application/problem+json")
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert "secret" not in str(problem)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in errors] == [True]
    caplog.clear()
