"""The live store in Redis: compare-and-set in one script, with every index, the outbox and the word to listeners."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sidecar.adapters import keys
from sidecar.adapters.codec import decode_event, decode_job, encode_event, encode_job, encode_row
from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.redis_link import RedisLink, Script
from sidecar.adapters.redis_listing import read_page
from sidecar.core.document import row
from sidecar.core.errors import SidecarError
from sidecar.core.job import Event, Job
from sidecar.core.merge import Outcome, fork
from sidecar.core.view import View, view
from sidecar.ports import ChangeJob, Cursor, Page, Query, Stored, Written

JOBS_CACHED = 4_096
OUTBOX_ENTRIES = 100_000
"""Timeline events kept of each project, approximately."""

OUTBOX_CHUNK = 1_000
TOMBSTONE_SECONDS = 3_600.0

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Held:
    """A job as it stands in Redis; `tag` changes with every write."""

    job: Job
    tag: int
    cursor: Cursor


class Recent(OrderedDict[K, V]):
    """A bounded mapping that forgets what was set longest ago."""

    def __init__(self, most: int) -> None:
        """Keep at most `most` entries."""
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        """Set and keep the bound."""
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class RedisLive:
    """`LiveStore` and `Census` over Redis or Valkey.

    What this process last wrote is remembered, so that the usual update is one round trip. Only a write proves that
    the memory was right: anything decided without one is decided again on what Redis holds.
    """

    def __init__(self, link: RedisLink, clock: Callable[[], float]) -> None:
        """Keep the link; `clock` gives Unix seconds for tombstones and deletions."""
        self._link = link
        self._clock = clock
        self._redis = link.commands
        self._write_script = Script("live.lua")
        self._delete_script = Script("delete.lua")
        self._held: Recent[str, Held] = Recent(JOBS_CACHED)
        self._projects: Recent[str, str] = Recent(JOBS_CACHED * 4)

    async def update(self, job_id: str, change: ChangeJob) -> Written:
        """Apply `change` atomically; see `LiveStore`."""
        async with self._link.deadline():
            while True:
                written = await self._try_update(job_id, change)
                if written is not None:
                    return written

    async def get(self, job_id: str) -> Stored | None:
        """Return the job as Redis holds it now."""
        async with self._link.deadline():
            held = await self._read(job_id)
        return None if held is None else Stored(view(held.job), held.cursor)

    async def page(self, query: Query) -> Page:
        """Return a page of jobs; see `LiveStore`."""
        async with self._link.deadline():
            return await read_page(self._redis, query)

    async def timeline(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Return the job's events from the outbox of its project, oldest first."""
        found: list[Event] = []
        async with self._link.deadline():
            held = await self._read(job_id)
            if held is None:
                return found
            outbox = ProjectKeys(held.job.project).index("outbox")
            start = f"{int(held.job.created_at * 1000) - 60_000}-0"
            while len(found) < limit:
                entries = await self._redis.xrange(outbox, start, "+", OUTBOX_CHUNK)
                mine = (decode_event(entry[b"event"]) for _, entry in entries if entry[b"job"] == job_id.encode())
                found += [event for event in mine if event.number > after]
                if len(entries) < OUTBOX_CHUNK:
                    break
                start = f"({entries[-1][0].decode()}"
        return found[:limit]

    async def delete(self, job_id: str, check: Callable[[Job], None]) -> bool:
        """Forget the job if `check` does not object; see `LiveStore`."""
        async with self._link.deadline():
            while (held := await self._read(job_id)) is not None:
                check(held.job)
                if await self._try_delete(held):
                    self._held.pop(job_id, None)
                    self._projects.pop(job_id, None)
                    await self._redis.delete(keys.project_of(job_id))
                    return True
        return False

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of jobs by type and status over all projects."""
        totals: dict[tuple[str, str], int] = {}
        async with self._link.deadline():
            projects = [project.decode() for project in await self._redis.smembers(keys.PROJECTS)]
            async with self._redis.pipeline(transaction=False) as pipe:
                for project in projects:
                    pipe.hgetall(ProjectKeys(project).index("counts"))
                answers = await pipe.execute()
        for answer in answers:
            for field, number in answer.items():
                job_type, _, status = field.decode().partition("|")
                totals[job_type, status] = totals.get((job_type, status), 0) + int(number)
        return totals

    async def _try_update(self, job_id: str, change: ChangeJob) -> Written | None:
        """Decide on what is remembered, or else on what Redis holds; None if somebody was faster."""
        remembered = self._held.pop(job_id, None)
        held = remembered or await self._read(job_id)
        try:
            outcome = change(held and held.job)
        except SidecarError:
            if remembered is None:
                raise
            return None
        if held is not None and outcome.job is held.job:
            return Written(outcome, held.cursor) if remembered is None else None
        if held is None and not await self._claim(job_id, outcome.job.project):
            return None
        return await self._write(held, outcome)

    async def _claim(self, job_id: str, project: str) -> bool:
        """Enter which project a new id belongs to; False if another project has it."""
        owner = await self._redis.set(keys.project_of(job_id), project, nx=True, get=True)
        self._projects[job_id] = owner.decode() if owner else project
        if owner is None:
            await self._redis.sadd(keys.PROJECTS, project)
        return self._projects[job_id] == project

    async def _write(self, held: Held | None, outcome: Outcome) -> Written | None:
        job = outcome.job
        place = ProjectKeys(job.project)
        tag = held.tag + 1 if held else secrets.randbits(48)
        answer = await self._link.evaluate(
            self._write_script,
            [*place.indexes(), place.job(job.job_id)],
            lambda run_id: [secrets.token_hex(4), run_id, OUTBOX_ENTRIES, *_arguments(held, outcome, tag)],
        )
        epoch, result = answer[0].decode(), answer[1]
        if result[0] == 0:
            if result[2] is not None:
                self._hold(result[1:], epoch)
            return None
        cursor = Cursor(epoch, int(result[1]))
        self._held[job.job_id] = Held(fork(job, epoch), tag, cursor)
        return Written(outcome, cursor)

    async def _try_delete(self, held: Held) -> bool:
        job, now = held.job, self._clock()
        place = ProjectKeys(job.project)
        event = Event(f"{job.lineage}/{job.event_count + 1}", job.event_count + 1, "deleted", now, job.attempt.number)
        answer = await self._link.evaluate(
            self._delete_script,
            [*place.indexes(), place.job(job.job_id)],
            lambda _: [
                *(job.job_id, held.tag, _count_field(view(job)), encode_event(event), OUTBOX_ENTRIES),
                *(encode_row(job.version + 1, None), now, now + TOMBSTONE_SECONDS),
            ],
        )
        return bool(answer)

    async def _read(self, job_id: str) -> Held | None:
        """Read a job; an id whose remembered project has no such job is looked up once more."""
        remembered = self._projects.get(job_id)
        for project in (remembered, None):
            project = project or await self._look_up(job_id)
            if project is None:
                return None
            place = ProjectKeys(project)
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hmget(place.job(job_id), ["tag", "document", "rev"])
                pipe.hget(place.index("rev"), "epoch")
                stored, epoch = await pipe.execute()
            if stored[1] is not None:
                return self._hold(stored, epoch.decode())
            self._projects.pop(job_id, None)
        return None

    async def _look_up(self, job_id: str) -> str | None:
        owner = await self._redis.get(keys.project_of(job_id))
        if owner is None:
            return None
        self._projects[job_id] = owner.decode()
        return self._projects[job_id]

    def _hold(self, stored: list[Any], epoch: str) -> Held:
        job = fork(decode_job(stored[1]), epoch)
        held = self._held[job.job_id] = Held(job, int(stored[0]), Cursor(epoch, int(stored[2])))
        return held


def _arguments(held: Held | None, outcome: Outcome, tag: int) -> list[Any]:
    job, shown = outcome.job, outcome.view
    is_told = held is None or held.job.version != job.version
    return [
        *(job.job_id, held.tag if held else "", tag, encode_job(job)),
        encode_row(job.version, row(shown)) if is_told else b"",
        *(_count_field(view(held.job)) if held else "", _count_field(shown)),
        *(job.created_at, job.updated_at, job.last_progress_at),
        *(int(not shown.is_finished), int(is_told), len(outcome.events)),
        *(encode_event(event) for event in outcome.events),
    ]


def _count_field(shown: View) -> str:
    return f"{shown.job.job_type}|{shown.status}"
