"""The metrics, judged by what a scrape of them says."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as from_openmetrics
from prometheus_client.parser import text_string_to_metric_families as from_text

from sidecar.adapters.metrics.process import register_process
from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.adapters.metrics.shared import NoPast
from sidecar.app import LOOPS
from sidecar.core import merge
from sidecar.core.errors import StoreRefused, StoreUnavailable
from sidecar.core.job import Reason, Stall, StallReason
from sidecar.core.stalls import Limits, Settling
from sidecar.core.view import View
from sidecar.http.middleware import PUSHES
from sidecar.hub.traffic import Traffic
from sidecar.job_types import JobTypes, shipped
from sidecar.ports import Census, Counts, Metrics
from tests.core.updates import NOON, update, view_of

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CONTRACT = ("sse_connections_total", "sse_redis_misses_total", "db_fallback_total", "sse_db_fallback_total")
METRICS_PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
DEPLOY = Path(__file__).parent.parent / "deploy"


class Counted:
    """A census with these numbers."""

    def __init__(self, counts: Mapping[tuple[str, str], int] | None = None, *jobs: View) -> None:
        self.numbers = dict(counts or {})
        self.stalled: dict[tuple[str, str], int] = {}
        self.settling = Settling()
        self.jobs = list(jobs)

    async def counts(self) -> Counts:
        return Counts(jobs=self.numbers, stalled=self.stalled, settling=self.settling)

    async def outstanding(self, limit: int) -> list[View]:
        return self.jobs[:limit]


class Failing:
    """A census whose store answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def counts(self) -> Counts:
        raise self.error

    async def outstanding(self, limit: int) -> list[View]:
        del limit
        raise self.error


class Silent:
    """A census whose store never answers."""

    async def counts(self) -> Counts:
        await asyncio.Event().wait()
        return Counts()

    async def outstanding(self, limit: int) -> list[View]:
        del limit
        await asyncio.Event().wait()
        return []


class Exposition:
    """What a scrape answered."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self.content_type = content_type
        self.text = body.decode()
        parse = from_openmetrics if content_type.startswith("application/openmetrics-text") else from_text
        self.families: list[Metric] = list(parse(self.text))
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one series, None if it is not there."""
        return self._values.get((name, frozenset(labels.items())))

    def values(self, name: str, label: str) -> dict[str, float]:
        """Return the sums of a name's series by the values of one of their labels."""
        sums: dict[str, float] = {}
        for (known, labels), value in self._values.items():
            if known == name:
                shown = dict(labels)[label]
                sums[shown] = sums.get(shown, 0.0) + value
        return sums


def new_metrics(
    census: Census | None = None, job_types: Sequence[str] = ("default",), loops: Sequence[str] = ()
) -> PrometheusMetrics:
    registry = CollectorRegistry()
    register_process(registry, version="1.2.3", revision="abc123")
    metrics = PrometheusMetrics(registry, job_types, loops)
    metrics.attach(census or Counted(), {"redis": lambda: True, "sql": lambda: False})
    return metrics


async def scraped(metrics: PrometheusMetrics, accept: str | None = None, timeout_seconds: float = 10.0) -> Exposition:
    return Exposition(*await metrics.render(accept, timeout_seconds))


def exercise(metrics: Metrics) -> None:
    """Call every verb once."""
    metrics.pushed("import", Reason.APPLIED)
    metrics.rejected("auth")
    metrics.stage_started("import", "download")
    metrics.stage_finished("import", "download", "completed", 2.0)
    metrics.request_finished("POST", "/v1/jobs/{job_id}", 200, 0.004)
    metrics.stream_opened("sse")
    metrics.stream_closed("sse", "done", 12.0)
    metrics.stream_resumed("replayed")
    metrics.stream_missed()
    metrics.loop_crashed("hub")
    metrics.fell_back("get", "stream", "miss")
    metrics.recorded(3)
    metrics.outbox(5, 4_096, 65_536, 1_700_000_000.0)
    metrics.sample_dropped()
    metrics.job_started("import")
    metrics.job_finished("import", "completed", 3.0)
    metrics.eta_missed("import", 0.1)
    metrics.items_counted("import", "files", 2)
    metrics.request_began()
    metrics.request_ended()
    metrics.store_answered("redis", "get", 0.001)
    metrics.store_failed("redis", "get", "refused")
    metrics.loop_lagged(0.01)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
