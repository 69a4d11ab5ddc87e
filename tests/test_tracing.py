"""Traces as a collector gets them: from `sidecar serve`, over a real socket."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from prometheus_client import CollectorRegistry

import sidecar as sidecar_package
from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.adapters.tracing import exporting
from sidecar.app import serving
from sidecar.core import merge
from sidecar.core.job import Job, PlannedStage, Update
from sidecar.http import routes, tracing
from sidecar.http.auth import Gate
from sidecar.http.services import Services
from sidecar.http.streams import Limits, Streams
from sidecar.settings import Settings
from sidecar.spans import FinishedSpan, ended_with, exemplar, stage_exemplar
from tests.faults.patience import until
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.servers.otlp import Receiver, hanging, receiving
from tests.servers.ports import free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WORKER = "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{WORKER}-01"}
PUSH = "POST /v1/jobs/{job_id}"
STAGES = [{"name": "loading", "weight": 1}, {"name": "solving", "weight": 3}]
SECRET = "hunter2-in-a-query-or-a-body"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
STOP_SECONDS = 3.0
NOTHING: Mapping[str, str] = {}
PROGRAM = """
import asyncio, pathlib, sys, threading
from sidecar.app import serving
from sidecar.settings import Settings

SDK = ("opentelemetry.sdk.trace", "opentelemetry.exporter")

async def main():
    async with serving(Settings(listen_port=0, data_dir=pathlib.Path(sys.argv[1]))):
        print(any(name.startswith(SDK) for name in sys.modules))
        print(any(thread.name.startswith("Otel") for thread in threading.enumerate()))

asyncio.run(main())
"""
"""Tells whether a sidecar has loaded what exports, and whether a thread of it runs."""


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

    def __init__(
        self,
        home: Path,
        endpoint: str | None,
        otel: Mapping[str, str] = NOTHING,
        **settings: object,
    ) -> None:
        super().__init__(home, **{"drain_seconds": 0, **settings})
        variables = {} if endpoint is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **FAST, **otel}
        self._environment = {**self._environment, **variables}

    async def __aenter__(self) -> Self:
        self.start()
        await self.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def push(self, job_id: str, headers: Mapping[str, str] = NOTHING, **fields: Any) -> dict[str, Any]:
        status, answer = await self.asked("POST", f"/v1/jobs/{job_id}", headers, fields)
        assert status == 200, answer
        return dict(json.loads(answer))

    async def job(self, job_id: str) -> dict[str, Any]:
        return dict(json.loads((await self.asked("GET", f"/v1/jobs/{job_id}"))[1]))

    async def asked(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = NOTHING,
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
    await sidecar.asked("PROPFIND", f"/v1/stats?{SECRET}")
    await sidecar.asked("GET", "/v1/jobs")
    await receiver.named("GET /v1/jobs")
    assert sorted(span.name for span in receiver.spans) == ["GET /v1/jobs", "HTTP", "POST", PUSH, PUSH]
    assert SECRET.encode() not in receiver.raw
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
        async with Traced(
            tmp_path / "sidecar", receiver.endpoint, redis_url=valkey.url, database_url=nowhere
        ) as sidecar:
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
    async with Traced(tmp_path / "sidecar", receiver.endpoint, {"OTEL_BSP_SCHEDULE_DELAY": "60000"}) as sidecar:
        for number in range(20):
            await sidecar.push(f"job-{number}", status="completed")
        assert receiver.spans == []
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
    endpoint, impatient = f"http://127.0.0.1:{port}", {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
    async with Traced(tmp_path / "sidecar", endpoint, impatient) as sidecar:
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
    assert await _said_by(PROGRAM, tmp_path / "data") == ["False", "False"]
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert await _said_by(PROGRAM, tmp_path / "data", **endpoint) == ["True", "True"]


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
    sidecar = Traced(tmp_path / "sidecar", "http://127.0.0.1:9", {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1000000"})
    sidecar.start()
    assert sidecar._running is not None
    assert await asyncio.to_thread(sidecar._running.wait, 30) == 1
    assert "OTEL_" in sidecar.last_words()
    assert "Traceback" not in sidecar.last_words()


class Broken:
    """A tracker with a mistake."""

    async def push(self, update: Update, may: object) -> None:
        del may
        raise ValueError(f"{update.words} {SECRET}")


@pytest.fixture
async def broken(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> AsyncIterator[str]:
    """Yield the address of an API whose tracker has a mistake, and that exports."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.endpoint}/v1/traces")
    metrics = PrometheusMetrics(CollectorRegistry())
    gate = Gate((), is_token_required=False)
    parts: dict[str, Any] = {"tracker": Broken(), **dict.fromkeys(("watched", "hub", "render"))}
    services = Services(**parts, metrics=metrics, gate=gate, streams=Streams(Limits(1)), probes={}, version="1")
    async with exporting("1") as exported, TestServer(routes.api(services, exported.tracer)) as server:
        yield str(server.make_url(""))


