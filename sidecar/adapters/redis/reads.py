"""Single jobs as Redis has them: which project each is in, as far as that is remembered, and the job itself."""

from collections.abc import Mapping, Sequence
from itertools import chain

from sidecar.adapters.queues.read_queue import ReadQueue
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import Held, read_each
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink
from sidecar.adapters.redis.memory import Memory
from sidecar.core.errors import Unreadable
from sidecar.core.job import Job


class RedisReads:
    """Reads jobs by their ids alone. Methods that raise nothing of ours want a deadline around them."""

    def __init__(self, link: RedisLink, memory: Memory) -> None:
        """Keep the link, and what remembers the projects of ids."""
        self._projects = memory.projects
        self._link = link
        self._redis = link.commands
        self._jobs = ReadQueue(self._read_in_time, link.timeout_seconds)
        self._tombs = ReadQueue(self.buried, link.timeout_seconds)

    async def get(self, job_id: str) -> Held | None:
        """Return a job as it stands now, together with whatever else is read. Raises an `Unavailable`."""
        return await self._jobs.get(job_id)

    async def is_buried(self, job: Job) -> bool:
        """Whether a job was deleted here lately. Raises an `Unavailable`."""
        return await self._tombs.get((job.project, job.job_id)) is not None

    async def buried(self, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
        """Return those of the jobs, by project and id, that were deleted lately, and until when that is known."""
        async with self._link.deadline(), self._redis.pipeline(transaction=False) as pipe:
            for project, job_id in places:
                pipe.zscore(ProjectKeys(project).index("gone"), job_id)
            scores = await pipe.execute()
        return {place: score for place, score in zip(places, scores, strict=True) if score is not None}

    async def look_up(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return, and remember, the projects of those ids that are known; within a deadline."""
        owners = await self._redis.mget([keys.project_of(job_id) for job_id in job_ids])
        found = {job_id: owner.decode() for job_id, owner in zip(job_ids, owners, strict=True) if owner is not None}
        for job_id, project in found.items():
            self._projects[job_id] = project
        return found

    async def missing(self, places: Mapping[str, str]) -> set[str]:
        """Return the ids of those of the jobs, by their projects, that are not there; within a deadline."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id, project in places.items():
                pipe.exists(ProjectKeys(project).job(job_id))
            are_there = await pipe.execute() if places else []
        return {job_id for job_id, is_there in zip(places, are_there, strict=True) if not is_there}

    async def read(self, job_ids: Sequence[str]) -> dict[str, Held]:
        """Return those of the jobs that are here; within a deadline.

        One that is not in the project that is remembered is looked up once more.
        """
        found = await self._read_at({job_id: self._projects[job_id] for job_id in job_ids if job_id in self._projects})
        if missing := [job_id for job_id in job_ids if job_id not in found]:
            found |= await self._read_at(await self.look_up(missing))
        for job_id in missing:
            if job_id not in found:
                self._projects.pop(job_id, None)
        return found

    async def _read_in_time(self, job_ids: Sequence[str]) -> dict[str, Held]:
        async with self._link.deadline():
            return await self.read(job_ids)

    async def _read_at(self, places: Mapping[str, str]) -> dict[str, Held]:
        """Return those of the jobs that are where they are thought to be."""
        by_project: dict[str, list[str]] = {}
        for job_id, project in places.items():
            by_project.setdefault(project, []).append(job_id)
        found: dict[str, Held] = {}
        for held in chain.from_iterable(await read_each(self._link, by_project)) if places else ():
            if isinstance(held, Unreadable):
                raise held
            if held is not None:
                found[held.job.job_id] = held
        return found
