"""The watchdog's agenda in Redis: an index of due times beside the jobs of each project, and one of the projects."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from math import inf
from typing import Any

from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import read_all
from sidecar.adapters.redis.keys import PROJECTS_A_CALL, ProjectKeys
from sidecar.adapters.redis.link import Arguments, RedisLink, Script
from sidecar.background.watchdog import Due

IDS_A_CALL = 1_000
DUE_PROJECTS_A_CALL = 50
POSTPONE = Script("postpone.lua")


class RedisAgenda:
    """`Agenda` over Redis."""

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link
        self._redis = link.commands

    async def due(self, now: float, limit: int) -> list[Due]:
        """Return jobs whose time has come; see `Agenda`. Ids without a job leave the agenda."""
        while projects := await self._due_projects(now):
            async with self._link.deadline():
                times = await self._times(projects, now, limit)
                await self._sort_in([project for project in projects if project not in times])
                if found := await self._read(_first(times, limit)):
                    return found
        return []

    async def sweep(self) -> None:
        """Find every project that is due; see `Agenda`."""
        async with self._link.deadline():
            projects = await self._projects()
        await self._sort_all_in(projects)

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
        count = sum([await self._enrol(ProjectKeys(project), now) for project in projects])
        await self._sort_all_in(projects)
        return count

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

    async def _due_projects(self, now: float) -> list[str]:
        async with self._link.deadline():
            found = await self._redis.zrange(
                keys.DUE_PROJECTS, "-inf", now, byscore=True, offset=0, num=DUE_PROJECTS_A_CALL
            )
        return [project.decode() for project in found]

    async def _times(self, projects: Sequence[str], now: float, limit: int) -> dict[str, dict[str, float]]:
        """Return the ids that are due, each with when it is; nothing of a project in which none is."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for project in projects:
                due = ProjectKeys(project).index("due")
                pipe.zrange(due, "-inf", now, byscore=True, offset=0, num=limit, withscores=True)
            answers = await pipe.execute()
        found = zip(projects, answers, strict=True)
        return {project: {job_id.decode(): at for job_id, at in answer} for project, answer in found if answer}

    async def _read(self, wanted: Mapping[str, Mapping[str, float]]) -> list[Due]:
        """Return the jobs with these ids; those without one leave the agenda."""
        if not wanted:
            return []
        held = await read_all(self._link, {project: list(times) for project, times in wanted.items()})
        jobs = {(each.job.project, each.job.job_id): each.view for part in held for each in part if each is not None}
        gone = {project: [name for name in times if (project, name) not in jobs] for project, times in wanted.items()}
        await self._strike(gone)
        return [Due(view, wanted[project][job_id]) for (project, job_id), view in jobs.items()]

    async def _sort_all_in(self, projects: Sequence[str]) -> None:
        for start in range(0, len(projects), PROJECTS_A_CALL):
            async with self._link.deadline():
                await self._sort_in(projects[start : start + PROJECTS_A_CALL])

    async def _sort_in(self, projects: Sequence[str]) -> None:
        """Enter projects under when the first of their jobs is due; those without unfinished jobs leave.

        What a worker says meanwhile is looked for once more after that; what it says later enters the project itself.
        """
        if not projects:
            return
        before = await self._earliest(projects)
        entered = {project: at for project, at in before.items() if at is not None}
        async with self._redis.pipeline(transaction=False) as pipe:
            if entered:
                pipe.zadd(keys.DUE_PROJECTS, entered)
            if len(entered) < len(projects):
                pipe.zrem(keys.DUE_PROJECTS, *(project for project in projects if project not in entered))
            await pipe.execute()
        after = await self._earliest(projects)
        earlier = {project: at for project, at in after.items() if at is not None and at < entered.get(project, inf)}
        if earlier:
            await self._redis.zadd(keys.DUE_PROJECTS, earlier, lt=True)

    async def _earliest(self, projects: Sequence[str]) -> dict[str, float | None]:
        """Return when the first job of each project is due, +inf if all wait, None if there is none."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for project in projects:
                place = ProjectKeys(project)
                pipe.zrange(place.index("due"), 0, 0, withscores=True)
                pipe.exists(place.index("active"))
            answers = await pipe.execute()
        found = zip(projects, answers[::2], answers[1::2], strict=True)
        return {project: first[0][1] if first else inf if is_active else None for project, first, is_active in found}

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


def _first(found: Mapping[str, Mapping[str, float]], limit: int) -> dict[str, dict[str, float]]:
    """Return about so many ids with when they are due, some of each project."""
    wanted: dict[str, dict[str, float]] = {}
    for project, times in found.items():
        if limit > 0:
            wanted[project] = dict(islice(times.items(), limit))
            limit -= len(wanted[project])
    return wanted
