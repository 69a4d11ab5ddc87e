"""The watchdog's agenda in Redis: an index of due times beside the jobs."""

from collections.abc import Mapping

from sidecar.adapters import keys
from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.redis_documents import read_all
from sidecar.adapters.redis_link import RedisLink
from sidecar.core.view import View

IDS_A_CALL = 1_000


class RedisAgenda:
    """`Agenda` over Redis."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link
        self._redis = link.commands

    async def due(self, now: float, limit: int) -> list[View]:
        """Return jobs whose time has come; see `Agenda`. Ids without a job leave the agenda."""
        async with self._link.deadline():
            projects = await self._projects()
            async with self._redis.pipeline(transaction=False) as pipe:
                for project in projects:
                    pipe.zrange(ProjectKeys(project).index("due"), "-inf", now, byscore=True, offset=0, num=limit)
                found = await pipe.execute()
            wanted = self._first(dict(zip(projects, found, strict=True)), limit)
            held = await read_all(self._link, wanted)
            await self._strike(
                {
                    project: [job_id for job_id, job in zip(wanted[project], jobs, strict=True) if job is None]
                    for project, jobs in zip(wanted, held, strict=True)
                }
            )
        return [job.view for jobs in held for job in jobs if job is not None]

    async def postpone(self, times: Mapping[tuple[str, str], float]) -> None:
        """Look at jobs at another time; see `Agenda`."""
        by_project: dict[str, dict[str, float]] = {}
        for (project, job_id), at in times.items():
            by_project.setdefault(project, {})[job_id] = at
        async with self._link.deadline(), self._redis.pipeline(transaction=False) as pipe:
            for project, scores in by_project.items():
                pipe.zadd(ProjectKeys(project).index("due"), scores, xx=True)
            await pipe.execute()

    async def enrol(self, now: float) -> int:
        """Enter unfinished jobs that are not on the agenda; see `Agenda`."""
        async with self._link.deadline():
            projects = await self._projects()
        return sum([await self._enrol(ProjectKeys(project), now) for project in projects])

    async def _enrol(self, place: ProjectKeys, now: float) -> int:
        """Go through jobs of a project in calls that hold nobody up, however many there are."""
        count = 0
        for index, only in (("active", {"nx": True}), ("stalled", {"lt": True})):
            cursor, is_more = 0, True
            while is_more:
                async with self._link.deadline():
                    cursor, found = await self._redis.zscan(place.index(index), cursor, count=IDS_A_CALL)
                    if found:
                        entered = dict.fromkeys((job_id for job_id, _ in found), now)
                        count += await self._redis.zadd(place.index("due"), entered, **only)
                is_more = cursor != 0
        return count

    async def _projects(self) -> list[str]:
        return sorted(project.decode() for project in await self._redis.smembers(keys.PROJECTS))

    async def _strike(self, gone: Mapping[str, list[str]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for project, job_ids in gone.items():
                if job_ids:
                    pipe.zrem(ProjectKeys(project).index("due"), *job_ids)
            await pipe.execute()

    @staticmethod
    def _first(found: Mapping[str, list[bytes]], limit: int) -> dict[str, list[str]]:
        """Return about so many ids, some of each project."""
        wanted: dict[str, list[str]] = {}
        for project, job_ids in found.items():
            if job_ids and limit > 0:
                wanted[project] = [job_id.decode() for job_id in job_ids[:limit]]
                limit -= len(wanted[project])
        return wanted
