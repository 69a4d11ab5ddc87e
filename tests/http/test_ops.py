import asyncio
import json
import re

import pytest

from sidecar.core.errors import StoreUnavailable
from tests.http.conftest import Sidecar, Starter


async def good() -> bool:
    return True


async def bad() -> bool:
    return False


async def away() -> bool:
    raise StoreUnavailable("Redis is away")


async def refused() -> bool:
    raise ConnectionRefusedError


async def silent() -> bool:
    await asyncio.Event().wait()
    return True


async def test_a_process_that_lives_is_healthy(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok", "version": "1.2.3"})


async def test_a_sidecar_with_all_its_parts_is_ready(start: Starter) -> None:
    sidecar = await start(probes={"redis": good, "listener": good})
    async with sidecar.client.get("/readyz") as response:
        assert (response.status, await response.text()) == (200, '{\n"redis": "ok",\n"listener": "ok"\n}\n')
        assert response.content_type == "application/json"


@pytest.mark.parametrize("probe", [bad, away, refused, silent])
async def test_a_sidecar_without_one_of_its_parts_is_not_ready(start: Starter, probe: object) -> None:
    sidecar = await start(probes={"redis": probe, "listener": good})
    async with sidecar.client.get("/readyz") as response:
        assert response.status == 503
        assert json.loads(await response.text()) == {"redis": "unavailable", "listener": "ok"}


async def test_no_parts_at_all_are_an_object_too(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/readyz") as response:
        assert json.loads(await response.text()) == {}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", "5"), ("0.5", "0.5"), ("9999", "120"), ("0", "10"), ("-1", "10"), ("nan", "10"), ("x", "10"), (None, "10")],
)
async def test_a_scrape_is_rendered_within_its_own_time(sidecar: Sidecar, header: str | None, seconds: str) -> None:
    headers = {"Accept": "text/plain"}
    if header is not None:
        headers["X-Prometheus-Scrape-Timeout-Seconds"] = header
    async with sidecar.client.get("/metrics", headers=headers) as response:
        assert await response.text() == f"rendered for text/plain within {seconds}\n"
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4"


async def test_the_first_page_tells_what_to_type(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/") as response:
        text = await response.text()
    assert response.content_type == "text/plain"
    assert f"curl -d current=3 -d total=10 -d message=hello {sidecar.url}/v1/jobs/my-job" in text
    assert text.count("curl") == 3


async def test_requests_are_counted_by_their_template(sidecar: Sidecar) -> None:
    await sidecar.push("j", current=1)
    await sidecar.client.get("/v1/jobs/nobody")
    await sidecar.client.get("/nowhere")
    assert {key: n for key, n in sidecar.metrics.counts.items() if key[0] == "request_finished"} == {
        ("request_finished", "POST", "/v1/jobs/{job_id}", 200): 1,
        ("request_finished", "GET", "/v1/jobs/{job_id}", 404): 1,
        ("request_finished", "GET", "unmatched", 404): 1,
    }


async def test_streams_are_not_counted_as_requests(sidecar: Sidecar) -> None:
    await sidecar.push("j", status="completed")
    async with sidecar.watch("j") as stream:
        await stream.next("connected")
        await stream.next("done")
        assert await stream.is_closed()
    await sidecar.metrics.until("stream_closed", "sse", "done")
    assert not [key for key in sidecar.metrics.counts if key[:2] == ("request_finished", "GET")]


async def test_a_sane_request_id_is_kept(sidecar: Sidecar) -> None:
    async with sidecar.client.get("/healthz", headers={"X-Request-Id": "abc-123"}) as response:
        assert response.headers["X-Request-Id"] == "abc-123"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "\u00e9", "<script>"])
async def test_any_other_request_id_is_replaced(sidecar: Sidecar, given: str) -> None:
    async with sidecar.client.get("/healthz", headers={"X-Request-Id": given}) as response:
        assert re.fullmatch(r"[0-9a-f]{13,}", response.headers["X-Request-Id"])
