"""How many jobs there are, and which need somebody's eye: out of what Redis keeps beside the jobs."""

from heapq import merge
from itertools import islice

from sidecar.adapters import keys
from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.redis_documents import read_all
from sidecar.adapters.redis_link import Client, RedisLink
from sidecar.adapters.redis_logbook import watch_of
from sidecar.core.stalls import Settling
from sidecar.core.view import View
from sidecar.ports import Counts

JOBS_A_CALL = 100


async def read_counts(redis: Client) -> Counts:
    """Return how many jobs there are over all projects."""
    jobs: dict[tuple[str, str], int] = {}
    stalled: dict[tuple[str, str], int] = {}
    projects = await _projects(redis)
    async with redis.pipeline(transaction=False) as pipe:
        for project in projects:
            pipe.hgetall(ProjectKeys(project).index("counts"))
        pipe.hgetall(keys.WATCHDOG)
        *answers, noted = await pipe.execute()
    watch = watch_of(noted)
    for answer in answers:
        for field, number in answer.items():
            job_type, status, *reason = field.decode().split("|")
            jobs[job_type, status] = jobs.get((job_type, status), 0) + int(number)
            if reason:
                stalled[job_type, reason[0]] = stalled.get((job_type, reason[0]), 0) + int(number)
    return Counts(jobs=jobs, stalled=stalled, settling=Settling() if watch is None else watch.settling)


async def read_outstanding(link: RedisLink, limit: int) -> list[View]:
    """Return unfinished jobs: those that are stuck for the longest, then those longest without progress."""
    redis = link.commands
    projects = await _projects(redis)
    async with redis.pipeline(transaction=False) as pipe:
        for project in projects:
            for index in ("stalled", "idle"):
                pipe.zrange(ProjectKeys(project).index(index), 0, limit - 1, withscores=True)
        answers = await pipe.execute()
    stuck, idle = (
        merge(
            *([(at, project, job_id) for job_id, at in answer] for project, answer in zip(projects, part, strict=True))
        )
        for part in (answers[::2], answers[1::2])
    )
    wanted = dict.fromkeys((project, job_id.decode()) for each in (stuck, idle) for _, project, job_id in each)
    return await _views(link, list(islice(wanted, limit)))


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


async def _projects(redis: Client) -> list[str]:
    return sorted(project.decode() for project in await redis.smembers(keys.PROJECTS))
