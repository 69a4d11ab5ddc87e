"""What clients can get wrong: each with its exact status, no traceback, and a server that goes on answering."""

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from sidecar.core.job import Json
from sidecar.http.wire import Report
from tests.http.conftest import TIMES, Sidecar, Starter

HOST = b"Host: localhost\r\n"
UNTYPED = ["Content-Type"]
"""Bytes are sent without a type, not as application/octet-stream."""


@pytest.fixture(autouse=True)
async def _goes_on_answering(sidecar: Sidecar) -> AsyncIterator[None]:
    """Fail a test after which the server does not answer any more, or made a mistake of its own."""
    yield
    await sidecar.push("afterwards", current=1)
    codes = [key[3] for key in sidecar.metrics.counts if key[0] == "request_finished"]
    assert all(isinstance(code, int) and code < 500 for code in codes)


@asynccontextmanager
async def connected(sidecar: Sidecar) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to write anything to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def status_of(sidecar: Sidecar, raw: bytes) -> int:
    """Send bytes and return the status of the answer."""
    async with connected(sidecar) as (reader, writer), asyncio.timeout(10):
        writer.write(raw)
        return int((await reader.readline()).split()[1])


async def refusal(sidecar: Sidecar, method: str, url: str | URL, **request: Any) -> tuple[int, list[str]]:
    """Send a request and return the status and the fields that are named."""
    async with sidecar.client.request(method, url, skip_auto_headers=UNTYPED, **request) as response:
        problem = await response.json()
        assert response.content_type == "application/problem+json"
        assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
        assert problem["status"] == response.status
        return response.status, [error["field"] for error in problem.get("errors", [])]


JOB_ROUTES = [
    ("GET", "/v1/jobs/{}"),
    ("POST", "/v1/jobs/{}"),
    ("DELETE", "/v1/jobs/{}"),
    ("POST", "/v1/jobs/{}/cancel"),
    ("POST", "/v1/jobs/{}/attempts"),
    ("GET", "/v1/jobs/{}/timeline"),
    ("GET", "/v1/jobs/{}/events"),
]


@pytest.mark.parametrize(("method", "path"), JOB_ROUTES)
@pytest.mark.parametrize(
    "job_id",
    [
        *(
            "a%20b",
            "a%2Fb",
            "a" * 129,
            "%F0%9F%98%80",
            "%FF",
            "%ED%A0%80",
            "a%00",
            "a%0A",
            "%2e%2e%2fa",
            "-a",
            "a%7Bb%7D",
        ),
        *("%", "%zz", "a%25b", "a;b", "a,b", "~a"),
    ],
)
async def test_an_id_against_the_contract_is_named(sidecar: Sidecar, method: str, path: str, job_id: str) -> None:
    url = URL(sidecar.url + path.format(job_id), encoded=True)
    assert await refusal(sidecar, method, url) == (422, ["job_id"])


@pytest.mark.parametrize("path", ["/v1/jobs/a/b", "/v1/jobs/", "/v1/jobs//events", "/v1", "/v2/jobs", "/v1/jobs/a/b/c"])
async def test_a_path_that_nothing_is_served_at_is_not_found(sidecar: Sidecar, path: str) -> None:
    assert await refusal(sidecar, "GET", URL(sidecar.url + path, encoded=True)) == (404, [])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs/j", "DELETE, GET, HEAD, POST"),
        ("PATCH", "/v1/jobs/j", "DELETE, GET, HEAD, POST"),
        ("DELETE", "/v1/jobs", "GET, HEAD, POST"),
        ("GET", "/v1/updates", "POST"),
        ("GET", "/v1/jobs/j/cancel", "POST"),
        ("POST", "/v1/jobs/j/events", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("OPTIONS", "/v1/jobs", "GET, HEAD, POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(sidecar: Sidecar, method: str, path: str, allowed: str) -> None:
    async with sidecar.client.request(method, path) as response:
        assert (response.status, response.headers["Allow"]) == (405, allowed)
        assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "-1", "1e308", "9223372036854775808", "1e999"])
@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("current", '{{"current": {}}}'),
        ("total", '{{"total": {}}}'),
        ("percent", '{{"percent": {}}}'),
        ("items.n", '{{"items": {{"n": {}}}}}'),
        ("add.current", '{{"seq": 1, "add": {{"current": {}}}}}'),
        ("seq", '{{"seq": {}}}'),
    ],
)
async def test_a_number_that_is_none_or_too_large_is_named(
    sidecar: Sidecar, field: str, body: str, number: str
) -> None:
    assert await refusal(sidecar, "POST", "/v1/jobs/j", data=body.format(number).encode()) == (422, [field])


async def test_current_beyond_total_is_named(sidecar: Sidecar) -> None:
    assert await refusal(sidecar, "POST", "/v1/jobs/j", json={"current": 2, "total": 1}) == (422, ["current"])


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000,
        b'{"metadata": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        b'{"message": "\xff"}',
        b'{"message": "\\ud800"}',
        b"{",
        b'{"current": 01}',
        b'{"message": "a\nb"}',
        b"{}{}",
        b'{"current": ' + b"9" * 10_000 + b"}",
        b"message=%FF",
    ],
)
async def test_what_cannot_be_parsed_is_a_bad_request(sidecar: Sidecar, body: bytes) -> None:
    assert await refusal(sidecar, "POST", "/v1/jobs/j", data=body) == (400, [])