async def test_the_four_contract_counters_are_there_as_0_before_anything_happened(accept: str) -> None:
    exposition = await scraped(new_metrics(), accept)
    assert {name: exposition.value(name) for name in CONTRACT} == dict.fromkeys(CONTRACT, 0.0)


async def test_every_known_label_set_begins_at_0() -> None:
    exposition = await scraped(new_metrics(loops=["hub"], job_types=["default", "import"]))
    results = {*Reason, "rejected"}
    assert exposition.values("progress_updates_total", "job_type") == {"default": 0, "import": 0, "other": 0}
    assert exposition.values("progress_updates_total", "result") == dict.fromkeys(results, 0)
    assert exposition.values("progress_updates_rejected_total", "reason") == dict.fromkeys(
        ["validation", "auth", "rate_limited", "too_large", "conflict", "unavailable"], 0
    )
    assert exposition.values("progress_stream_connections", "transport") == {"sse": 0, "websocket": 0}
    assert exposition.values("progress_stream_disconnects_total", "reason") == dict.fromkeys(
        ["client", "done", "slow_consumer", "lifetime", "expired", "shutdown", "error"], 0
    )
    assert exposition.values("progress_loop_crashes_total", "loop") == {"hub": 0}
    for outcome in ("completed", "failed", "cancelled", "lost"):
        assert exposition.value("progress_job_duration_seconds_count", job_type="import", outcome=outcome) == 0
    operations = {"update", "update_many", "get", "page", "delete", "since", "timeline", "projects"}
    operations |= {"counts", "outstanding"}
    assert set(exposition.values("progress_store_operation_duration_seconds_count", "operation")) == operations
    assert set(exposition.values("progress_store_errors_total", "operation")) == operations | {"record"}
    labels = {"operation": "outstanding", "surface": "metrics", "reason": "unavailable"}
    assert exposition.value("progress_fallbacks_total", **labels) == 0
    requests = "progress_http_request_duration_seconds_bucket"
    for pushed in PUSHES:
        for code in ("200", "500", "503"):
            assert exposition.value(requests, method="POST", route=pushed, code=code, le="0.25") == 0
    assert exposition.values("progress_label_overflow_total", "label") == {"job_type": 0, "stage": 0, "item": 0}


async def test_the_first_update_of_a_type_brings_its_other_results_at_0() -> None:
    metrics = new_metrics()
    metrics.pushed("import", Reason.APPLIED)
    exposition = await scraped(metrics)
    assert exposition.value("progress_updates_total", job_type="import", result="applied") == 1
    assert exposition.value("progress_updates_total", job_type="import", result="rejected") == 0


async def test_streams_count_while_they_are_open() -> None:
    metrics = new_metrics()
    for _ in range(3):
        metrics.stream_opened("sse")
    metrics.stream_closed("sse", "slow_consumer", 12.0)
    metrics.stream_missed()
    exposition = await scraped(metrics)
    assert exposition.value("progress_stream_connections", transport="sse") == 2
    assert exposition.value("sse_connections_total") == 3
    assert exposition.value("sse_redis_misses_total") == 1
    closed = {"transport": "sse", "reason": "slow_consumer"}
    assert exposition.value("progress_stream_disconnects_total", **closed) == 1


