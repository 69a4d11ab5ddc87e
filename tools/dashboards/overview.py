"""Progress / Overview, which tells what runs: the numbers at a glance, the jobs, and the alerts."""

from typing import Any

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards import jobs_table, links
from tools.dashboards.colors import bad_from, good_from
from tools.dashboards.frame import Frame, dashboard
from tools.dashboards.layout import Line, Row
from tools.dashboards.outcomes import durations, job_types
from tools.dashboards.panels import About, Query, bars, lines, now, number, stack
from tools.dashboards.queries import increase, own, per_job, rate, ratio, shared, summed, typed

FRAME = Frame("progress-overview", "What runs, what is stuck, and how did it end? Begin here.", "now-3h", "30s")

MOST_BARS = 20

STALLED = shared(typed("progress_jobs_stalled"), "job_type", "reason")


def overview() -> dict[str, Any]:
    """Return the dashboard."""
    return dashboard(FRAME, [_at_a_glance(), _jobs(), _alerts(), job_types(), durations()])


def _at_a_glance() -> Row:
    wrong = [_firing(), _stalled(), _failed(), _success()]
    load = [_active(), _queued(), _updates(), _fallbacks()]
    return Row("At a glance", [Line(4, [*wrong, *load])])


def _firing() -> model.Panel:
    about = About(
        "Firing alerts",
        "Alerts on progress that fire now.",
        "The table of alerts below names them; each has a runbook.",
        "short",
        "0",
    )
    return number(about, now(f"count({jobs_table.FIRING})"), colors=bad_from(1))


def _stalled() -> model.Panel:
    about = About(
        "Stalled jobs",
        "Jobs that the watchdog calls stuck, for any of its six reasons. Somebody waits for these.",
        "Above 0, open the first one of the table of jobs.",
        "short",
        "not known",
    )
    return number(about, now(summed(STALLED)), colors=bad_from(1))


def _failed() -> model.Panel:
    about = About(
        "Failed or lost",
        "Attempts that failed, or that were given up as lost, within the time that is shown.",
        "See of which type they are in the table of types; the live page has their errors.",
        "short",
        "0",
    )
    failed = typed("progress_jobs_finished_total", 'outcome=~"failed|lost"')
    return number(about, now(summed(increase(failed))), colors=bad_from(1))


def _success() -> model.Panel:
    about = About(
        "Success ratio",
        "The share of attempts that completed, of all that ended within the time that is shown; cancelled ones do not"
        " count.",
        "Below what is usual for you, find the type that fails in the table of types.",
        "percentunit",
        "none ended",
    )
    completed = summed(increase(typed("progress_jobs_finished_total", 'outcome="completed"')))
    ended = summed(increase(typed("progress_jobs_finished_total", 'outcome!="cancelled"')))
    return number(about, now(ratio(completed, ended)), colors=good_from(0.95, 0.75), decimals=1)


def _active() -> model.Panel:
    about = About(
        "Active jobs",
        "Jobs that are not finished: queued, running, paused or blocked. It is the load that your workers carry now.",
        "If it grows while updates stand still, workers have died: see the table of jobs.",
        "short",
        "not known",
    )
    return number(about, now(summed(shared(typed("progress_jobs_active"), "job_type"))))


def _queued() -> model.Panel:
    about = About(
        "Queued jobs",
        "Jobs that nobody has begun. Some are normal; a queue that only grows is not.",
        "Growth means too few workers, or none: see 'Oldest waits' in the table of types.",
        "short",
        "not known",
    )
    return number(about, now(summed(shared(typed("progress_jobs_queued"), "job_type"))))


def _updates() -> model.Panel:
    about = About(
        "Updates",
        "Reports of progress that workers send, a second. It is the pulse of all work.",
        "If it falls to 0 while jobs are active, look at the workers, then at Progress / Sidecar for refusals.",
        "ops",
    )
    return number(about, now(summed(rate(typed("progress_updates_total")))), decimals=1)


def _fallbacks() -> model.Panel:
    about = About(
        "Served by SQL",
        "Operations that SQL served because Redis could not, within the time that is shown. Nothing is lost, but it is"
        " slower.",
        "Above 0, look at the stores in Progress / Sidecar.",
        "short",
        "0",
    )
    return number(about, now(summed(increase(own("db_fallback_total")))), colors=bad_from(100, 1))


def _jobs() -> Row:
    charts = [_completion(), _active_by_type(), _stuck_by_reason()]
    return Row("Jobs", [Line(12, [_one_by_one()]), Line(9, charts)])


def _one_by_one() -> model.Panel:
    about = About(
        "Jobs, one by one",
        "Every job that has series of its own, stalled ones first, then those closest to their limit. A row turns"
        " yellow at three quarters of the time that its job may take without progress, and red beyond it. Paused,"
        " blocked and queued jobs have no limit.",
        "Click a job for its dashboard, or for its live page with messages and errors.",
        "short",
        "-",
    )
    return jobs_table.active_jobs(about)


def _completion() -> model.Panel:
    about = About(
        "Completion",
        f"How far the {MOST_BARS} jobs are that are closest to their end. It is what their owners ask first.",
        "Click a bar for the job's dashboard.",
        "percentunit",
    )
    link = links.to_job("${__field.labels.job_id}", "${__field.labels.job_type}")
    furthest = f"sort_desc(topk({MOST_BARS}, {per_job('progress_job_completion_ratio')}))"
    return bars(about, now(furthest, "{{job_id}}"), link)


def _active_by_type() -> model.Panel:
    about = About(
        "Active jobs, by type",
        "What kinds of work are under way, over time.",
        "A line that only rises is a type whose jobs do not end: compare with 'Started and finished'.",
        "short",
    )
    return lines(about, Query(shared(typed("progress_jobs_active"), "job_type"), "{{job_type}}"))


def _stuck_by_reason() -> model.Panel:
    about = About(
        "Stalled jobs, by reason",
        "Why the watchdog calls jobs stuck: silent, no progress, overdue, past a deadline, not started, not stopping.",
        "Many of one reason at once have one cause: silent ones the network or their host, not started ones too few"
        " workers.",
        "short",
    )
    return stack(about, Query(summed(STALLED, "reason"), "{{reason}}"))


def _alerts() -> Row:
    about = About(
        "Alerts that fire",
        "Alerts on progress that fire at the end of the time that is shown, with what they concern.",
        "docs/runbooks has a page for each, by its name.",
        "short",
        "No alert fires",
    )
    return Row("Alerts", [Line(6, [jobs_table.alerts(about)])])