async def test_a_value_nested_too_deep_is_named(sidecar: Sidecar) -> None:
    body = b'{"resume": ' + b"[" * 100 + b"]" * 100 + b"}"
    assert await refusal(sidecar, "POST", "/v1/jobs/j", data=body) == (422, ["resume"])


async def test_the_last_of_duplicate_keys_counts(sidecar: Sidecar) -> None:
    async with sidecar.client.post(
        "/v1/jobs/j", data=b'{"current": 1, "current": 2}', skip_auto_headers=UNTYPED
    ) as response:
        assert response.status == 200
    assert (await sidecar.job("j"))["current"] == 2


@pytest.mark.parametrize("body", [{"nonsense": 1}, {"model_config": 1}, {"__class__": 1}, {"\U0001f600": 1}, {"": 1}])
async def test_an_unknown_field_is_named(sidecar: Sidecar, body: dict[str, Json]) -> None:
    assert await refusal(sidecar, "POST", "/v1/jobs/j", json=body) == (422, list(body))


async def test_a_body_over_the_limit_is_too_large(sidecar: Sidecar) -> None:
    body = json.dumps({"result": "x" * 65_536}).encode()
    assert await refusal(sidecar, "POST", "/v1/jobs/j", data=body) == (413, [])
    assert sidecar.metrics.counts["rejected", "too_large"] == 1


async def test_a_body_at_the_limit_is_not(sidecar: Sidecar) -> None:
    body = json.dumps({"result": ""}).encode()
    body = body.replace(b'""', b'"' + b"x" * (65_536 - len(body)) + b'"')
    async with sidecar.client.post("/v1/jobs/j", data=body, skip_auto_headers=UNTYPED) as response:
        assert (len(body), response.status) == (65_536, 200)


async def test_a_batch_over_the_limit_is_too_large(sidecar: Sidecar) -> None:
    assert (await refusal(sidecar, "POST", "/v1/updates", data=BytesIO(b" " * (8 * 1024 * 1024 + 1))))[0] == 413
    assert (await refusal(sidecar, "POST", "/v1/updates", data=b"{}\n" * 10_001))[0] == 413


async def test_a_compressed_body_is_held_to_the_limit_too(sidecar: Sidecar) -> None:
    body, headers = gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}
    assert (await refusal(sidecar, "POST", "/v1/jobs/j", data=body, headers=headers))[0] == 413


async def test_a_body_of_a_type_that_we_do_not_read_is_not_supported(sidecar: Sidecar) -> None:
    for path in ("/v1/jobs/j", "/v1/jobs", "/v1/updates"):
        headers = {"Content-Type": "application/xml"}
        assert (await refusal(sidecar, "POST", path, data=b"<a/>", headers=headers))[0] == 415


async def test_a_body_that_stops_half_way_is_a_quiet_end(sidecar: Sidecar) -> None:
    async with connected(sidecar) as (_, writer):
        writer.write(b"POST /v1/jobs/j HTTP/1.1\r\n" + HOST + b'Content-Length: 100\r\n\r\n{"current": 1')
        await writer.drain()
    async with sidecar.client.get("/v1/jobs/j") as response:
        assert response.status == 404


async def test_a_body_that_never_ends_is_not_waited_for(start: Starter) -> None:
    sidecar = await start(body_seconds=0.05)
    raw = b"POST /v1/jobs/j HTTP/1.1\r\n" + HOST + b'Content-Length: 100\r\n\r\n{"current": 1'
    assert await status_of(sidecar, raw) == 408


@pytest.mark.parametrize(
    "headers",
    [
        b"Transfer-Encoding: garbage\r\n",
        b"Transfer-Encoding: chunked, garbage\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: five\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n",
        b"X: " + b"x" * 100_000 + b"\r\n",
        b"X y: z\r\n",
        b"X: a\x00b\r\n",
        b": empty\r\n",
    ],
)
async def test_headers_that_make_no_sense_are_a_bad_request(sidecar: Sidecar, headers: bytes) -> None:
    assert await status_of(sidecar, b"POST /v1/jobs/j HTTP/1.1\r\n" + HOST + headers + b"\r\nhello") == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"BREW /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/jobs HTTP/9.9\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_bad_request(sidecar: Sidecar, raw: bytes) -> None:
    assert await status_of(sidecar, raw) in (400, 404)


async def test_chunks_that_make_no_sense_are_a_bad_request(sidecar: Sidecar) -> None:
    raw = b"POST /v1/jobs/j HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"
    assert await status_of(sidecar, raw) == 400


async def test_chunks_that_stop_making_sense_are_a_bad_request(sidecar: Sidecar) -> None:
    async with connected(sidecar) as (reader, writer), asyncio.timeout(10):
        writer.write(b"POST /v1/jobs/j HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n")
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"zz\r\n")
        assert (await reader.readline()).split()[1] == b"400"