async def test_an_exception_is_told_by_its_type_and_place_and_not_by_its_words(
    broken: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    async with ClientSession() as client, client.post(f"{broken}/v1/jobs/job-1", json={"message": SECRET}) as answer:
        assert answer.status == 500
    assert "a request failed" in caplog.text
    span = await receiver.named(PUSH)
    assert (span.is_error, span.attributes["error.type"]) == (True, "builtins.ValueError")
    assert span.events["exception"]["exception.type"] == "builtins.ValueError"
    assert "in push" in span.events["exception"]["exception.stacktrace"]
    assert SECRET.encode() not in receiver.raw


STEPS = (
    {"plan": (PlannedStage("a"), PlannedStage("b")), "stage": "a", "seq": 1},
    {"stage": "b", "seq": 2},
    {"stage": "a", "rewind": True, "seq": 3},
    {"stage": "b", "seq": 4},
    {"words": {"status": "completed"}, "seq": 5},
)


def spans_of(*steps: Mapping[str, Any], job_id: str = "job-1") -> list[FinishedSpan]:
    """Return the spans that a job makes to which these updates come, one a second."""
    made: list[FinishedSpan] = []
    job: Job | None = None
    for second, step in enumerate(steps):
        update = Update(**{"job_id": job_id, "identity": f"i{second}", "writer": "w", "said": step, **step})
        outcome = merge.apply(job, update, 1000.0 + second)
        job = outcome.job
        made += ended_with(outcome)
    return made


def test_each_time_that_a_stage_runs_is_a_span_of_its_own() -> None:
    spans = [(span.name, span.started_at, span.finished_at) for span in spans_of(*STEPS)]
    assert spans == [
        ("stage a", 1000.0, 1001.0),
        ("stage a", 1002.0, 1003.0),
        ("stage b", 1003.0, 1004.0),
        ("job default", 1000.0, 1004.0),
    ]
    assert len({span.span_id for span in spans_of(*STEPS)}) == 4


def test_the_same_job_makes_the_same_spans_wherever_it_is_told_of() -> None:
    assert spans_of(*STEPS) == spans_of(*STEPS)
    others = spans_of(*STEPS, job_id="job-2")
    assert not {span.span_id for span in spans_of(*STEPS)} & {span.span_id for span in others}


def test_each_attempt_is_a_span_of_its_own_in_the_trace_of_the_job() -> None:
    failed: dict[str, Any] = {"words": {"status": "failed"}}
    first, second = spans_of({**failed, "attempt": 1}, {**failed, "attempt": 2})
    assert first.trace_id == second.trace_id
    assert first.span_id != second.span_id
    assert (first.attributes["progress.job.attempt"], second.attributes["progress.job.attempt"]) == (1, 2)


def test_an_end_that_is_told_twice_or_too_late_makes_no_second_span() -> None:
    done: dict[str, Any] = {"words": {"status": "completed"}, "seq": 1}
    assert len(spans_of(done, done, {"words": {"status": "failed"}, "seq": 2})) == 1


def test_a_job_that_never_began_spans_the_time_in_which_it_waited() -> None:
    [span] = spans_of({"words": {"status": "queued"}}, {"words": {"status": "cancelled"}})
    assert (span.started_at, span.finished_at, span.is_error) == (1000.0, 1001.0, False)


def test_the_time_in_the_queue_is_told_apart_from_the_work() -> None:
    [span] = spans_of({"words": {"status": "queued"}}, {"current": 1}, {"words": {"status": "completed"}})
    assert (span.started_at, span.attributes["progress.job.queued_seconds"]) == (1001.0, 1.0)


@pytest.mark.parametrize(
    "given", [None, "", "mine", "0" * 32, TRACE[:-1], f"ff-{TRACE}-{WORKER}-01", f"00-{'0' * 32}-{WORKER}-01", 7]
)
def test_a_trace_id_that_is_none_of_w3c_gives_way_to_the_hash_of_the_job(given: object) -> None:
    [span] = spans_of({"facts": {"trace_id": given}, "words": {"status": "completed"}})
    assert f"{span.trace_id:032x}" == sha256(b"job-1").hexdigest()[:32]
    assert span.parent_id is None


def test_a_trace_id_may_be_in_capitals() -> None:
    [span] = spans_of({"facts": {"trace_id": TRACE.upper()}, "words": {"status": "completed"}})
    assert f"{span.trace_id:032x}" == TRACE


def test_an_exemplar_of_a_stage_leads_to_its_span() -> None:
    outcome = merge.apply(
        None, Update("job-1", "i", stage="a", words={"status": "completed"}, said={"stage": "a"}), 1.0
    )
    stage, job = ended_with(outcome)
    assert stage_exemplar(outcome.view, outcome.ended[0]) == {
        "trace_id": f"{stage.trace_id:032x}",
        "span_id": f"{stage.span_id:016x}",
    }
    assert stage.parent_id == job.span_id


def test_an_exemplar_is_at_most_what_openmetrics_allows() -> None:
    assert exemplar(int(TRACE, 16), int(WORKER, 16)) == {"trace_id": TRACE, "span_id": WORKER}
    assert exemplar(0, 1) is None
    assert exemplar(1, 0) is None
    assert exemplar(1 << 512, 1) is None


def test_a_request_without_a_span_has_no_exemplar() -> None:
    assert tracing.exemplar() is None


def test_a_request_has_an_exemplar_if_its_span_is_kept() -> None:
    for flags, expected in ((1, {"trace_id": TRACE, "span_id": WORKER}), (0, None)):
        context = SpanContext(int(TRACE, 16), int(WORKER, 16), is_remote=False, trace_flags=TraceFlags(flags))
        with trace.use_span(NonRecordingSpan(context)):
            assert tracing.exemplar() == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{TRACE}-{WORKER}-01", TRACE),
        (f"00-{TRACE}-{WORKER}-00", None),
        (f"00-{TRACE.upper()}-{WORKER}-01", None),
        (f"00-{TRACE}-{WORKER}-01" + " " * 1000, None),
        ("", None),
    ],
)
def test_the_trace_of_a_request_is_the_one_that_its_sender_keeps(header: str, expected: str | None) -> None:
    assert tracing.trace_id({"traceparent": header}) == expected
    assert tracing.trace_id({}) is None


