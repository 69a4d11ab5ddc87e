"""Progress / Job, which tells why one is slow."""

from typing import Any

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards import jobs_table
from tools.dashboards.colors import BLUE, GREEN, RED, bad_from, limit_line, steps
from tools.dashboards.frame import Frame, dashboard
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import HEATMAP, About, Query, differ, heat, lines, now, number, share, spans
from tools.dashboards.queries import RATE, THE_JOB, increase, of_the_job, one_each, own, shared, since, summed

FRAME = Frame(
    "progress-job",
    "Why is this job slow? Its course, its stages, and how long others of its type took.",
    "now-3h",
    "10s",
    is_of_one_job=True,
)

LIMIT = f"{of_the_job('progress_job_stall_threshold_seconds')} < +Inf"
"""How long the job may make no progress; nothing while its clocks stand."""

ITS_TYPE = f" and on (job_type) last_over_time({own('progress_job_info', THE_JOB)}[$__range])"
"""Leaves of a query by type what concerns the type of the job, also when it has ended."""


def job() -> dict[str, Any]:
    """Return the dashboard."""
    return dashboard(FRAME, [_now(), _course(), _pace(), _others()])


def _now() -> Row:
    what, times = [_done(), _stage(), _stalled(), _of_limit()], [_since_progress(), _since_word(), _running(), _ends()]
    return Row("Now", [Line(5, [*what, *times])])


def _done() -> model.Panel:
    about = About(
        "Completion",
        "The share of the work that is done.",
        "If it stands still, look at the time since progress.",
        "percentunit",
        "finished or unknown",
    )
    return share(about, now(of_the_job("progress_job_completion_ratio")), steps((None, BLUE), (1, GREEN)))


def _stage() -> model.Panel:
    about = About(
        "Status and stage",
        "What the job does now, as its worker says.",
        "'paused' and 'blocked' wait for somebody: the live page says for what. If it is no longer active it has ended,"
        " or has no series because there are too many jobs.",
        "string",
        "no longer active",
    )
    info = of_the_job("progress_job_info", "status", "stage")
    return number(about, now(one_each(info), "{{status}}: {{stage}}"), text="name")


def _stalled() -> model.Panel:
    about = About(
        "Stalled",
        "Why the watchdog calls it stuck, and for how long.",
        "docs/http-api.md says what each reason means; the runbook of its alert says what to do.",
        "s",
        "no",
    )
    stalled = one_each(of_the_job("progress_job_stalled_since_timestamp_seconds", "reason"))
    colors = steps((None, RED))
    return number(about, now(since(stalled), "{{reason}}"), colors=colors, text="value_and_name", decimals=1)


def _running() -> model.Panel:
    about = About(
        "Running for",
        "The time since its work began.",
        "Compare with how long others of its type took, below.",
        "s",
        "not begun",
    )
    return number(about, now(since(of_the_job("progress_job_started_timestamp_seconds"))), decimals=1)


def _since_progress() -> model.Panel:
    about = About(
        "Since progress",
        "The time since anything moved: a counter, the percentage, the stage. It begins anew when the job goes on after"
        " a pause.",
        "Compare with its limit, at the left.",
        "s",
        "not active",
    )
    return number(about, now(since(of_the_job("progress_job_last_advance_timestamp_seconds"))), decimals=1)


def _of_limit() -> model.Panel:
    about = About(
        "Of its limit",
        "The time since progress as a share of the time that this job may take for it, by its type or stage.",
        "Beyond 100 % it is stalled. If its last word is fresh, the worker lives and hangs: see its log and trace.",
        "percentunit",
        "no limit now",
    )
    age = since(of_the_job("progress_job_last_advance_timestamp_seconds"))
    limit = of_the_job("progress_job_stall_threshold_seconds")
    return share(about, now(f"({age}) / {limit}"), bad_from(1, 0.75))


def _since_word() -> model.Panel:
    about = About(
        "Since last word",
        "The time since its worker said anything at all.",
        "Minutes, and rising: the worker is gone, or cannot reach the sidecar.",
        "s",
        "not active",
    )
    age = since(of_the_job("progress_job_last_update_timestamp_seconds"))
    return number(about, now(age), decimals=1, colors=bad_from(300, 60))


