"""The tables that list jobs, and those that list job types: more than one dashboard shows them."""

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards import links
from tools.dashboards.colors import CLEAR, RED, bad_from, good_from, steps
from tools.dashboards.panels import About
from tools.dashboards.queries import (
    RANGE,
    age_against_limit,
    increase,
    known,
    one_each,
    per_job,
    quantile,
    ratio,
    shared,
    since,
    summed,
    typed,
)
from tools.dashboards.tables import COLORED_ROW, COLORED_TEXT, GAUGE_CELL, Column, table_of

FIRING = (
    'ALERTS{alertstate="firing", alertname=~"Progress.+", job=~"$job", instance=~"$instance|", job_type=~"$job_type|"}'
)
"""Alerts that fire. Many concern all replicas, or all types, and lack that label: `|` finds these, too."""

DURATION = {"unit": "s", "decimals": 1}
STALLED_ROW = steps((None, CLEAR), (0.75, "rgba(242, 204, 12, 0.25)"), (1, "rgba(224, 47, 68, 0.35)"))

JOB_LINKS = [
    links.plain(links.to_job("${__data.fields.Job}", "${__data.fields.Type}")),
    links.plain(links.to_live_page("/jobs/${__data.fields.Job}")),
]


def active_jobs(about: About) -> model.Panel:
    """Return the table of jobs that have series of their own, those that are stalled for longest first."""
    ends = per_job("progress_job_estimated_end_timestamp_seconds")
    age = since(per_job("progress_job_last_advance_timestamp_seconds"))
    columns = [
        Column("Job", label="job_id", looks={"links": JOB_LINKS, "custom_minWidth": 220}),
        Column("Type", label="job_type", looks={"links": [links.plain(links.to_type("${__value.raw}"))]}),
        Column("Stage", label="stage"),
        Column("Status", label="status"),
        Column("Done", expr=per_job("progress_job_completion_ratio"), looks=_DONE),
        Column("Since progress", expr=age, looks=DURATION),
        Column("Of its limit", expr=age_against_limit(), looks=_OF_LIMIT),
        Column("Stalled", label="reason"),
        Column("Stalled for", expr=_stalled_for(), looks=_STALLED_FOR),
        Column("Since last word", expr=since(per_job("progress_job_last_update_timestamp_seconds")), looks=DURATION),
        Column("Running for", expr=since(per_job("progress_job_started_timestamp_seconds")), looks=DURATION),
        Column("Time left", expr=f"{ends} - time()", looks=DURATION | {"noValue": "unknown"}),
        Column("Project", label="project"),
        Column("", expr=_info()),  # for its labels; it is always 1
        Column("Deployment", label="job"),
    ]
    return table_of(about, columns, sort_by=("Stalled for", "Of its limit"))


def _info() -> str:
    return one_each(shared(typed("progress_job_info"), "job_id", "job_type", "project", "stage", "status"))


def _stalled_for() -> str:
    stalled = typed("progress_job_stalled_since_timestamp_seconds")
    return since(one_each(shared(stalled, "job_id", "job_type", "reason")))


