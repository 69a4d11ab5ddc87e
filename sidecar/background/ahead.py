"""What only the history knows is told to the live store: jobs that it took, and deletions."""

import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

from sidecar.core.errors import Conflict, Unavailable
from sidecar.core.job import Job
from sidecar.core.merge import united
from sidecar.history import Archive, Buried
from sidecar.ports import ChangeJob, LiveStore, Written

logger = logging.getLogger(__name__)

AHEAD_A_ROUND = 100

Clock = Callable[[], float]
"""Gives Unix seconds."""


async def tell_ahead(archive: Archive, live: LiveStore, clock: Clock) -> set[str]:
    """Tell the live store some of what only the history knows; return the projects of which that was."""
    return (await tell_some_ahead(archive, live, clock)).projects


class Told(NamedTuple):
    """The projects of which the live store was told something, and whether there may be more."""

    projects: set[str]
    is_more: bool


async def tell_some_ahead(
    archive: Archive, live: LiveStore, clock: Clock, job_ids: Collection[str] | None = None
) -> Told:
    """Do what `tell_ahead` does, of some jobs alone if they are given, and tell whether there may be more."""
    jobs, buried = await archive.ahead(AHEAD_A_ROUND, job_ids)
    if not jobs and not buried:
        return Told(set(), is_more=False)
    for gone in buried:
        await tell_deletion(live, gone)
    answers = await live.update_many([(each.job.job_id, joining(each.job, clock)) for each in jobs])
    for answer in answers:
        if isinstance(answer, Unavailable):
            raise answer
    for each, answer in zip(jobs, answers, strict=True):
        if not isinstance(answer, Written):  # nor would it be taken later: its id belongs to another project there
            told = {"job_id": each.job.job_id, "error": str(answer)}
            logger.error("a job that SQL has cannot be told to Redis", extra={"fields": told})
    await archive.told(jobs, buried)
    projects = {each.job.project for each in jobs} | {gone.project for gone in buried}
    return Told(projects, is_more=bool(buried) or len(jobs) == AHEAD_A_ROUND)


async def tell_deletion(live: LiveStore, gone: Buried) -> None:
    """Delete a job in the live store that was deleted in the history, but not a later one of the same id."""

    def check(job: Job) -> None:
        if job.created_at > gone.created_at:
            raise Conflict("there is a new job of that id")

    with suppress(Conflict):
        await live.delete(gone.job_id, check)


def joining(job: Job, clock: Clock) -> ChangeJob:
    """Return the change that joins a version of a job in."""
    return lambda before: united(before, job, clock())