@pytest.mark.parametrize("cut", [10, 40, 75])
async def test_a_watcher_that_leaves_before_its_request_is_whole(sidecar: Sidecar, cut: int) -> None:
    raw = b"GET /v1/jobs/j/events HTTP/1.1\r\n" + HOST + b"Accept: text/event-stream\r\n\r\n"
    async with connected(sidecar) as (_, writer):
        writer.write(raw[:cut])
        await writer.drain()


async def test_a_watcher_that_leaves_before_it_reads_anything(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.02))
    await sidecar.push("j", current=1)
    async with connected(sidecar) as (_, writer):
        writer.write(b"GET /v1/jobs/j/events HTTP/1.1\r\n" + HOST + b"\r\n")
        await sidecar.metrics.until("stream_opened", "sse")
    await sidecar.metrics.until("stream_closed", "sse", "client")


@pytest.mark.parametrize("job_id", ["j", "nobody"])
async def test_a_watcher_that_leaves_after_the_first_word(start: Starter, job_id: str) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.02, unknown=60.0))
    await sidecar.push("j", current=1)
    async with sidecar.watch(job_id) as stream:
        await stream.next("connected")
    await sidecar.metrics.until("stream_closed", "sse", "client")


async def test_a_watcher_that_resets_its_connection_in_mid_stream(start: Starter) -> None:
    sidecar = await start(times=replace(TIMES, heartbeat=0.02))
    await sidecar.push("j", current=1)
    async with connected(sidecar) as (reader, writer):
        writer.write(b"GET /v1/jobs/j/events HTTP/1.1\r\n" + HOST + b"\r\n")
        await reader.readuntil(b"event: progress")
        writer.transport.abort()
    for current in range(10):
        await sidecar.push("j", current=current)
    await sidecar.metrics.until("stream_closed", "sse", "client")


async def test_a_client_that_leaves_while_it_is_answered(sidecar: Sidecar) -> None:
    async with connected(sidecar) as (_, writer):
        writer.write(b"GET /v1/jobs HTTP/1.1\r\n" + HOST + b"\r\n" + b"GET /v1/jobs HTTP/1.1\r\n" + HOST + b"\r\n")
        await writer.drain()


NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 2**53, 2**63 - 1, 2**63, 10**400, math.inf, 1e308])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
GOOD = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from(["a", "b", "c"]),
        "stage_status": st.sampled_from(["running", "completed"]),
        "stages": st.just([{"name": "a", "weight": 0}, {"name": "b", "weight": 2**62}]),
        "current": st.sampled_from([0, 1, 0.5, 2**63 - 1]),
        "total": st.sampled_from([None, 0, 2**63 - 1]),
        "percent": st.sampled_from([0, 50, 100]),
        "status": st.sampled_from(["queued", "running", "paused", "blocked", "completed", "failed"]),
        "attempt": st.integers(1, 3),
        "seq": st.integers(0, 3),
        "writer": st.sampled_from(["", "w"]),
        "rewind": st.booleans(),
        "add": st.just({"current": 2**53, "items": {"n": 2**53}}),
        "items": st.just({"m": 2**63 - 1}),
        "metadata": st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
        "resume": VALUES,
    },
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from([*Report.model_fields, "unknown"]), VALUES, max_size=6), GOOD, VALUES
)


FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(body=BODIES)
async def test_no_json_makes_the_server_fail(sidecar: Sidecar, body: Json) -> None:
    data = json.dumps(body).encode()
    async with sidecar.client.post("/v1/jobs/j", data=data, skip_auto_headers=UNTYPED) as response:
        assert response.status in (200, 409, 422)
        await response.json()
    for path in ("/v1/jobs/j", "/v1/jobs", "/v1/jobs/j/timeline"):
        async with sidecar.client.get(path) as response:
            assert response.status in (200, 404)
            json.loads(await response.read(), parse_constant=pytest.fail)


@FUZZ
@given(
    body=st.one_of(st.binary(max_size=50), st.text(alphabet='{}[]",:=&%.+-0123456789enaulitms\n').map(str.encode)),
    content_type=st.sampled_from(["", "application/json", "application/x-ndjson", "text/plain"]),
    path=st.sampled_from(["/v1/jobs", "/v1/jobs/j", "/v1/updates"]),
)
async def test_no_bytes_make_the_server_fail(sidecar: Sidecar, body: bytes, content_type: str, path: str) -> None:
    async with sidecar.client.post(path, data=body, headers={"Content-Type": content_type}) as response:
        assert response.status in (200, 201, 400, 415, 422)


@FUZZ
@given(query=st.text(max_size=30), name=st.sampled_from(["status", "page", "limit", "label", "updated_since", "view"]))
async def test_no_query_makes_the_server_fail(sidecar: Sidecar, query: str, name: str) -> None:
    for params in ({name: query}, {query: name}):
        async with sidecar.client.get("/v1/jobs", params=params) as response:
            assert response.status in (200, 422)