def test_whatever_order_pushes_arrive_in_the_trace_of_the_first_is_that_of_the_job() -> None:
    steps = [{"current": seq, "seq": seq, "trace_id": f"{seq + 1:032x}"} for seq in range(3)]
    ended = {"words": {"status": "completed"}, "seq": 9}
    for order in permutations(steps):
        assert [span.trace_id for span in spans_of(*order, ended)] == [1]


def test_a_trace_that_the_worker_names_stays_whatever_its_requests_belong_to() -> None:
    named = {"facts": {"trace_id": TRACE}, "current": 1, "seq": 2}
    other = {"trace_id": "a" * 32, "current": 2}
    ended = {"words": {"status": "completed"}, "seq": 9}
    for order in permutations([named, {**other, "seq": 1}, {**other, "seq": 3}]):
        assert [f"{span.trace_id:032x}" for span in spans_of(*order, ended)] == [TRACE]


def test_another_attempt_has_the_trace_of_its_own_first_push() -> None:
    first = {"facts": {"trace_id": TRACE}, "attempt": 1, "words": {"status": "failed"}}
    second = {"trace_id": "a" * 32, "attempt": 2, "current": 1}
    spans = spans_of(first, second, {"words": {"status": "completed"}})
    assert [f"{span.trace_id:032x}" for span in spans] == [TRACE, "a" * 32]


def test_only_one_adapter_knows_what_exports() -> None:
    package = Path(sidecar_package.__file__).parent
    knowing = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"opentelemetry\.(sdk|exporter|proto)|opentelemetry import (sdk|exporter)", path.read_text())
    ]
    assert knowing == ["adapters/tracing.py"]
