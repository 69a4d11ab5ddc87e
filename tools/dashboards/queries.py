"""The PromQL of the dashboards: how a series is selected, and how replicas are brought together."""

JOBS = 'job=~"$job", instance=~"$instance"'
OF_TYPE = 'job_type=~"$job_type"'
THE_JOB = 'job_id="$job_id"'

REQUESTS = "progress_http_request_duration_seconds"
PUSHES = 'method="POST", route=~"/v1/jobs|/v1/jobs/{job_id}|/v1/updates"'
"""Requests that report progress."""

RATE = "$__rate_interval"
RANGE = "$__range"


def own(metric: str, *matchers: str) -> str:
    """Select a metric of the deployments and replicas that are chosen."""
    return f"{metric}{{{', '.join((JOBS, *matchers))}}}"


def typed(metric: str, *matchers: str) -> str:
    """Select a metric of the job types that are chosen."""
    return own(metric, OF_TYPE, *matchers)


def rate(selector: str) -> str:
    """Return how fast a counter grows, a second."""
    return f"rate({selector}[{RATE}])"


def increase(selector: str, window: str = RANGE) -> str:
    """Return how far a counter grew, by default over all that is shown."""
    return f"increase({selector}[{window}])"


def summed(vector: str, *labels: str) -> str:
    """Add up what each replica counts for itself."""
    return f"sum by ({', '.join(labels)}) ({vector})" if labels else f"sum({vector})"


def shared(selector: str, *labels: str) -> str:
    """Take once what every replica reads alike from the stores; a sum would count it as often as there are replicas."""
    return f"max by ({', '.join(('job', *labels))}) ({selector})"


def per_job(metric: str, *matchers: str) -> str:
    """Return a value of single jobs, once for each."""
    return shared(typed(metric, *matchers), "job_id", "job_type")


def of_the_job(metric: str, *labels: str) -> str:
    """Return a value of the job that is looked at."""
    return shared(own(metric, THE_JOB), "job_id", *labels)


def one_each(vector: str) -> str:
    """Take one of what is told of a job: replicas differ until each has been asked since it changed."""
    return f"topk by (job, job_id) (1, {vector})"


def since(timestamp: str) -> str:
    """Return for how many seconds something is past."""
    return f"time() - {timestamp}"


def quantile(share: float, histogram: str, *labels: str, window: str = RATE) -> str:
    """Return below what that share of observations was; `histogram` selects the `_bucket` series."""
    counted = f"rate({histogram}[{window}])" if window == RATE else increase(histogram, window)
    return f"histogram_quantile({share}, {summed(counted, *labels, 'le')})"


def known(quantiles: str) -> str:
    """Leave out the quantiles of nothing: they are no numbers, and would be rows without any."""
    return f"{quantiles} >= 0"


def ratio(part: str, whole: str) -> str:
    """Divide; where there is no part at all it is 0, and where there is no whole there is nothing."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def age_against_limit() -> str:
    """Return how much of the time that a job may stand still has passed: 1 is the limit, 0 while its clocks stand."""
    age = since(per_job("progress_job_last_advance_timestamp_seconds"))
    return f"({age}) / {per_job('progress_job_stall_threshold_seconds')}"
