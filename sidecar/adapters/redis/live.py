"""The live store in Redis: compare-and-set in one script, with every index, the outbox and the word to listeners."""

import asyncio
from collections.abc import Callable, Container, Sequence

from sidecar.adapters.codec import decode_event, encode_event, encode_notice
from sidecar.adapters.queues.decision import Admit
from sidecar.adapters.queues.pending import CHANGES_A_CALL, MovedError
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.census import read_counts, read_outstanding
from sidecar.adapters.redis.combiner import Combiner, admit_all
from sidecar.adapters.redis.documents import TOMBSTONE_SECONDS, DueAt, Held, count_field, never, read_changes
from sidecar.adapters.redis.entrance import Changes, Elsewhere, Entrance, nowhere
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink, Script
from sidecar.adapters.redis.listing import read_page
from sidecar.adapters.redis.memory import Memory
from sidecar.adapters.redis.reads import RedisReads
from sidecar.core.errors import SidecarError, Unavailable
from sidecar.core.job import Event, Job
from sidecar.core.view import View
from sidecar.ports import ChangeJob, Counts, Missed, Page, Query, Stored, Written

OUTBOX_CHUNK = 1_000


class RedisLive:
    """`LiveStore`, `Feed` and `Census` over Redis or Valkey."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a store is told of
        self,
        link: RedisLink,
        clock: Callable[[], float],
        elsewhere: Elsewhere = nowhere,
        admit: Admit = admit_all,
        missed: Callable[[], None] = lambda: None,
        due_at: DueAt = never,
    ) -> None:
        """Keep the link; `clock` gives Unix seconds for tombstones and deletions, `missed` hears of a lost job.

        `due_at` tells when a job should be looked at.
        """
        self.due_at = due_at
        self.memory = Memory(clock)
        self._link = link
        self._clock = clock
        self._redis = link.commands
        self._combiner = Combiner(link, self.memory, admit, due_at)
        self._delete_script = Script("delete.lua")
        self._reads = RedisReads(link, self.memory)
        self._projects = self.memory.projects
        self.entrance = Entrance(link, self._reads, self._combiner, self.memory, clock, elsewhere, missed)

    @property
    def timeout_seconds(self) -> float:
        """How long a call may take."""
        return self._link.timeout_seconds

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply `change` atomically; see `LiveStore`."""
        project = self._projects.get(job_id)
        if project is None:
            async with self._link.deadline():
                project = (await self._reads.look_up([job_id])).get(job_id)
        if project is not None:
            try:
                return await self._combiner.submit(project, job_id, change, is_entered=False)
            except MovedError:
                self._projects.pop(job_id, None)
        project, change = await self.entrance.enter(job_id, change)
        return await self._combiner.submit(project, job_id, change, is_entered=True)

    async def update_many(self, changes: Changes) -> list[Written | Exception]:
        """Apply changes of many jobs; see `LiveStore`."""
        remembered = {job_id: self._projects[job_id] for job_id, _ in changes if job_id in self._projects}
        try:
            changes, entered, answers = await self.entrance.enter_many(changes)
        except SidecarError as error:
            return [error] * len(changes)
        by_project: dict[str, list[int]] = {}
        for index, (job_id, _) in enumerate(changes):
            if index not in answers:
                by_project.setdefault(remembered.get(job_id) or entered[job_id], []).append(index)
        parts = [self._update_in(project, changes, mine, entered) for project, mine in by_project.items()]
        for part in await asyncio.gather(*parts):
            answers |= part
        return [answers[index] for index in range(len(changes))]

    async def _update_in(
        self, project: str, changes: Changes, mine: Sequence[int], entered: Container[str]
    ) -> dict[int, Written | Exception]:
        """Return the answers to those changes that are of one project; once the store is away, the rest fails too."""
        answers: dict[int, Written | Exception] = {}
        last: Written | Exception | None = None
        for start in range(0, len(mine), CHANGES_A_CALL):
            indexes = mine[start : start + CHANGES_A_CALL]
            if isinstance(last, Unavailable):
                answers |= dict.fromkeys(indexes, last)
            else:
                found = await self._combiner.submit_many(project, [changes[index] for index in indexes], entered)
                answers |= dict(zip(indexes, found, strict=True))
            last = answers[indexes[-1]]
        return {index: await self._settled(*changes[index], answer) for index, answer in answers.items()}

    async def _settled(self, job_id: str, change: ChangeJob, answer: Written | Exception) -> Written | Exception:
        """Return an answer, that of another try if the job is no longer where it was remembered."""
        if not isinstance(answer, MovedError):
            return answer
        self._projects.pop(job_id, None)
        try:
            return await self.update(job_id, change)
        except SidecarError as error:
            return error

    async def is_buried(self, job: Job) -> bool:
        """Whether a job was deleted here lately."""
        return await self._reads.is_buried(job)

    async def knows(self, jobs: Sequence[Job]) -> set[str]:
        """Return the ids of those of the jobs that are here, or were deleted here lately."""
        if not jobs:
            return set()
        async with self._link.deadline(), self._redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                place = ProjectKeys(job.project)
                pipe.exists(place.job(job.job_id))
                pipe.zscore(place.index("gone"), job.job_id)
            answers = await pipe.execute()
        found = zip(jobs, answers[::2], answers[1::2], strict=True)
        return {job.job_id for job, is_here, buried in found if is_here or buried is not None}

    async def get(self, job_id: str) -> Stored | None:
        """Return the job as Redis holds it now."""
        held = await self._reads.get(job_id)
        if held is None:
            return None
        lacked = self.memory.lacked_by(held)
        if lacked is None:
            self.memory.read(held)
            return Stored(held.view, held.cursor)
        written = await self.entrance.put_back(lacked)
        return Stored(written.outcome.view, written.cursor)

    async def page(self, query: Query) -> Page:
        """Return a page of jobs; see `LiveStore`."""
        async with self._link.deadline():
            return await read_page(self._link, query)

    async def since(self, project: str, rev: int, limit: int) -> Missed:
        """Return what changed after a rev; see `Feed`."""
        async with self._link.deadline():
            return await read_changes(self._link, project, rev, limit)

    async def projects(self) -> list[str]:
        """Return every project; see `Feed`."""
        async with self._link.deadline():
            return sorted(name.decode() for name in await self._redis.smembers(keys.PROJECTS))

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's events from the outbox of its project, oldest first."""
        found: list[Event] = []
        async with self._link.deadline():
            held = (await self._reads.read([job_id])).get(job_id)
            if held is None:
                return found
            outbox = ProjectKeys(held.job.project).index("outbox")
            start = f"{int(held.job.created_at * 1000) - 60_000}-0"
            while len(found) < limit:
                entries = await self._redis.xrange(outbox, start, "+", OUTBOX_CHUNK)
                mine = (decode_event(entry[b"event"]) for _, entry in entries if entry[b"job"] == job_id.encode())
                found += [event for event in mine if event.number > after and event.at >= held.job.created_at]
                if len(entries) < OUTBOX_CHUNK:
                    break
                start = f"({entries[-1][0].decode()}"
        return found[:limit]

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget the job if `check` does not object; see `LiveStore`."""
        async with self._link.deadline():
            while (held := (await self._reads.read([job_id])).get(job_id)) is not None:
                check(held.job)
                await self._redis.delete(keys.project_of(job_id))  # first: who comes meanwhile enters it again
                if await self._try_delete(held):
                    self.memory.forget([job_id])
                    return True
                await self._redis.set(keys.project_of(job_id), held.job.project, nx=True)
        return False

    async def counts(self) -> Counts:
        """Return how many jobs there are; see `Census`."""
        async with self._link.deadline():
            return await read_counts(self._redis)

    async def outstanding(self, limit: int) -> list[View]:
        """Return unfinished jobs, the most pressing first; see `Census`."""
        async with self._link.deadline():
            return await read_outstanding(self._link, limit)

    async def _try_delete(self, held: Held) -> bool:
        job, now = held.job, self._clock()
        place = ProjectKeys(job.project)
        number, told = job.event_count + 1, {"created_at": job.created_at}
        event = Event(f"{job.lineage}/{number}", number, "deleted", now, job.attempt.number, told)
        answer = await self._link.evaluate(
            self._delete_script,
            [*place.indexes(), place.job(job.job_id)],
            lambda _: [
                *(job.job_id, held.tag, count_field(held.view), encode_event(event)),
                *(encode_notice(job.version + 1, None, is_end=True), now + TOMBSTONE_SECONDS),
            ],
        )
        return bool(answer)
