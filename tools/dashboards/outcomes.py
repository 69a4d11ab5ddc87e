"""The rows of Progress / Overview that tell how jobs ended, and how long they took."""

from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards import jobs_table
from tools.dashboards.colors import OUTCOMES, bad_from
from tools.dashboards.layout import Line, Row
from tools.dashboards.panels import About, Query, lines, p50_and_p95, stack
from tools.dashboards.queries import known, quantile, rate, summed, typed

COMPLETED = 'outcome="completed"'


def job_types() -> Row:
    """Return the row on types of jobs."""
    charts = [_finished(), _flow(), _items()]
    return Row("Job types and outcomes", [Line(9, [_types()]), Line(8, charts)])


def durations() -> Row:
    """Return the row on how long jobs and stages took."""
    return Row("Durations", [Line(9, [_stages(), _stage_lines()]), Line(8, [_job_lines(), _estimates()])])


def _types() -> model.Panel:
    about = About(
        "Job types",
        "One row for each type: what runs and waits now, how attempts ended within the time that is shown, how long"
        " completed ones took, and the limits in force.",
        "Red numbers first. Click a type to see its jobs alone.",
        "short",
        "-",
    )
    return jobs_table.job_types(about)


def _finished() -> model.Panel:
    about = About(
        "Finished, by outcome",
        "Attempts that ended, a minute, by how. It shows when it began to go wrong.",
        "A red or purple block at one time is one cause: compare it with alerts, and with what you deployed.",
        "opm",
    )
    by_outcome = f"60 * {summed(rate(typed('progress_jobs_finished_total')), 'outcome')}"
    return stack(about, Query(by_outcome, "{{outcome}}"), colors=OUTCOMES)


def _flow() -> model.Panel:
    about = About(
        "Started and finished",
        "Attempts that begin and that end, a minute.",
        "If more begin than end for long, work piles up: add workers, or find the type that has become slow.",
        "opm",
    )
    started = Query(f"60 * {summed(rate(typed('progress_jobs_started_total')))}", "started")
    ended = Query(f"60 * {summed(rate(typed('progress_jobs_finished_total')))}", "finished")
    return lines(about, started, ended)


def _items() -> model.Panel:
    about = About(
        "Items worked off",
        "What your workers get done, by kind of item, a second. Kinds beyond the first 30 of a type are 'other'.",
        "Fewer items from as many jobs is a slower machine, or slower data: compare the stages below.",
        "cps",
    )
    worked = summed(rate(typed("progress_items_total")), "job_type", "item")
    return lines(about, Query(worked, "{{job_type}} {{item}}"))


def _stages() -> model.Panel:
    about = About(
        "Stages",
        "How long stages took that completed within the time that is shown: half of them at most p50, nineteen of"
        " twenty at most p95.",
        "Weights and limits of a job type should follow these numbers.",
        "short",
        "-",
    )
    return jobs_table.stages(about)


def _stage_lines() -> model.Panel:
    about = About(
        "Stage durations, p95",
        "How long the slowest stages took, over time; a dot is one stage, with its trace.",
        "A rise of one stage says what has become slow. Click a dot for the trace of one that was.",
        "s",
    )
    slow = quantile(0.95, typed("progress_stage_duration_seconds_bucket", COMPLETED), "job_type", "stage")
    return lines(about, Query(known(slow), "{{job_type}} {{stage}}", has_exemplars=True))


def _job_lines() -> model.Panel:
    about = About(
        "Job durations, p50 and p95",
        "How long attempts took that completed, over time.",
        "A p95 far above p50 are single slow jobs; if both rise, all have become slow.",
        "s",
    )
    return lines(about, *p50_and_p95(typed("progress_job_duration_seconds_bucket", COMPLETED), "job_type"))


def _estimates() -> model.Panel:
    about = About(
        "How wrong estimates were",
        "How wrong the time left was that was told at half way, as a multiple of it: 0.1 is 6 minutes of an hour.",
        "Above the line, do not trust the estimates of that type: its stages need weights, or more runs to learn from.",
        "percentunit",
        "none has completed",
    )
    return lines(about, *p50_and_p95(typed("progress_eta_error_ratio_bucket"), "job_type"), limits=bad_from(0.3))
