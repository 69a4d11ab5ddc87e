"""How many jobs there are, and which need somebody's eye: out of what Redis keeps beside the jobs."""

from collections.abc import Awaitable, Iterable, Sequence
from itertools import islice

from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import read_all
from sidecar.adapters.redis.keys import PROJECTS_A_CALL, ProjectKeys
from sidecar.adapters.redis.link import Client, RedisLink
from sidecar.adapters.redis.logbook import watch_of
from sidecar.core.stalls import Settling
from sidecar.core.view import View
from sidecar.ports import Counts

JOBS_A_CALL = 100

Entry = tuple[float, str, str]
"""A job's score in an index, its project and its id."""


async def read_counts(redis: Client) -> Counts:
    """Return how many jobs there are over all projects."""
    jobs: dict[tuple[str, str], int] = {}
    stalled: dict[tuple[str, str], int] = {}
    projects = await _names(redis.smembers(keys.PROJECTS))
    watch = watch_of(await redis.hgetall(keys.WATCHDOG))
    answers: list[dict[bytes, bytes]] = []
    for start in range(0, len(projects), PROJECTS_A_CALL):
        async with redis.pipeline(transaction=False) as pipe:
            for project in projects[start : start + PROJECTS_A_CALL]:
                pipe.hgetall(ProjectKeys(project).index("counts"))
            answers += await pipe.execute()
    for answer in answers:
        for field, number in answer.items():
            job_type, status, *reason = field.decode().split("|")
            jobs[job_type, status] = jobs.get((job_type, status), 0) + int(number)
            if reason:
                stalled[job_type, reason[0]] = stalled.get((job_type, reason[0]), 0) + int(number)
    return Counts(jobs=jobs, stalled=stalled, settling=Settling() if watch is None else watch.settling)


async def read_outstanding(link: RedisLink, limit: int) -> list[View]:
    """Return unfinished jobs: those stuck for longest, what nobody began last, then the idle ones."""
    redis = link.commands
    projects = await _names(redis.zrange(keys.DUE_PROJECTS, 0, -1))
    stuck = await _lowest(redis, projects, "stalled", limit)
    idle = await _lowest(redis, projects, "idle", limit)
    wanted = dict.fromkeys((project, job_id) for _, project, job_id in (*stuck, *idle))
    return await _views(link, list(islice(wanted, limit)))


async def _lowest(redis: Client, projects: Sequence[str], index: str, limit: int) -> list[Entry]:
    """Return so many entries with the lowest scores in an index of all projects, in order.

    Of each project a few are read at first, and more, each time twice as many, only of those of which all are among the
    lowest. That is about as much as there are projects, and as is wanted: the sum of both, not their product.
    """
    lowest: list[Entry] = []
    offset, count, open_ones = 0, max(1, min(limit, 2 * limit // max(1, len(projects)))), projects
    while open_ones:
        last: dict[str, Entry] = {}
        for start in range(0, len(open_ones), PROJECTS_A_CALL):
            some = open_ones[start : start + PROJECTS_A_CALL]
            async with redis.pipeline(transaction=False) as pipe:
                for project in some:
                    pipe.zrange(ProjectKeys(project).index(index), offset, offset + count - 1, withscores=True)
                answers = await pipe.execute()
            for project, answer in zip(some, answers, strict=True):
                entries = [(at, project, job_id.decode()) for job_id, at in answer]
                lowest += entries
                if len(entries) == count:
                    last[project] = entries[-1]
            lowest = sorted(lowest)[:limit]
        open_ones = [project for project, entry in last.items() if len(lowest) < limit or entry < lowest[-1]]
        offset, count = offset + count, 2 * count
    return lowest


async def _views(link: RedisLink, wanted: list[tuple[str, str]]) -> list[View]:
    """Return the jobs that are there, in the order in which they are wanted."""
    found: dict[tuple[str, str], View] = {}
    for start in range(0, len(wanted), JOBS_A_CALL):
        by_project: dict[str, list[str]] = {}
        for project, job_id in wanted[start : start + JOBS_A_CALL]:
            by_project.setdefault(project, []).append(job_id)
        for project, held in zip(by_project, await read_all(link, by_project), strict=True):
            found |= {(project, job.job.job_id): job.view for job in held if job is not None}
    return [found[key] for key in wanted if key in found]


async def _names(projects: Awaitable[Iterable[bytes]]) -> list[str]:
    return sorted(project.decode() for project in await projects)