def job_types(about: About) -> model.Panel:
    """Return the table of job types: how many run, how they ended, how long they take."""
    ended = typed("progress_jobs_finished_total", 'outcome!="cancelled"')
    failed = typed("progress_jobs_finished_total", 'outcome=~"failed|lost"')
    took = typed("progress_job_duration_seconds_bucket", 'outcome="completed"')
    completed = typed("progress_jobs_finished_total", 'outcome="completed"')
    by = ("job", "job_type")
    columns = [
        Column("Type", label="job_type", looks={"links": [links.plain(links.to_type("${__value.raw}"))]}),
        Column("Active", expr=shared(typed("progress_jobs_active"), "job_type")),
        Column("Queued", expr=shared(typed("progress_jobs_queued"), "job_type")),
        Column("Oldest waits", expr=_waits(), looks=DURATION | {"noValue": "-"}),
        Column("Stalled", expr=summed(_stalled(), *by), looks=_red_from(1)),
        Column("Failed or lost", expr=summed(increase(failed), *by), looks=_red_from(1)),
        Column("Success", expr=ratio(summed(increase(completed), *by), summed(increase(ended), *by)), looks=_SUCCESS),
        Column("p50", expr=known(quantile(0.5, took, *by, window=RANGE)), looks=DURATION),
        Column("p95", expr=known(quantile(0.95, took, *by, window=RANGE)), looks=DURATION),
        Column("Since success", expr=_since_success(), looks=DURATION | {"noValue": "never"}),
        Column(
            "Success expected every",
            expr=shared(typed("progress_expected_success_interval_seconds"), "job_type"),
            looks=DURATION | {"noValue": "-"},
        ),
        Column(
            "No progress for at most",
            expr=shared(typed("progress_stall_threshold_seconds"), "job_type"),
            looks=DURATION,
        ),
        Column(
            "Silent for at most", expr=shared(typed("progress_heartbeat_threshold_seconds"), "job_type"), looks=DURATION
        ),
        Column("Waits for at most", expr=shared(typed("progress_queue_threshold_seconds"), "job_type"), looks=DURATION),
        Column("Deployment", label="job"),
    ]
    return table_of(about, columns, sort_by=("Active",))


def stages(about: About, only: str = "") -> model.Panel:
    """Return the table of stages with how long they took; `only` is what is added to every query to leave some out."""
    took, by = "progress_stage_duration_seconds", ("job_type", "stage")
    buckets = typed(f"{took}_bucket", 'outcome="completed"')
    columns = [
        Column("Type", label="job_type"),
        Column("Stage", label="stage"),
        Column("Finished", expr=f"{summed(increase(typed(f'{took}_count')), *by)} > 0{only}"),
        Column("p50", expr=known(quantile(0.5, buckets, *by, window=RANGE)) + only, looks=DURATION),
        Column("p95", expr=known(quantile(0.95, buckets, *by, window=RANGE)) + only, looks=DURATION),
    ]
    return table_of(about, columns, sort_by=("p95",))


def alerts(about: About) -> model.Panel:
    """Return the table of alerts that fire."""
    columns = [
        Column("Alert", label="alertname", looks={"custom_minWidth": 220}),
        Column("Severity", label="severity", looks={"mappings": _severities(), "custom_cellOptions": COLORED_TEXT}),
        Column("Type", label="job_type"),
        Column("Job", label="job_id", looks={"links": JOB_LINKS}),
        Column("Instance", label="instance"),
        Column("Alerts", expr=f"count by (alertname, severity, job_type, job_id, instance) ({FIRING})"),
    ]
    return table_of(about, columns)


_DONE = {"unit": "percentunit", "decimals": 0, "min": 0, "max": 1, "custom_cellOptions": GAUGE_CELL}
_OF_LIMIT = {"unit": "percentunit", "decimals": 0, "thresholds": STALLED_ROW, "custom_cellOptions": COLORED_ROW}
_STALLED_FOR = DURATION | {"thresholds": steps((None, RED)), "custom_cellOptions": COLORED_TEXT}
_SUCCESS = {
    "unit": "percentunit",
    "decimals": 1,
    "thresholds": good_from(0.95, 0.75),
    "custom_cellOptions": COLORED_TEXT,
}


def _stalled() -> str:
    return shared(typed("progress_jobs_stalled"), "job_type", "reason")


def _waits() -> str:
    return since(shared(typed("progress_jobs_queued_oldest_timestamp_seconds"), "job_type"))


def _since_success() -> str:
    return since(shared(typed("progress_last_success_timestamp_seconds"), "job_type"))


def _red_from(limit: float) -> dict[str, object]:
    return {"thresholds": bad_from(limit), "custom_cellOptions": COLORED_TEXT}


def _severities() -> list[object]:
    colors = {"critical": "red", "warning": "orange", "info": "blue"}
    results = {word: model.ValueMappingResult(color=color, index=n) for n, (word, color) in enumerate(colors.items())}
    return [model.ValueMap(options=results)]