async def test_refusals_and_crashes_count_by_their_reason() -> None:
    metrics = new_metrics()
    metrics.rejected("too_large")
    metrics.rejected("validation", "default")
    metrics.rejected("validation", "invented")
    metrics.loop_crashed("hub")
    exposition = await scraped(metrics)
    assert exposition.value("progress_updates_rejected_total", reason="too_large") == 1
    assert exposition.values("progress_updates_rejected_total", "reason")["validation"] == 2
    assert exposition.value("progress_updates_total", job_type="default", result="rejected") == 1
    assert exposition.value("progress_updates_total", job_type="other", result="rejected") == 2
    assert "invented" not in exposition.text
    assert exposition.value("progress_loop_crashes_total", loop="hub") == 1


async def test_requests_are_timed_by_method_route_and_code() -> None:
    metrics = new_metrics()
    metrics.request_finished("POST", "/v1/jobs/{job_id}", 422, 0.004)
    exposition = await scraped(metrics)
    labels = {"method": "POST", "route": "/v1/jobs/{job_id}", "code": "422"}
    name = "progress_http_request_duration_seconds"
    assert exposition.value(f"{name}_count", **labels) == 1
    assert exposition.value(f"{name}_sum", **labels) == pytest.approx(0.004)
    assert exposition.value(f"{name}_bucket", le="0.0025", **labels) == 0
    assert exposition.value(f"{name}_bucket", le="0.005", **labels) == 1


async def test_methods_that_http_does_not_know_are_other() -> None:
    metrics = new_metrics()
    for number in range(100):
        metrics.request_finished(f"BREW{number}", "/v1/jobs", 405, 0.001)
    exposition = await scraped(metrics)
    assert exposition.values("progress_http_request_duration_seconds_count", "method") == {"POST": 0, "other": 100}


async def test_the_buckets_are_those_of_the_contract() -> None:
    metrics = new_metrics()
    exercise(metrics)
    exposition = await scraped(metrics)
    requests = exposition.values("progress_http_request_duration_seconds_bucket", "le")
    stages = exposition.values("progress_stage_duration_seconds_bucket", "le")
    assert list(map(float, requests)) == [
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        float("inf"),
    ]
    assert list(map(float, stages)) == [
        *(1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400),
        float("inf"),
    ]


async def test_a_clock_that_was_set_back_takes_nothing_off_a_sum() -> None:
    metrics = new_metrics()
    for seconds in (5.0, -3.0, float("nan")):
        metrics.stage_finished("default", "download", "completed", seconds)
    exposition = await scraped(metrics)
    labels = {"job_type": "default", "stage": "download", "outcome": "completed"}
    assert exposition.value("progress_stage_duration_seconds_sum", **labels) == 5.0
    assert exposition.value("progress_stage_duration_seconds_count", **labels) == 3


async def test_an_inventing_client_gets_50_types_and_300_stages_in_all_and_the_rest_is_other() -> None:
    metrics = new_metrics()
    for job_type in range(1_000):
        metrics.pushed(f"type-{job_type}", Reason.APPLIED)
        for stage in range(100):
            metrics.stage_finished(f"type-{job_type}", f"stage-{stage}", "completed", 1.0)
    exposition = await scraped(metrics)
    updates = exposition.values("progress_updates_total", "job_type")
    assert updates == {"default": 0, "other": 950, **{f"type-{number}": 1 for number in range(50)}}
    stages = exposition.values("progress_stage_duration_seconds_count", "stage")
    assert stages == {"other": 100_000 - 300, **{f"stage-{number}": 10 for number in range(30)}}
    assert len(exposition.values("progress_stage_duration_seconds_count", "job_type")) == 51
    overflow = exposition.values("progress_label_overflow_total", "label")
    assert overflow == {"job_type": 950 * 101, "stage": 100_000 - 300, "item": 0}


async def test_a_type_gets_30_stages() -> None:
    metrics = new_metrics()
    for stage in range(100):
        metrics.stage_finished("default", f"stage-{stage}", "completed", 1.0)
    stages = (await scraped(metrics)).values("progress_stage_duration_seconds_count", "stage")
    assert stages == {"other": 70, **{f"stage-{number}": 1 for number in range(30)}}


