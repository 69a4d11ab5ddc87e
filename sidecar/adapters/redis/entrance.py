"""How jobs come into Redis: a new id gets its project, one that is elsewhere counts on, a lost one is put back."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from functools import partial

from sidecar.adapters.lineage import fresh_lineage
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.combiner import Combiner
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.memory import Memory
from sidecar.adapters.redis.reads import RedisReads
from sidecar.core.errors import SidecarError
from sidecar.core.job import Job
from sidecar.core.merge import fork, united
from sidecar.core.view import view
from sidecar.ports import ChangeJob, Written

Elsewhere = Callable[[Sequence[str]], Awaitable[Mapping[str, Job]]]
"""Finds jobs that are no longer here, by id: a finished one must not rise again as a new one."""

Changes = Sequence[tuple[str, ChangeJob]]


async def nowhere(_: Sequence[str]) -> Mapping[str, Job]:
    """Find nothing: there is no other place."""
    return {}


class Entrance:
    """Lets jobs in whose ids are not known here, or whose documents are gone."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that knows of a job
        self,
        link: RedisLink,
        reads: RedisReads,
        combiner: Combiner,
        memory: Memory,
        clock: Callable[[], float],
        elsewhere: Elsewhere,
        missed: Callable[[], None],
    ) -> None:
        """Keep the parts; `clock` gives Unix seconds, `missed` hears of a lost job."""
        self._link = link
        self._reads = reads
        self._combiner = combiner
        self._memory = memory
        self._clock = clock
        self._elsewhere = elsewhere
        self._missed = missed

    async def enter(self, job_id: str, change: ChangeJob) -> tuple[str, ChangeJob]:
        """Enter an id that is not known; return its project, and the change on what was found elsewhere of its job.

        A job that was lost is put back first.
        """
        found = (await self._found([job_id])).get(job_id)
        async with self._link.deadline():
            project = await self._claim(job_id, found.project if found else change(None).job.project)
        if found is not None and view(found).is_finished:
            change = _onto(found, change)
        elif found is not None:  # it was lost, and is put back as it was before it changes
            self._missed()
            await self._join(project, found)
        return project, change

    async def put_back(self, job: Job) -> Written:
        """Give back a job that was lost here, joined with what is here again by now. Raises an `Unavailable`."""
        async with self._link.deadline():
            project = await self._claim(job.job_id, job.project)
        return await self._join(project, job)

    async def _join(self, project: str, job: Job) -> Written:
        put_back = partial(united, other=job, now=self._clock())
        return await self._combiner.submit(project, job.job_id, put_back, is_entered=True)

    async def enter_many(self, changes: Changes) -> tuple[Changes, dict[str, str], dict[int, Written | Exception]]:
        """Look up the projects of ids that are not remembered, and enter new ids for what their first change names.

        Jobs that were lost are put back first. Returns the changes, those of finished jobs found elsewhere on what was
        found; the projects of the ids entered; and the answers to changes that fail even to create their job.
        """
        answers: dict[int, Written | Exception] = {}
        unknown = list(dict.fromkeys(job_id for job_id, _ in changes if job_id not in self._memory.projects))
        if not unknown:
            return changes, {}, answers
        async with self._link.deadline():
            known = await self._reads.look_up(unknown)
            missing = await self._reads.missing(known)
        found = await self._found([job_id for job_id in unknown if job_id not in known or job_id in missing])
        found = {**found, **await self._put_back(missing, found)}
        new = {job_id: job.project for job_id, job in found.items()}
        for index, (job_id, change) in enumerate(changes):
            if job_id in unknown and job_id not in known and job_id not in new:
                try:
                    new[job_id] = change(None).job.project
                except SidecarError as error:
                    answers[index] = error
        async with self._link.deadline():
            entered = await self._claim_many(new)
        for job_id, project in entered.items():
            self._memory.projects[job_id] = project
        placed = [(job_id, _onto(found[job_id], change) if job_id in found else change) for job_id, change in changes]
        return placed, known | entered, answers

    async def _put_back(self, missing: Container[str], found: Mapping[str, Job]) -> Mapping[str, Job]:
        """Give back what was lost while it still ran, and return how it is now."""
        lost = [job for job_id, job in found.items() if job_id in missing and not view(job).is_finished]
        for _ in lost:
            self._missed()
        written = await asyncio.gather(*map(self.put_back, lost))
        return {each.outcome.job.job_id: each.outcome.job for each in written}

    async def _found(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        """Return those of the jobs that are elsewhere, but not what has just been deleted here.

        What this process was last acknowledged goes along: it may be newer, and not be anywhere else.
        """
        found = dict(await self._elsewhere(job_ids)) if job_ids else {}
        for job_id in job_ids:
            if (kept := self._memory.newest(job_id, found.get(job_id))) is not None:
                found[job_id] = kept
        if not found:
            return found
        buried = await self._reads.buried([(job.project, job_id) for job_id, job in found.items()])
        return {job_id: job for job_id, job in found.items() if (job.project, job_id) not in buried}

    async def _claim(self, job_id: str, project: str) -> str:
        """Enter a new id for a project and return it, or the project that somebody else was faster to enter."""
        self._memory.projects[job_id] = (await self._claim_many({job_id: project}))[job_id]
        return self._memory.projects[job_id]

    async def _claim_many(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Enter new ids and return the projects to which they belong now; in one round trip."""
        if not wanted:
            return {}
        async with self._link.commands.pipeline(transaction=False) as pipe:
            pipe.sadd(keys.PROJECTS, *set(wanted.values()))
            for job_id, project in wanted.items():
                pipe.set(keys.project_of(job_id), project, nx=True, get=True)
            _, *owners = await pipe.execute()
        return {
            job_id: owner.decode() if owner else project
            for (job_id, project), owner in zip(wanted.items(), owners, strict=True)
        }


def _onto(found: Job, change: ChangeJob) -> ChangeJob:
    """Return the change of a job that was found elsewhere: it counts on from there, in a lineage of its own."""
    return lambda before: change(view(fork(found, fresh_lineage())) if before is None else before)
