"""The watchdog's agenda in Redis: an index of due times beside the jobs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sidecar.adapters import keys
from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.redis_documents import read_all
from sidecar.adapters.redis_link import Arguments, RedisLink, Script
from sidecar.watchdog import Due

IDS_A_CALL = 1_000
POSTPONE = Script("postpone.lua")


class RedisAgenda:
    """`Agenda` over Redis."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link
        self._redis = link.commands

    async def due(self, now: float, limit: int) -> list[Due]:
        """Return jobs whose time has come; see `Agenda`. Ids without a job leave the agenda."""
        async with self._link.deadline():
            projects = await self._projects()
            async with self._redis.pipeline(transaction=False) as pipe:
                for project in projects:
                    due = ProjectKeys(project).index("due")
                    pipe.zrange(due, "-inf", now, byscore=True, offset=0, num=limit, withscores=True)
                found = await pipe.execute()
            wanted = _first(dict(zip(projects, found, strict=True)), limit)
            held = await read_all(self._link, {project: list(times) for project, times in wanted.items()})
            jobs = {
                (each.job.project, each.job.job_id): each.view for part in held for each in part if each is not None
            }
            await self._strike(
                {
                    project: [job_id for job_id in times if (project, job_id) not in jobs]
                    for project, times in wanted.items()
                }
            )
        return [Due(view, wanted[project][job_id]) for (project, job_id), view in jobs.items()]

    async def postpone(self, times: Sequence[tuple[Due, float]]) -> None:
        """Look at jobs at another time; see `Agenda`."""
        by_project: dict[str, list[Any]] = {}
        for (view, was), at in times:
            by_project.setdefault(view.job.project, []).extend((view.job.job_id, was, at))
        calls: list[tuple[list[str], Arguments]] = [
            ([ProjectKeys(project).index("due")], partial(_given, arguments))
            for project, arguments in by_project.items()
        ]
        async with self._link.deadline():
            for answer in await self._link.evaluate_all(POSTPONE, calls) if calls else ():
                if isinstance(answer, Exception):
                    raise answer

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


def _given(arguments: Sequence[Any], _: str) -> Sequence[Any]:
    return arguments


def _first(found: Mapping[str, list[tuple[bytes, float]]], limit: int) -> dict[str, dict[str, float]]:
    """Return about so many ids with when they are due, some of each project."""
    wanted: dict[str, dict[str, float]] = {}
    for project, due in found.items():
        if due and limit > 0:
            wanted[project] = {job_id.decode(): at for job_id, at in due[:limit]}
            limit -= len(wanted[project])
    return wanted