async def test_a_scrape_stays_far_below_what_prometheus_takes_whatever_clients_invent() -> None:
    declared = JobTypes(shipped(), Limits())
    registry = CollectorRegistry()
    register_process(registry, version="1.2.3", revision="abc123")
    metrics = PrometheusMetrics(registry, sorted(declared.names), LOOPS, stages_by_type=declared.stages)
    invented = [f"type-{number}" for number in range(100)]
    for job_type in (*sorted(declared.names), *invented):
        for number in range(100):
            metrics.items_counted(job_type, f"item-{number}", 1)
            for outcome in ("completed", "failed", "cancelled", "skipped", "lost"):
                metrics.stage_finished(job_type, f"stage-{number}", outcome, 1.0)
    job = view_of(update("w", 1, current=1, words={"total": 9}))
    census = Counted({(each, "running"): 9 for each in invented}, *[job] * 500)
    metrics.attach(census, {"redis": lambda: True}, declared.limits, 500)
    exposition = await scraped(metrics)
    samples = sum(len(family.samples) for family in exposition.families)
    assert 20_000 < samples < 60_000
    compose = yaml.safe_load((DEPLOY / "compose" / "prometheus" / "prometheus.yml").read_text())
    monitor = yaml.safe_load((DEPLOY / "kubernetes" / "pod-monitor" / "pod-monitor.yaml").read_text())
    limits = [each["sample_limit"] for each in compose["scrape_configs"] if "sample_limit" in each]
    assert 2 * samples < min(*limits, monitor["spec"]["sampleLimit"])


async def test_a_stage_is_there_at_0_before_it_first_ends() -> None:
    metrics = PrometheusMetrics(CollectorRegistry(), ["import"], stages_by_type={"import": ("read", "write")})
    metrics.stage_started("import", "found")
    metrics.stage_started("invented", "begun")
    exposition = await scraped(metrics)
    name = "progress_stage_duration_seconds_count"
    assert exposition.values(name, "stage") == {"read": 0, "write": 0, "found": 0, "begun": 0}
    assert exposition.values(name, "outcome") == {"completed": 0, "failed": 0, "cancelled": 0}
    assert exposition.value(name, job_type="invented", stage="begun", outcome="failed") == 0
    assert exposition.values("progress_label_overflow_total", "label")["stage"] == 0


async def test_replicas_of_different_pasts_show_the_same_types_of_what_they_read_alike() -> None:
    old = {(f"old-{number}", "running"): 1 for number in range(50)}
    now = {(f"new-{number}", "running"): 10 for number in range(60)}
    census = Counted(old)
    lived, restarted = new_metrics(census), new_metrics(census)
    await scraped(lived)
    census.numbers = now
    told = [(await scraped(each)).values("progress_jobs_active", "job_type") for each in (lived, restarted)]
    together = {name: max(each.get(name, 0) for each in told) for name in told[0] | told[1]}
    assert sum(together.values()) == 600
    assert together["other"] == 100


async def test_a_job_has_the_same_type_in_every_replica() -> None:
    old = {(f"old-{number}", "running"): 1 for number in range(50)}
    census = Counted(old)
    lived, restarted = new_metrics(census), new_metrics(census)
    await scraped(lived)
    census.numbers, census.jobs = {("new", "running"): 1}, [view_of(update("w", 1, job_type="new", current=1))]
    for each in (lived, restarted):
        each.attach(census, {}, lambda _: Limits(), 10)
        assert (await scraped(each)).values("progress_job_info", "job_type") == {"new": 1}


async def test_declared_job_types_take_no_place_of_the_discovered() -> None:
    metrics = new_metrics(job_types=["default", "import", "export"])
    for number in range(50):
        metrics.pushed(f"type-{number}", Reason.APPLIED)
    metrics.pushed("import", Reason.APPLIED)
    exposition = await scraped(metrics)
    assert exposition.values("progress_updates_total", "job_type")["other"] == 0
    assert exposition.values("progress_updates_total", "job_type")["import"] == 1


