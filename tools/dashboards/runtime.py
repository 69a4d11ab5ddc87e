"""The last row of Progress / Sidecar: what the processes use, and what the metrics themselves cost."""

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.colors import bad_from, limit_line
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import About, Query, differ, lines, stack
from tools.dashboards.queries import increase, own, rate, summed
from tools.dashboards.tables import Column, table_of


def runtime() -> Row:
    """Return the row."""
    return Row(
        "Runtime",
        [
            Line(8, [_cpu(), _memory(), _lag()]),
            Line(8, [_files(), _garbage(), _crashes()]),
            Line(8, [_scrapes(), _series(), _overflow()]),
            Line(6, [_builds()]),
        ],
    )


def _each(metric: str) -> Query:
    return Query(own(metric), "{{instance}}")


def _cpu() -> model.Panel:
    about = About(
        "CPU",
        "Cores in use, by replica. A sidecar uses at most one.",
        "Near 1, it is full: add a replica.",
        "percentunit",
    )
    return lines(about, Query(rate(own("process_cpu_seconds_total")), "{{instance}}"), limits=bad_from(0.9))


def _memory() -> model.Panel:
    about = About(
        "Memory",
        "Resident memory, by replica.",
        "Growth without more streams or jobs is a leak: restart it, and report it.",
        "bytes",
    )
    return lines(about, _each("process_resident_memory_bytes"))


def _lag() -> model.Panel:
    about = About(
        "Event loop lag",
        "How late the event loop was, at worst, within 5 s. All requests of the replica wait for it.",
        "Above 0.1 s again and again: add a replica.",
        "s",
    )
    return lines(about, _each("progress_event_loop_lag_seconds"), limits=bad_from(0.1))


def _files() -> model.Panel:
    about = About(
        "Open files",
        "Open files and sockets, by replica, and the lowest limit on them. Each stream is one.",
        "Near the line, raise the limit (ulimit -n).",
        "short",
    )
    limit = Query(f"min({own('process_max_fds')})", "limit")
    return differ(lines(about, _each("process_open_fds"), limit), [limit_line("limit")])


def _garbage() -> model.Panel:
    about = About(
        "Garbage collections",
        "Runs of Python's garbage collector, a second, by generation.",
        "Many of generation 2 come with memory that grows.",
        "ops",
    )
    return lines(
        about, Query(summed(rate(own("python_gc_collections_total")), "generation"), "generation {{generation}}")
    )


def _crashes() -> model.Panel:
    about = About(
        "Crashes of background loops",
        "Loops start again by themselves. A few while Redis restarts are normal.",
        "A steady rate is not: the log says why.",
        "short",
    )
    crashed = summed(increase(own("progress_loop_crashes_total"), "$__rate_interval"), "loop")
    return stack(about, Query(crashed, "{{loop}}"))


def _scrapes() -> model.Panel:
    about = About(
        "Reading of shared values",
        "How long the last reading from the stores took for a scrape, and how old what it read is.",
        "If it is older than a few scrapes, all that is shown of jobs is old: look at the stores.",
        "s",
    )
    age = f"time() - {own('progress_collector_snapshot_timestamp_seconds')}"
    return lines(
        about, Query(own("progress_collector_duration_seconds"), "{{instance}} took"), Query(age, "{{instance}} age")
    )


def _series() -> model.Panel:
    about = About(
        "Jobs without series, and failed readings",
        "Unfinished jobs that have no series of their own because there are too many, and readings for a scrape that"
        " failed.",
        "Jobs without: raise SIDECAR_JOB_SERIES_LIMIT, or leave it: the stuck ones come first. Failed readings: see the"
        " stores.",
        "short",
    )
    return lines(
        about,
        Query(f"max({own('progress_job_series_dropped')})", "jobs without"),
        Query(f"max({own('progress_job_series_limit')})", "jobs with, at most"),
        Query(summed(increase(own("progress_collector_errors_total"), "$__rate_interval")), "failed readings"),
    )


def _overflow() -> model.Panel:
    about = About(
        "Names that became 'other'",
        "How often a job type, stage or kind of item was one too many, and was shown as 'other'.",
        "Above 0, some client puts an id or a date into a name: look for it in GET /v1/jobs.",
        "short",
    )
    folded = summed(increase(own("progress_label_overflow_total"), "$__rate_interval"), "label")
    return stack(about, Query(folded, "{{label}}"))


def _builds() -> model.Panel:
    about = About(
        "Versions",
        "Which program each replica runs, and for how long.",
        "After a deployment every replica should have the same version.",
        "short",
        "-",
    )
    by = ("instance", "version", "revision", "python_version")
    columns = [
        Column("Instance", label="instance"),
        Column("Version", label="version"),
        Column("Revision", label="revision"),
        Column("Python", label="python_version"),
        Column("Up for", expr=f"time() - max by (instance) ({own('process_start_time_seconds')})", looks={"unit": "s"}),
        Column("", expr=f"max by ({', '.join(by)}) ({own('progress_build_info')})"),
    ]
    return table_of(about, columns)