def _ends() -> model.Panel:
    about = About(
        "Time left",
        "How long it will take yet, as estimated from its pace and from how long others of its type took.",
        "Below 0, it should have ended: see 'How wrong estimates were' in the overview for how far to trust it.",
        "s",
        "unknown",
    )
    return number(about, now(f"{of_the_job('progress_job_estimated_end_timestamp_seconds')} - time()"), decimals=1)


def _course() -> Row:
    return Row("Course", [Line(8, [_completion()]), Line(8, [_gantt()]), Line(4, [_status()])])


def _completion() -> model.Panel:
    about = About(
        "Completion over time",
        "The share that is done. Steep is fast; flat is standing still. A fall is a new attempt.",
        "Find where it goes flat, and which stage ran then, just below.",
        "percentunit",
    )
    return lines(about, Query(of_the_job("progress_job_completion_ratio"), "done"))


def _gantt() -> model.Panel:
    about = About(
        "Stages",
        "Which stage ran when: one bar each, as in a Gantt chart.",
        "The longest bar is where the time goes; the table of its type says whether that is usual.",
        "string",
    )
    return spans(about, Query(shared(own("progress_job_info", THE_JOB, 'stage!=""'), "stage"), "{{stage}}"))


def _status() -> model.Panel:
    about = About(
        "Status",
        "When it was queued, running, paused or blocked.",
        "Time that it was queued or blocked is not the fault of its code.",
        "string",
    )
    return spans(about, Query(shared(own("progress_job_info", THE_JOB), "status"), "{{status}}"))


def _pace() -> Row:
    return Row("How fast", [Line(8, [_ages(), _speed(), _left()])])


def _ages() -> model.Panel:
    about = About(
        "Time since progress, against its limit",
        "Each tooth is a pause between two steps; the dashed line is the limit in force. It is absent while the job is"
        " paused, blocked or queued.",
        "Teeth that grow are work that becomes slower. Beyond the line the job counts as stalled.",
        "s",
    )
    age = Query(since(of_the_job("progress_job_last_advance_timestamp_seconds")), "since progress")
    word = Query(since(of_the_job("progress_job_last_update_timestamp_seconds")), "since last word")
    return differ(lines(about, age, word, Query(LIMIT, "limit")), [limit_line("limit")])


def _speed() -> model.Panel:
    about = About(
        "Pace",
        "How much of the job gets done an hour, at the pace of the moment.",
        "Compare with the stages above: a stage that is always slow has too small a weight.",
        "percentunit",
    )
    moved = f"deriv({own('progress_job_completion_ratio', THE_JOB)}[{RATE}])"
    return lines(about, Query(f"clamp_min({shared(moved, 'job_id')}, 0) * 3600", "an hour"))


def _left() -> model.Panel:
    about = About(
        "Time left, as estimated",
        "The estimate over time. An honest one falls as fast as time passes.",
        "If it stays level, the job slows down as much as time passes.",
        "s",
        "no estimate",
    )
    left = f"{of_the_job('progress_job_estimated_end_timestamp_seconds')} - time()"
    return lines(about, Query(left, "time left"), least=None)


def _others() -> Row:
    first = [_stages(), _spread()]
    return Row("Others of its type", [Line(9, first), Line(9, [_rest()])])


def _stages() -> model.Panel:
    about = About(
        "Stages of its type",
        "How long the stages of this type took that completed within the time that is shown.",
        "A stage that took longer here than its p95 is where this job differs. Widen the time for more of them.",
        "short",
        "-",
    )
    return jobs_table.stages(about, only=ITS_TYPE)


def _spread() -> model.Panel:
    about = About(
        "Durations of its type's stages",
        "How stages of this type spread over durations; a dot is one stage, with its trace.",
        "Two bands are two kinds of work under one name: give them types of their own.",
        "s",
    )
    counted = summed(increase(own("progress_stage_duration_seconds_bucket"), RATE), "job_type", "le")
    return heat(about, Query(f"sum by (le) ({counted}{ITS_TYPE})", "{{le}}", has_exemplars=True, kind=HEATMAP))


def _rest() -> model.Panel:
    about = About(
        "All active jobs of the types that are chosen",
        "Is it only this one? The others, those closest to their limit first.",
        "If all are slow, look at what they share: Progress / Sidecar, the machines, the data.",
        "short",
        "-",
    )
    return jobs_table.active_jobs(about)