async def test_a_stage_name_that_is_no_text_does_not_fail_the_scrape() -> None:
    metrics = new_metrics()
    metrics.stage_finished("default", 'a\ud800"\n', "completed", 1.0)
    exposition = await scraped(metrics)
    assert exposition.values("progress_stage_duration_seconds_count", "stage") == {'a?"\n': 1}


async def test_active_jobs_are_the_unfinished_ones_of_the_census() -> None:
    unfinished = {"queued": 1, "running": 20, "paused": 300, "blocked": 4_000}
    finished = {"completed": 5, "failed": 5, "cancelled": 5, "lost": 5}
    counts = {("import", status): number for status, number in (unfinished | finished).items()}
    exposition = await scraped(new_metrics(Counted(counts)))
    active = exposition.values("progress_jobs_active", "job_type")
    assert active == {"default": 0, "other": 0, "import": 4_321}
    assert exposition.value("progress_store_up", store="redis") == 1


async def test_active_jobs_of_too_many_types_are_other_but_none_is_left_out() -> None:
    counts = {(f"type-{number}", "running"): number + 1 for number in range(200)}
    exposition = await scraped(new_metrics(Counted(counts)))
    active = exposition.values("progress_jobs_active", "job_type")
    assert len(active) == 52
    assert sum(active.values()) == sum(counts.values())
    assert active["type-199"] == 200, "the types with most jobs come first"
    assert exposition.value("progress_label_overflow_total", label="job_type") == 0, "a scrape is no update"


async def test_a_type_whose_last_job_left_the_store_stays_at_0() -> None:
    census = Counted({("import", "running"): 1})
    metrics = new_metrics(census)
    await scraped(metrics)
    census.numbers = {}
    exposition = await scraped(metrics)
    assert exposition.value("progress_jobs_active", job_type="import") == 0


@pytest.mark.parametrize(
    "census",
    [Failing(StoreUnavailable("away")), Failing(StoreRefused("no")), Failing(TimeoutError()), Silent()],
    ids=["away", "refused", "late", "silent"],
)
async def test_a_scrape_succeeds_while_the_store_is_away(census: Census) -> None:
    metrics = new_metrics(census)
    exercise(metrics)
    exposition = await scraped(metrics, timeout_seconds=0.02)
    assert exposition.value("progress_store_up", store="sql") == 0
    assert exposition.values("progress_jobs_active", "job_type") == {}
    assert exposition.value("progress_updates_total", job_type="import", result="applied") == 1


@pytest.mark.parametrize("timeout_seconds", [1.0, 3_600.0])
async def test_a_silent_store_delays_a_scrape_by_half_its_time_and_a_second_at_most(timeout_seconds: float) -> None:
    async with asyncio.timeout(min(timeout_seconds, 5.0)):
        exposition = await scraped(new_metrics(Silent()), timeout_seconds=timeout_seconds)
    assert exposition.values("progress_jobs_active", "job_type") == {}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
    ],
)
async def test_openmetrics_is_given_to_who_asks_for_it(accept: str) -> None:
    exposition = await scraped(new_metrics(), accept)
    assert exposition.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert exposition.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "accept",
    [
        *(None, "", "*/*", "text/html", "text/plain", "text/plain;version=0.0.4", "application/json"),
        *("application/openmetrics-text;version=abc", "text/plain;version=abc"),
        *('application/openmetrics-text;version="1.0.0"', "application/openmetrics-text;version=1..0"),
        *("application/openmetrics-text;version=2.\udc80", "application/openmetrics-text;version=2.é"),
        "application/openmetrics-text;version=2\r\n.0",
        "text/plain;version=" + "9" * 10_000 + "x",
        ";;;,,,===",
    ],
)
async def test_any_other_accept_header_gets_text(accept: str | None) -> None:
    exposition = await scraped(new_metrics(), accept)
    assert exposition.content_type == TEXT
    assert exposition.value("sse_connections_total") == 0


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
async def test_there_are_no_created_series(accept: str) -> None:
    metrics = new_metrics()
    exercise(metrics)
    exposition = await scraped(metrics, accept)
    assert "_created" not in exposition.text


