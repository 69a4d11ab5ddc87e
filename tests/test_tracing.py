"""Traces as a collector gets them: from `sidecar serve`, over a real socket."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import ClientSession

from sidecar.app import serving
from sidecar.settings import Settings
from tests.faults.patience import until
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.servers.otlp import Receiver, hanging, receiving
from tests.servers.postgres import free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WORKER = "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{WORKER}-01"}
PUSH = "POST /v1/jobs/{job_id}"
STAGES = [{"name": "loading", "weight": 1}, {"name": "solving", "weight": 3}]
SECRET = "hunter2-in-a-query-or-a-body"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
STOP_SECONDS = 3.0


@pytest.fixture(autouse=True)
def _no_variables_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


class Traced(Sidecar):
    """A sidecar that exports to an endpoint, and a client of it."""

    def __init__(self, home: Path, endpoint: str | None, **settings: object) -> None:
        super().__init__(home, **{"drain_seconds": 0, **settings})
        variables = {} if endpoint is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **FAST}
        self._environment = {**self._environment, **variables}

    async def __aenter__(self) -> Self:
        self.start()
        await self.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def push(self, job_id: str, headers: Mapping[str, str] = {}, **fields: Any) -> dict[str, Any]:
        status, answer = await self.asked("POST", f"/v1/jobs/{job_id}", headers, fields)
        assert status == 200, answer
        return dict(json.loads(answer))

    async def job(self, job_id: str) -> dict[str, Any]:
        return dict(json.loads((await self.asked("GET", f"/v1/jobs/{job_id}"))[1]))

    async def asked(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = {},
        body: Any = None,
    ) -> tuple[int, str]:
        options: dict[str, Any] = {"headers": headers, "json": body}
        async with ClientSession(self.url) as client, client.request(method, path, **options) as answer:
            return answer.status, await answer.text()

    async def stopped(self) -> float:
        """Ask it to stop and return how long that took; it must end well."""
        began = time.monotonic()
        assert await asyncio.to_thread(self.terminate) == 0, self.last_words()
        return time.monotonic() - began

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def threads(self) -> list[str]:
        return [path.read_text().strip() for path in Path(f"/proc/{self.pid}/task").glob("*/comm")]


@pytest.fixture
async def sidecar(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Traced]:
    async with Traced(tmp_path / "sidecar", receiver.endpoint) as sidecar:
        yield sidecar


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_push_is_a_span_below_that_of_its_worker(sidecar: Traced, receiver: Receiver) -> None:
    began = time.time()
    await sidecar.push("job-1", TRACEPARENT, current=1)
    span = await receiver.named(PUSH)
    assert (span.trace_id, span.parent_id, span.kind, span.is_error) == (TRACE, WORKER, "server", False)
    assert began - 0.1 <= span.started_at < span.finished_at <= time.time() + 0.1
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/jobs/{job_id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "progress.job.id": "job-1",
    }
    assert span.resource["service.name"] == "progress-sidecar"


async def test_without_a_traceparent_a_request_is_a_trace_of_its_own(sidecar: Traced, receiver: Receiver) -> None:
    await sidecar.push("job-1", {"traceparent": f"00-{TRACE}-{WORKER}-01-not-in-version-0"}, current=1)
    span = await receiver.named(PUSH)
    assert span.parent_id == ""
    assert span.trace_id != TRACE


async def test_what_a_worker_does_not_keep_is_not_kept_here(sidecar: Traced, receiver: Receiver) -> None:
    await sidecar.push("unsampled", {"traceparent": f"00-{TRACE}-{WORKER}-00"}, current=1)
    await sidecar.push("sampled", current=1)
    await receiver.named(PUSH)
    assert [span.attributes["progress.job.id"] for span in receiver.all_named(PUSH)] == ["sampled"]


async def test_a_job_and_its_stages_are_spans_with_the_times_of_the_job(sidecar: Traced, receiver: Receiver) -> None:
    await sidecar.push("job-1", job_type="timetable", trace_id=TRACE, stages=STAGES, stage="loading")
    await sidecar.push("job-1", stage="solving", current=1)
    await receiver.named("stage loading")
    assert not receiver.all_named("job timetable")
    await sidecar.push("job-1", status="completed")
    spans = [await receiver.named(name) for name in ("job timetable", "stage loading", "stage solving")]
    job = await sidecar.job("job-1")
    for span, shown in zip(spans, [job, *job["stages"]], strict=True):
        assert span.started_at == pytest.approx(at(shown["started_at"]), abs=0.001)
        assert span.finished_at == pytest.approx(at(shown["finished_at"]), abs=0.001)
        assert (span.trace_id, span.kind, span.attributes["progress.job.id"]) == (TRACE, "internal", "job-1")
    whole = spans[0].span_id
    assert [span.parent_id for span in spans] == ["", whole, whole]
    assert spans[0].attributes["progress.job.status"] == "completed"
    assert spans[2].attributes["progress.stage.name"] == "solving"


async def test_a_traceparent_as_the_trace_of_a_job_tells_the_parent_too(sidecar: Traced, receiver: Receiver) -> None:
    await sidecar.push("job-1", trace_id=TRACEPARENT["traceparent"], status="completed")
    span = await receiver.named("job default")
    assert (span.trace_id, span.parent_id) == (TRACE, WORKER)


async def test_the_first_traceparent_is_the_trace_of_the_job_unless_its_worker_names_one(
    sidecar: Traced, receiver: Receiver
) -> None:
    other = {"traceparent": f"00-{'a' * 32}-{WORKER}-01"}
    await sidecar.push("job-1", TRACEPARENT, current=1, seq=1)
    await sidecar.push("job-1", other, status="completed", seq=2)
    assert (await sidecar.job("job-1"))["trace_id"] == TRACE
    assert (await receiver.named("job default")).trace_id == TRACE
    await sidecar.push("job-2", trace_id="mine")
    await sidecar.push("job-2", other, current=1)
    assert (await sidecar.job("job-2"))["trace_id"] == "mine"


async def test_of_two_sidecars_over_one_redis_only_one_tells_of_a_job(tmp_path: Path, receiver: Receiver) -> None:
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    try:
        await valkey.ready()
        database = f"sqlite:///{tmp_path}/history.db"
        here = Traced(tmp_path / "here", receiver.endpoint, redis_url=valkey.url, database_url=database)
        there = Traced(tmp_path / "there", receiver.endpoint, redis_url=valkey.url, database_url=database)
        async with here, there:
            await here.push("job-1", stages=STAGES, stage="loading", seq=1)
            await there.push("job-1", stage="solving", seq=2)
            await asyncio.gather(*(each.push("job-1", status="completed", seq=3) for each in (here, there)))
            await asyncio.gather(here.stopped(), there.stopped())
    finally:
        valkey.kill()
    names = sorted(span.name for span in receiver.spans if span.kind == "internal")
    assert names == ["job default", "stage loading", "stage solving"]
    [job] = receiver.all_named("job default")
    assert job.trace_id == sha256(b"job-1").hexdigest()[:32]
    assert len({span.resource["service.instance.id"] for span in receiver.all_named(PUSH)}) == 2


async def test_a_failed_job_is_an_error_without_what_its_worker_said(sidecar: Traced, receiver: Receiver) -> None:
    error = {"type": "NoSolution", "message": SECRET, "stack": SECRET}
    await sidecar.push("job-1", stage="solving", current=1)
    await sidecar.push("job-1", status="failed", error=error, message=SECRET)
    job, stage = await receiver.named("job default"), await receiver.named("stage solving")
    assert (job.is_error, stage.is_error) == (True, True)
    assert job.attributes["error.type"] == "NoSolution"
    assert SECRET.encode() not in receiver.raw


async def test_neither_query_strings_nor_bodies_nor_unknown_addresses_are_told(
    sidecar: Traced, receiver: Receiver
) -> None:
    for path in (f"/v1/jobs/job-1?ticket={SECRET}", f"/{SECRET}", f"/v1/jobs/{SECRET}%20!"):
        assert (await sidecar.asked("POST", path, body={"message": SECRET, SECRET: 1}))[0] >= 400
    await sidecar.asked(SECRET.upper(), "/v1/stats")
    await sidecar.asked("GET", "/v1/jobs")
    await receiver.named("GET /v1/jobs")
    assert sorted(span.name for span in receiver.spans) == ["GET /v1/jobs", "HTTP /v1/stats", "POST", PUSH, PUSH]
    assert SECRET.encode() not in receiver.raw
    assert SECRET.upper().encode() not in receiver.raw
    refused = receiver.all_named(PUSH)[0]
    assert (refused.attributes["http.response.status_code"], refused.is_error) == (422, False)


async def test_streams_probes_and_scrapes_have_no_span(sidecar: Traced, receiver: Receiver) -> None:
    await sidecar.push("job-1", status="completed")
    async with ClientSession(sidecar.url) as client:
        async with client.get("/v1/jobs/job-1/events") as stream:
            assert b"event: done" in await stream.read()
        async with client.ws_connect("/v1/ws") as socket:
            await socket.send_json({"watch": {"job_id": "job-1"}})
            await socket.receive()
        for path in ("/healthz", "/readyz", "/metrics"):
            await (await client.get(path)).read()
    await sidecar.asked("GET", "/v1/jobs")
    await receiver.named("GET /v1/jobs")
    assert {span.name for span in receiver.spans} == {PUSH, "GET /v1/jobs", "job default"}


async def test_both_stores_away_is_an_error_on_the_span(tmp_path: Path, receiver: Receiver) -> None:
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    try:
        await valkey.ready()
        nowhere = f"postgresql://x@127.0.0.1:{free_port()}/x"
        settings = {"redis_url": valkey.url, "database_url": nowhere}
        async with Traced(tmp_path / "sidecar", receiver.endpoint, **settings) as sidecar:
            valkey.kill()
            assert (await sidecar.asked("POST", "/v1/jobs/job-1", body={}))[0] == 503
            span = await receiver.named(PUSH)
    finally:
        valkey.kill()
    assert (span.is_error, span.attributes["error.type"], span.events) == (True, "503", {})


async def test_log_lines_of_a_request_carry_its_trace_and_span(tmp_path: Path, receiver: Receiver) -> None:
    async with Traced(tmp_path / "sidecar", receiver.endpoint, log_level="debug") as sidecar:
        status, _ = await sidecar.asked("POST", "/v1/jobs/job-1", TRACEPARENT, {"current": -1})
        assert status == 422
        span = await receiver.named(PUSH)
        [refused] = [line for line in sidecar.lines() if line["message"] == "a request was refused"]
    assert (refused["fields"]["trace_id"], refused["fields"]["span_id"]) == (TRACE, span.span_id)
    assert "trace_id" not in sidecar.lines()[0]["fields"]


async def test_what_is_queued_at_the_end_is_sent(tmp_path: Path, receiver: Receiver) -> None:
    async with Traced(tmp_path / "sidecar", receiver.endpoint) as sidecar:
        for number in range(20):
            await sidecar.push(f"job-{number}", status="completed")
        assert await sidecar.stopped() < STOP_SECONDS
    assert len(receiver.all_named("job default")) == 20


async def test_with_nobody_to_receive_pushes_go_on_and_one_line_tells(tmp_path: Path) -> None:
    port = free_port()
    async with Traced(tmp_path / "sidecar", f"http://127.0.0.1:{port}") as sidecar:
        for number in range(50):
            await sidecar.push("job-1", current=number)
        assert await sidecar.stopped() < STOP_SECONDS
        said = sidecar.log.read_text()
    assert "Traceback" not in said
    told = [line for line in sidecar.lines() if line["level"] in {"warning", "error"}]
    assert {line["message"] for line in told} <= {
        "traces cannot be exported and are dropped",
        "the last traces could not be exported in time",
    }
    assert told


async def test_an_endpoint_that_never_answers_delays_neither_pushes_nor_the_stop(tmp_path: Path) -> None:
    async with hanging() as endpoint, Traced(tmp_path / "sidecar", endpoint) as sidecar:
        began = time.monotonic()
        for number in range(50):
            await sidecar.push("job-1", current=number)
        assert time.monotonic() - began < 5
        assert await sidecar.stopped() < STOP_SECONDS
        assert "Traceback" not in sidecar.log.read_text()


async def test_a_receiver_that_comes_back_gets_what_happens_then(tmp_path: Path) -> None:
    port = free_port()
    sidecar = Traced(tmp_path / "sidecar", f"http://127.0.0.1:{port}")
    sidecar._environment["OTEL_EXPORTER_OTLP_TIMEOUT"] = "0.2"
    async with sidecar:
        await sidecar.push("job-1", current=1)
        await _told(sidecar, "traces cannot be exported and are dropped")
        async with receiving(port) as receiver:
            await sidecar.push("job-1", status="completed")
            await receiver.named("job default")
            await _told(sidecar, "traces are exported again")


async def _told(sidecar: Traced, message: str) -> None:
    await until(lambda: message in sidecar.log.read_text(), 15, message)


async def test_without_an_endpoint_there_is_no_exporter_and_no_thread(tmp_path: Path) -> None:
    async with Traced(tmp_path / "sidecar", None) as sidecar:
        await sidecar.push("job-1", TRACEPARENT, status="completed")
        assert not [name for name in sidecar.threads() if name.startswith("Otel")]
    program = (
        "import asyncio, pathlib, sys, threading\n"
        "from sidecar.app import serving\n"
        "from sidecar.settings import Settings\n"
        "async def main():\n"
        "    async with serving(Settings(listen_port=0, data_dir=pathlib.Path(sys.argv[1]))):\n"
        "        print(any(name.startswith('opentelemetry.sdk') for name in sys.modules))\n"
        "        print(any(thread.name.startswith('Otel') for thread in threading.enumerate()))\n"
        "asyncio.run(main())\n"
    )
    assert await _said_by(program, tmp_path / "data") == ["False", "False"]
    assert await _said_by(program, tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == [
        "True",
        "True",
    ]


async def _said_by(program: str, data_dir: Path, **variables: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(data_dir)),
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return said.decode().split()


@pytest.mark.parametrize("variables", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
async def test_tracing_can_be_switched_off_beside_an_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with serving(Settings(data_dir=tmp_path, listen_port=0)) as served, ClientSession(served.url) as client:
        await (await client.post("/v1/jobs/job-1", json={"status": "completed"})).read()
    assert receiver.spans == []


async def test_a_variable_that_does_not_fit_is_named_and_nothing_starts(tmp_path: Path) -> None:
    sidecar = Traced(tmp_path / "sidecar", "http://127.0.0.1:9")
    sidecar._environment["OTEL_EXPORTER_OTLP_TIMEOUT"] = "soon"
    sidecar.start()
    assert sidecar._running is not None
    assert await asyncio.to_thread(sidecar._running.wait, 30) == 1
    assert "OTEL_" in sidecar.last_words()
    assert "Traceback" not in sidecar.last_words()
