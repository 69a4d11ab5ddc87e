"""The live store in Redis: compare-and-set in one script, with every index, the outbox and the word to listeners."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from functools import partial

from sidecar.adapters.codec import decode_event, encode_event, encode_notice
from sidecar.adapters.decision import Admit
from sidecar.adapters.lineage import fresh_lineage
from sidecar.adapters.pending import CHANGES_A_CALL, MovedError
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.census import read_counts, read_outstanding
from sidecar.adapters.redis.combiner import Combiner, admit_all
from sidecar.adapters.redis.documents import DueAt, Held, count_field, never, read_changes
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import RedisLink, Script
from sidecar.adapters.redis.listing import read_page
from sidecar.adapters.redis.reads import RedisReads
from sidecar.core.errors import SidecarError, Unavailable
from sidecar.core.job import Event, Job
from sidecar.core.merge import fork, united
from sidecar.core.view import View, view
from sidecar.ports import ChangeJob, Counts, Missed, Page, Query, Stored, Written

OUTBOX_CHUNK = 1_000
TOMBSTONE_SECONDS = 3_600.0
REMEMBERED_SECONDS = TOMBSTONE_SECONDS / 2
"""A job that is remembered and is nowhere else any more: later than this it was deleted."""

Elsewhere = Callable[[Sequence[str]], Awaitable[Mapping[str, Job]]]
"""Finds jobs that are no longer here, by id: a finished one must not rise again as a new one."""

Changes = Sequence[tuple[str, ChangeJob]]


async def nowhere(_: Sequence[str]) -> Mapping[str, Job]:
    """Find nothing: there is no other place."""
    return {}


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
        self._missed = missed
        self._link = link
        self._clock = clock
        self._elsewhere = elsewhere
        self._redis = link.commands
        self._combiner = Combiner(link, admit, due_at)
        self._delete_script = Script("delete.lua")
        self._reads = RedisReads(link)
        self._projects = self._reads.projects

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
        found = (await self._found([job_id])).get(job_id)
        async with self._link.deadline():
            project = await self._claim(job_id, found.project if found else change(None).job.project)
        if found is not None and view(found).is_finished:
            change = _onto(found, change)
        elif found is not None:  # it was lost, and is put back as it was before it changes
            self._missed()
            await self._join(project, found)
        return await self._combiner.submit(project, job_id, change, is_entered=True)

    async def put_back(self, job: Job) -> Written:
        """Give back a job that was lost here, joined with what is here again by now. Raises an `Unavailable`."""
        async with self._link.deadline():
            project = await self._claim(job.job_id, job.project)
        return await self._join(project, job)

    async def _join(self, project: str, job: Job) -> Written:
        put_back = partial(united, other=job, now=self._clock())
        return await self._combiner.submit(project, job.job_id, put_back, is_entered=True)

    async def update_many(self, changes: Changes) -> list[Written | Exception]:
        """Apply changes of many jobs; see `LiveStore`."""
        try:
            changes, entered, answers = await self._enter(changes)
        except SidecarError as error:
            return [error] * len(changes)
        by_project: dict[str, list[int]] = {}
        for index, (job_id, _) in enumerate(changes):
            if index not in answers:
                by_project.setdefault(self._projects.get(job_id) or entered[job_id], []).append(index)
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

    async def _enter(self, changes: Changes) -> tuple[Changes, dict[str, str], dict[int, Written | Exception]]:
        """Look up the projects of ids that are not remembered, and enter new ids for what their first change names.

        Jobs that were lost are put back first. Returns the changes, those of finished jobs found elsewhere on what was
        found; the projects of the ids entered; and the answers to changes that fail even to create their job.
        """
        answers: dict[int, Written | Exception] = {}
        unknown = list(dict.fromkeys(job_id for job_id, _ in changes if job_id not in self._projects))
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
            self._projects[job_id] = project
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
            if (kept := self.with_memory(job_id, found.get(job_id))) is not None:
                found[job_id] = kept
        if not found:
            return found
        buried = await self._reads.buried([(job.project, job_id) for job_id, job in found.items()])
        return {job_id: job for job_id, job in found.items() if (job.project, job_id) not in buried}

    def with_memory(self, job_id: str, kept: Job | None) -> Job | None:
        """Return a job as it is kept elsewhere, and at least as new as this process was last acknowledged.

        One that is nowhere else, and was not heard of for long, was deleted.
        """
        held = self._combiner.last_written(job_id)
        if held is None:
            return kept
        if kept is not None:
            return united(held.view, kept, self._clock()).job
        return held.job if held.job.updated_at > self._clock() - REMEMBERED_SECONDS else None

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

    def last_written(self, job_id: str) -> Held | None:
        """Return a job as this process wrote it last, None if it is not remembered."""
        return self._combiner.last_written(job_id)

    def remembered(self) -> list[Held]:
        """Return what this process wrote last."""
        return self._combiner.remembered()

    def forget_all(self) -> None:
        """Remember nothing: the server may have lost what it had acknowledged."""
        self._combiner.forget_all()
        self._projects.clear()

    def forget(self, job_ids: Iterable[str]) -> None:
        """Remember nothing of jobs that have left."""
        for job_id in job_ids:
            self._combiner.forget(job_id)
            self._projects.pop(job_id, None)

    async def get(self, job_id: str) -> Stored | None:
        """Return the job as Redis holds it now."""
        held = await self._reads.get(job_id)
        if held is None:
            return None
        lacked = self._combiner.lacked_by(held)
        if lacked is None:
            return Stored(held.view, held.cursor)
        written = await self.put_back(lacked)
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
                if await self._try_delete(held):
                    self._combiner.forget(job_id)
                    self._projects.pop(job_id, None)
                    await self._redis.delete(keys.project_of(job_id))
                    return True
        return False

    async def counts(self) -> Counts:
        """Return how many jobs there are; see `Census`."""
        async with self._link.deadline():
            return await read_counts(self._redis)

    async def outstanding(self, limit: int) -> list[View]:
        """Return unfinished jobs, the most pressing first; see `Census`."""
        async with self._link.deadline():
            return await read_outstanding(self._link, limit)

    async def _claim(self, job_id: str, project: str) -> str:
        """Enter a new id for a project and return it, or the project that somebody else was faster to enter."""
        self._projects[job_id] = (await self._claim_many({job_id: project}))[job_id]
        return self._projects[job_id]

    async def _claim_many(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Enter new ids and return the projects to which they belong now; in one round trip."""
        if not wanted:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.sadd(keys.PROJECTS, *set(wanted.values()))
            for job_id, project in wanted.items():
                pipe.set(keys.project_of(job_id), project, nx=True, get=True)
            _, *owners = await pipe.execute()
        return {
            job_id: owner.decode() if owner else project
            for (job_id, project), owner in zip(wanted.items(), owners, strict=True)
        }

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


def _onto(found: Job, change: ChangeJob) -> ChangeJob:
    """Return the change of a job that was found elsewhere: it counts on from there, in a lineage of its own."""
    return lambda before: change(view(fork(found, fresh_lineage())) if before is None else before)