async def test_the_build_is_told() -> None:
    exposition = await scraped(new_metrics())
    assert exposition.values("progress_build_info", "version") == {"1.2.3": 1}
    assert exposition.values("progress_build_info", "revision") == {"abc123": 1}


async def test_the_process_the_interpreter_and_its_collector_are_told_of() -> None:
    exposition = await scraped(new_metrics())
    names = {family.name for family in exposition.families}
    assert names > {"process_resident_memory_bytes", "python_info", "python_gc_collections"}


async def test_what_is_sent_to_watchers_is_told_by_transport() -> None:
    metrics, traffic = new_metrics(), Traffic()
    traffic.sent, traffic.coalesced = 7, 3
    for seconds in (-1.0, 0.002, 0.0025, 99.0):
        traffic.delivered(seconds, watchers=2)
    metrics.attach(Counted(), {}, traffic={"sse": traffic})
    exposition = await scraped(metrics)
    assert exposition.values("progress_stream_events_sent_total", "transport") == {"sse": 7}
    assert exposition.values("progress_stream_events_coalesced_total", "transport") == {"sse": 3}
    buckets = exposition.values("progress_stream_delivery_seconds_bucket", "le")
    assert {le: buckets[le] for le in ("0.001", "0.0025", "30.0", "+Inf")} == {
        "0.001": 2,
        "0.0025": 6,
        "30.0": 6,
        "+Inf": 8,
    }
    spent = exposition.value("progress_stream_delivery_seconds_sum", transport="sse")
    assert spent == pytest.approx(2 * (0.002 + 0.0025 + 99))


async def test_job_that_has_missed_its_deadline_is_told_of_although_its_worker_falls_silent() -> None:
    metrics, deadline = new_metrics(), time.time() - 100
    began = view_of(update("w", 1, current=1, facts={"deadline_at": deadline}))
    silent = merge.stall(began, Stall(StallReason.SILENT, NOON, 300.0), NOON + 300).view
    census = Counted({("default", "running"): 1}, silent)
    metrics.attach(census, {}, lambda _: Limits(), 10, NoPast(), {})
    name = "progress_job_stalled_since_timestamp_seconds"
    assert (await scraped(metrics)).values(name, "reason") == {"silent": NOON, "deadline": pytest.approx(deadline)}


async def everything(accept: str | None = None) -> Exposition:
    """Return a scrape of a sidecar in which everything there is to tell has happened."""
    metrics = new_metrics()
    exercise(metrics)
    stuck = view_of(update("w", 1, current=1, words={"total": 9}), update("w", 2, current=5))
    stuck = merge.stall(stuck, Stall(StallReason.SILENT, NOON, 300.0), NOON + 300).view
    past = NoPast({"default": 1.0}, {"default": 2.0}, {"default": 3.0})
    census = Counted({("default", "running"): 1}, stuck)
    metrics.attach(census, {"redis": lambda: True}, lambda _: Limits(), 10, past, {"sse": Traffic()})
    return await scraped(metrics, accept)


async def test_prometheus_finds_nothing_to_criticise() -> None:
    exposition = await everything()
    promtool = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(promtool.communicate(exposition.text.encode()), 20)
    assert (promtool.returncode, told.decode()) == (0, "")


async def test_the_page_lists_exactly_the_families_there_are() -> None:
    exposition = await everything(OPENMETRICS)
    assert documented() == {exposed(family) for family in exposition.families}


def exposed(family: Metric) -> tuple[str, str, frozenset[str]]:
    """Return a family's name as queries write it, its type and its labels."""
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    return family.name + suffix, family.type, frozenset(labels)


