"""Which jobs a query asks for, wherever they are kept."""

from sidecar.core.job import Status
from sidecar.core.view import View
from sidecar.ports import Query

UNFINISHED = frozenset(status for status in Status if not status.is_finished)


def matches(query: Query, shown: View) -> bool:
    """Tell whether a job passes the filters of a query."""
    job = shown.job
    parent, labels = job.facts.get("parent_id"), job.facts.get("labels")
    return (
        (query.job_type in (None, job.job_type))
        and (not query.statuses or shown.status in query.statuses)
        and (query.active is None or query.active is not shown.is_finished)
        and (query.stalled is None or query.stalled is (job.attempt.stall is not None))
        and (query.parent_id is None or (parent is not None and parent.value == query.parent_id))
        and (query.updated_since is None or job.updated_at >= query.updated_since)
        and (query.labels.items() <= ((labels.value if labels else None) or {}).items())
    )


def is_of_unfinished(query: Query) -> bool:
    """Whether only unfinished jobs can be meant."""
    return query.active is True or (bool(query.statuses) and query.statuses <= UNFINISHED)
