"""Progress / Sidecar, which tells whether the service is healthy: how it is now, and what comes in."""

from typing import Any

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.colors import GREEN, bad_from
from tools.dashboards.frame import Frame, dashboard
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import About, Query, lines, now, number, stack
from tools.dashboards.queries import PUSHES, REQUESTS, known, own, quantile, rate, ratio, summed, typed
from tools.dashboards.runtime import runtime
from tools.dashboards.stores import history, oldest_seconds, stores, stores_now
from tools.dashboards.streams import streams

FRAME = Frame(
    "progress-sidecar",
    "Is the sidecar itself healthy? What it takes in, sends out, stores, and uses.",
    "now-1h",
    "30s",
    shows_restarts=True,
)

SHARES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))


def sidecar() -> dict[str, Any]:
    """Return the dashboard."""
    return dashboard(FRAME, [_now(), _ingest(), streams(), stores(), history(), runtime()])


def _now() -> Row:
    return Row("Now", [Line(4, [_replicas(), stores_now(), _errors(), _slow(), _watchers(), _waits()])])


def _replicas() -> model.Panel:
    about = About(
        "Replicas",
        "Replicas that answer Prometheus, and those that it knows of.",
        "Fewer than you started: look at the ones that are missing, their log first.",
        "short",
        "0",
    )
    return number(about, now(summed(own("up")), "answer"), now(f"count({own('up')})", "known"))


def _errors() -> model.Panel:
    about = About(
        "Errors",
        "The share of all requests that were answered 5xx: our fault, or a store's.",
        "Above 0, look at the stores below, then at the log.",
        "percentunit",
        "no request",
    )
    failed = summed(rate(own(f"{REQUESTS}_count", 'code=~"5.."')))
    errors = ratio(failed, summed(rate(own(f"{REQUESTS}_count"))))
    return number(about, now(errors), colors=bad_from(0.005, 0.0001), decimals=2)


def _slow() -> model.Panel:
    about = About(
        "Pushes, p95",
        "Nineteen of twenty pushes are answered within this time; batches, which may be large, count, too.",
        "Above 0.25 s it spends the budget of Progress / SLO: look at the stores and at the event loop.",
        "s",
        "no push",
    )
    return number(
        about, now(known(quantile(0.95, own(f"{REQUESTS}_bucket", PUSHES)))), colors=bad_from(0.25, 0.1), decimals=1
    )


def _watchers() -> model.Panel:
    about = About(
        "Watchers",
        "Browsers and others that are connected now.",
        "Near the limit (see 'Open streams'), new ones are told to come again later: add a replica.",
        "short",
        "not known",
    )
    return number(about, now(summed(own("progress_stream_connections"))))


def _waits() -> model.Panel:
    about = About(
        "Waits for SQL",
        "How long the oldest line of a timeline has waited to be written to SQL. It is safe in Redis meanwhile.",
        "Above a minute SQL is away or too slow: see 'History'.",
        "s",
    )
    return number(about, now(oldest_seconds()), colors=bad_from(60, 10), decimals=1)


def _ingest() -> Row:
    first = [_push_rate(), _push_times(), _results()]
    second = [_rejections(), _routes(), _codes(), _under_way()]
    return Row("Ingest", [Line(8, first), Line(8, second)])


def _push_rate() -> model.Panel:
    about = About(
        "Pushes",
        "Requests that report progress, a second, by route. A batch is one request.",
        "A rate that doubles without more jobs is a worker that reports too often, or repeats itself.",
        "reqps",
    )
    return lines(about, Query(summed(rate(own(f"{REQUESTS}_count", PUSHES)), "route"), "{{route}}"))


def _push_times() -> model.Panel:
    about = About(
        "Duration of pushes",
        "From a request's headers to the finished answer; a dot is one request, with its trace. The line is the 250 ms"
        " of the objective.",
        "If p99 alone is high, it is a store that stutters; if p50 is, too, it is load.",
        "s",
    )
    buckets = own(f"{REQUESTS}_bucket", PUSHES)
    queries = [Query(quantile(share, buckets), name, has_exemplars=True) for share, name in SHARES]
    return lines(about, *queries, limits=bad_from(0.25))


def _results() -> model.Panel:
    about = About(
        "Updates, by result",
        "What became of updates. 'applied' is the normal case.",
        "'duplicate': clients send again because answers reach them late. 'conflict': two processes under one writer."
        " 'late': a worker goes on after it said that it was done.",
        "ops",
    )
    query = Query(summed(rate(typed("progress_updates_total")), "result"), "{{result}}")
    return stack(about, query, colors={"applied": GREEN})


def _rejections() -> model.Panel:
    about = About(
        "Refused pushes, by reason",
        "Requests to report progress that were refused.",
        "'unavailable' is ours: look at the stores. The others are a client's mistake, and its answers name the field.",
        "reqps",
    )
    return stack(about, Query(summed(rate(own("progress_updates_rejected_total")), "reason"), "{{reason}}"))


def _routes() -> model.Panel:
    about = About(
        "Duration by route, p95",
        "How long every kind of request takes. Streams are not in it.",
        "Reads that are slow hurt watchers; pushes that are slow hurt workers.",
        "s",
    )
    slow = quantile(0.95, own(f"{REQUESTS}_bucket"), "method", "route")
    return lines(about, Query(slow, "{{method}} {{route}}", has_exemplars=True))


def _codes() -> model.Panel:
    about = About(
        "Answers, by status",
        "All requests by the status of their answer.",
        "5xx is ours, 4xx a client's.",
        "reqps",
    )
    return lines(about, Query(summed(rate(own(f"{REQUESTS}_count")), "code"), "{{code}}"))


def _under_way() -> model.Panel:
    about = About(
        "Requests under way",
        "Requests that have begun and are not answered, by replica; streams until they begin.",
        "More of them without more requests: a store hangs.",
        "short",
    )
    return lines(about, Query(own("progress_http_requests_in_flight"), "{{instance}}"))