def documented() -> set[tuple[str, str, frozenset[str]]]:
    """Return the rows of the page's tables: name, type and labels."""
    rows = [line.split("|") for line in METRICS_PAGE.read_text().splitlines() if line.startswith("| `")]
    return {
        (name.strip(" `"), kind.strip(), frozenset(labels.replace("`", "").replace(",", " ").split()))
        for _, name, kind, labels, *_ in rows
    }


async def test_outstanding_jobs_have_series_of_their_own_up_to_a_limit() -> None:
    jobs = [view_of(update("w", 1, current=n, words={"total": 4})) for n in (1, 2, 3)]
    paused = view_of(update("w", 1, words={"status": "paused"}))
    metrics = new_metrics()
    metrics.attach(Counted({("default", "running"): 9}, paused, *jobs), {}, lambda _: Limits(no_progress_seconds=7), 2)
    exposition = await scraped(metrics)
    assert exposition.value("progress_job_series_limit") == 2
    assert exposition.value("progress_job_series_dropped") == 7
    assert exposition.value("progress_stall_threshold_seconds", job_type="default") == 7
    labels = {"job_id": "job-1", "job_type": "default"}
    assert exposition.value("progress_job_last_advance_timestamp_seconds", **labels) == NOON
    assert exposition.values("progress_job_info", "status") == {"paused": 1, "running": 1}


async def test_a_job_that_is_stuck_is_told_with_what_it_is_stuck_at() -> None:
    exposition = await everything()
    labels = {"job_id": "job-1", "job_type": "default", "reason": "silent"}
    assert exposition.value("progress_job_stalled_since_timestamp_seconds", **labels) == NOON


@pytest.mark.parametrize(("status", "told"), [("running", 600.0), ("paused", float("inf")), ("queued", float("inf"))])
async def test_job_whose_clocks_stand_has_no_threshold_in_force(status: str, told: float) -> None:
    metrics = new_metrics()
    metrics.attach(Counted({}, view_of(update("w", 1, words={"status": status}))), {}, lambda _: Limits(), 10)
    exposition = await scraped(metrics)
    threshold = exposition.value("progress_job_stall_threshold_seconds", job_id="job-1", job_type="default")
    assert threshold == told


async def test_stuck_jobs_are_told_by_type_and_reason() -> None:
    census = Counted({("import", "running"): 5, ("import", "queued"): 2})
    census.stalled = {("import", "silent"): 3}
    exposition = await scraped(new_metrics(census))
    assert exposition.value("progress_jobs_stalled", job_type="import", reason="silent") == 3
    assert exposition.value("progress_jobs_stalled", job_type="import", reason="overdue") == 0
    assert exposition.value("progress_jobs_queued", job_type="import") == 2


async def test_begins_ends_items_and_stores_are_counted() -> None:
    metrics = new_metrics()
    metrics.job_started("default")
    metrics.job_finished("default", "completed", 30.0)
    metrics.job_finished("default", "cancelled", None)
    metrics.items_counted("default", "files", 3)
    metrics.request_began()
    metrics.store_answered("redis", "get", 0.002)
    metrics.store_failed("sql", "page", "unavailable")
    metrics.loop_lagged(0.25)
    metrics.allow_streams(9)
    exposition = await scraped(metrics)
    assert exposition.value("progress_jobs_started_total", job_type="default") == 1
    assert exposition.value("progress_jobs_finished_total", job_type="default", outcome="cancelled") == 1
    assert exposition.value("progress_job_duration_seconds_sum", job_type="default", outcome="completed") == 30
    ends = exposition.values("progress_job_duration_seconds_count", "outcome")
    assert ends == {"completed": 1, "failed": 0, "cancelled": 0, "lost": 0}
    assert exposition.value("progress_items_total", job_type="default", item="files") == 3
    assert exposition.value("progress_http_requests_in_flight") == 1
    assert exposition.value("progress_store_operation_duration_seconds_count", store="redis", operation="get") == 1
    assert exposition.value("progress_store_errors_total", store="sql", operation="page", kind="unavailable") == 1
    assert exposition.value("progress_event_loop_lag_seconds") == 0.25
    assert exposition.value("progress_stream_connections_limit") == 9


