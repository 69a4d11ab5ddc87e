"""The row on streams of Progress / Sidecar."""

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.colors import limit_line
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import About, Query, differ, lines, p50_and_p95, stack
from tools.dashboards.queries import own, rate, summed


def streams() -> Row:
    """Return the row."""
    first = [_open(), _ended(), _delivery()]
    second = [_events(), _resumed(), _opened(), _stays()]
    return Row("Streams", [Line(8, first), Line(8, second)])


def _open() -> model.Panel:
    about = About(
        "Open streams",
        "Streams that are open, by transport, and how many may be.",
        "Near the dashed line, add a replica or raise SIDECAR_MAX_STREAMS.",
        "short",
    )
    open_now = Query(summed(own("progress_stream_connections"), "transport"), "{{transport}}")
    limit = Query(summed(own("progress_stream_connections_limit")), "limit")
    return differ(lines(about, open_now, limit), [limit_line("limit")])


def _ended() -> model.Panel:
    about = About(
        "Streams that ended, by reason",
        "Why streams ended, a second. 'client', 'done' and 'lifetime' are normal.",
        "'slow_consumer' and 'error': look at the watchers' network, a proxy, or our log.",
        "ops",
    )
    return stack(about, Query(summed(rate(own("progress_stream_disconnects_total")), "reason"), "{{reason}}"))


def _delivery() -> model.Panel:
    about = About(
        "Time to watchers",
        "The time from a change until it was sent to those who watch it.",
        "Above a second people see the page lag: look at the event loop, and at how many streams a replica has.",
        "s",
        "nobody watches",
    )
    return lines(about, *p50_and_p95(own("progress_stream_delivery_seconds_bucket"), "transport"))


def _events() -> model.Panel:
    about = About(
        "Changes sent",
        "Changes that were sent, and those that were left out because a newer one of the same job took their place.",
        "Many left out are readers that are slower than the jobs change; they still see the newest state.",
        "ops",
    )
    sent = summed(rate(own("progress_stream_events_sent_total")), "transport")
    left_out = summed(rate(own("progress_stream_events_coalesced_total")), "transport")
    return lines(about, Query(sent, "{{transport}} sent"), Query(left_out, "{{transport}} left out"))


def _resumed() -> model.Panel:
    about = About(
        "Watches that began, by how",
        "'replayed': told what they had missed. 'snapshot': new. 'unknown_cursor': they got the whole state again.",
        "Many unknown cursors cost most: Redis was restarted, or clients are away for hours.",
        "ops",
    )
    return stack(about, Query(summed(rate(own("progress_stream_resumes_total")), "result"), "{{result}}"))


def _opened() -> model.Panel:
    about = About(
        "Event streams opened, and reads that missed",
        "Event streams that were opened, stream reads for which Redis held nothing, and those that SQL served.",
        "Many opened: a proxy cuts idle connections. Steady misses: a page watches jobs that nobody reports.",
        "ops",
    )
    counted = (
        ("sse_connections_total", "opened"),
        ("sse_redis_misses_total", "not in Redis"),
        ("sse_db_fallback_total", "served by SQL"),
    )
    return lines(about, *(Query(summed(rate(own(metric))), name) for metric, name in counted))


def _stays() -> model.Panel:
    about = About(
        "How long streams stay",
        "How long streams had been open when they ended.",
        "Many of the same length are cut by a proxy's time-out; see docs/reverse-proxies.md.",
        "s",
        "none ended",
    )
    return lines(about, *p50_and_p95(own("progress_stream_connection_duration_seconds_bucket"), "transport"))