async def test_client_that_invents_items_gets_30_kinds_and_the_rest_is_other() -> None:
    metrics = new_metrics()
    for number in range(100):
        metrics.items_counted("default", f"kind-{number}", 1)
    exposition = await scraped(metrics)
    assert exposition.values("progress_items_total", "item")["other"] == 70
    assert exposition.value("progress_label_overflow_total", label="item") == 70


async def test_scrape_that_cannot_read_the_stores_says_so() -> None:
    exposition = await scraped(new_metrics(Failing(StoreUnavailable("away"))))
    assert exposition.value("progress_collector_errors_total") == 1
    assert exposition.value("progress_collector_snapshot_timestamp_seconds") == 0


async def test_exemplars_lead_to_the_spans_of_requests_and_stages() -> None:
    metrics = new_metrics()
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    metrics.request_finished("GET", "/v1/jobs", 200, 0.2, ids)
    metrics.stage_finished("default", "read", "completed", 3.0, ids)
    exposition = await scraped(metrics, OPENMETRICS)
    told = {family.name: s.exemplar.labels for family in exposition.families for s in family.samples if s.exemplar}
    assert told == dict.fromkeys(["progress_http_request_duration_seconds", "progress_stage_duration_seconds"], ids)


async def test_no_threshold_is_in_force_while_things_settle() -> None:
    census = Counted({}, view_of(update("w", 1, current=1)))
    census.settling = Settling(time.time() - 3599, time.time() + 1e9)
    metrics = new_metrics()
    metrics.attach(census, {}, lambda _: Limits(), 10)
    exposition = await scraped(metrics)
    threshold = exposition.value("progress_job_stall_threshold_seconds", job_id="job-1", job_type="default")
    assert threshold == float("inf")
    census.settling = Settling(time.time() - 3601, time.time() + 1e9)  # it might have got on long ago
    exposition = await scraped(metrics)
    assert exposition.value("progress_job_stall_threshold_seconds", job_id="job-1", job_type="default") == 600


async def test_types_of_the_past_take_no_place_and_are_told_under_other() -> None:
    old = {f"old-{number}": float(number) for number in range(100, 300)}
    metrics = new_metrics(Counted({("import", "queued"): 1}), job_types=["default", "nightly"])
    past = NoPast(queued={**old, "import": 9.0}, succeeded={**old, "nightly": 7.0}, expected={"nightly": 60.0})
    metrics.attach(metrics._census or Counted(), {}, past=past)
    exposition = await scraped(metrics)
    queued = exposition.values("progress_jobs_queued_oldest_timestamp_seconds", "job_type")
    assert queued == {"import": 9, "other": 100}, "the oldest of those that have no name of their own"
    succeeded = exposition.values("progress_last_success_timestamp_seconds", "job_type")
    assert succeeded == {"nightly": 7, "other": 299}, "the last of them"
    for number in range(49):
        metrics.pushed(f"new-{number}", Reason.APPLIED)
    assert (await scraped(metrics)).values("progress_updates_total", "job_type")["other"] == 0


async def test_since_when_jobs_wait_and_when_one_got_through_is_told() -> None:
    metrics = new_metrics()
    metrics.attach(Counted({}), {}, past=NoPast({"default": 5.0}, {"default": 7.0}, {"default": 60.0}))
    exposition = await scraped(metrics)
    assert exposition.value("progress_jobs_queued_oldest_timestamp_seconds", job_type="default") == 5
    assert exposition.value("progress_last_success_timestamp_seconds", job_type="default") == 7
    assert exposition.value("progress_expected_success_interval_seconds", job_type="default") == 60
