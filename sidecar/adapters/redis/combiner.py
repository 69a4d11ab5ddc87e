"""Many updates in one call: what arrives while a call is under way goes out together in the next one."""

import asyncio
import secrets
from collections.abc import Container, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from sidecar.adapters.queues.decision import Admit, Decision, decided
from sidecar.adapters.queues.flush_queue import FlushQueue
from sidecar.adapters.queues.pending import Change
from sidecar.adapters.redis import keys
from sidecar.adapters.redis.documents import (
    DueAt,
    Held,
    held_if_readable,
    never,
    read_each,
    write_arguments,
)
from sidecar.adapters.redis.keys import ProjectKeys
from sidecar.adapters.redis.link import Arguments, RedisLink, Script
from sidecar.adapters.redis.memory import Memory
from sidecar.core.errors import SidecarError, Unreadable
from sidecar.core.job import Job
from sidecar.core.merge import Outcome, fork, united
from sidecar.core.view import View
from sidecar.ports import ChangeJob, Cursor, Written
from sidecar.tasks import unheeded

BYTES_A_CALL = 256 * 1024
"""Of documents; a longer script would hold up everybody else's commands."""

NOWHERE = Cursor("", 0)

JobKey = tuple[str, str]
"""A project and a job's id."""


class Write(NamedTuple):
    """A decision, the job as it was known, and what the script takes of it."""

    decision: Decision
    known: Held | None
    arguments: list[Any]


def admit_all(outcome: Outcome) -> Outcome:
    """Let every outcome be stored as it is."""
    return outcome


class Combiner:
    """Writes changes, one call of each project at a time; a caller that goes away harms nobody.

    What was last written is remembered, so that the usual change is one round trip; and so that it can be given back
    to a Redis that has lost it. Only a write proves that the memory was right: what is decided without one is decided
    again on what Redis holds.
    """

    def __init__(self, link: RedisLink, memory: Memory, admit: Admit = admit_all, due_at: DueAt = never) -> None:
        """Keep the link, what is remembered, what may be stored, and what tells when a job should be looked at."""
        self._due_at = due_at
        self._link = link
        self._admit = admit
        self._script = Script("live.lua")
        self._memory = memory
        self._doubted: set[str] = set()
        self._queue = FlushQueue(self._flush_in_time, link.timeout_seconds)

    async def submit(self, project: str, job_id: str, change: ChangeJob, *, is_entered: bool) -> Written:
        """Apply a change with the next call; see `FlushQueue`."""
        return await self._queue.submit(project, job_id, change, is_entered=is_entered)

    async def submit_many(
        self, project: str, changes: Sequence[tuple[str, ChangeJob]], entered: Container[str]
    ) -> list[Written | Exception]:
        """Apply changes with the next calls; see `FlushQueue`."""
        return await self._queue.submit_many(project, changes, entered)

    async def _flush_in_time(self, batch: list[Change]) -> None:
        async with self._link.deadline():
            await self._flush(batch)

    async def _flush(self, batch: list[Change]) -> None:
        """Decide and write one batch; what must be decided again goes back to the front of the queue."""
        by_job: dict[JobKey, list[Change]] = {}
        for change in batch:
            by_job.setdefault((change.project, change.job_id), []).append(change)
        fresh = await self._read([job for job in by_job if not self._is_remembered(*job)])
        again: list[Change] = []
        writes: dict[str, list[Write]] = {}
        size = 0
        for (project, job_id), asked in by_job.items():
            is_fresh = (project, job_id) in fresh
            known, changes = self._memory.last_written(job_id), asked
            if is_fresh:
                read = fresh[project, job_id]
                if isinstance(read, Unreadable):
                    self._queue.fail(asked, read)
                    continue
                known, changes = self._met(read, asked)
            if size > BYTES_A_CALL or (known is None and not is_fresh):  # the latter: forgotten while others were read
                again += changes
                continue
            decision = decided(project, known.view if known else None, changes, self._admit)
            if decision.view is not None and decision.is_write:
                arguments = self._arguments(decision, decision.view, known)
                writes.setdefault(project, []).append(Write(decision, known, arguments))
                size += sum(len(argument) for argument in arguments if isinstance(argument, bytes))
            elif is_fresh:
                decision.answer(known.cursor if known else NOWHERE)
            else:
                self._doubted.add(job_id)
                again += changes
        self._queue.put_back(again)
        if writes:
            await self._write(writes)

    def _arguments(self, decision: Decision, shown: View, known: Held | None) -> list[Any]:
        tag = known.tag + 1 if known else secrets.randbits(48)
        return write_arguments(known, shown, tag, decision.events, self._due_at)

    def _is_remembered(self, project: str, job_id: str) -> bool:
        known = self._memory.last_written(job_id)
        return known is not None and known.job.project == project and job_id not in self._doubted

    async def _read(self, jobs: list[JobKey]) -> dict[JobKey, Held | Unreadable | None]:
        """Return jobs as they stand in Redis."""
        if not jobs:
            return {}
        by_project: dict[str, list[str]] = {}
        for project, job_id in jobs:
            by_project.setdefault(project, []).append(job_id)
        found: dict[JobKey, Held | Unreadable | None] = {}
        for (project, job_ids), held_ones in zip(
            by_project.items(), await read_each(self._link, by_project), strict=True
        ):
            found |= zip(((project, job_id) for job_id in job_ids), held_ones, strict=True)
        self._doubted.difference_update(job_id for _, job_id in found)
        return found

    async def _write(self, writes: dict[str, list[Write]]) -> None:
        """Store what was decided, in a call for each project but one round trip."""
        answers = await self._link.evaluate_all(self._script, [_call(*each) for each in writes.items()])
        earlier: dict[str, float] = {}
        for (project, mine), answer in zip(writes.items(), answers, strict=True):
            if isinstance(answer, SidecarError):
                self._queue.fail(chain.from_iterable(each.decision.changes for each in mine), answer)
            elif isinstance(answer, Exception):
                raise answer
            else:
                epoch, due, *results = answer
                self._written(mine, epoch.decode(), results)
                if due:
                    earlier[project] = float(due)
        if earlier:  # rarely: as a rule a job that speaks is due later than before
            await self._link.commands.zadd(keys.DUE_PROJECTS, earlier, lt=True)

    def _written(self, writes: list[Write], epoch: str, results: list[Any]) -> None:
        """Answer the callers of what was stored, and let the others be decided again."""
        for (decision, _, arguments), result in zip(writes, results, strict=True):
            job_id = decision.changes[0].job_id
            if result[0] == 1 and decision.view is not None:
                cursor = Cursor(epoch, int(result[1]))
                self._memory.keep(Held(_owned(decision.view, epoch), arguments[2], cursor))
                decision.answer(cursor)
            else:
                if result[2] is None:
                    self._doubted.add(job_id)  # deleted, or lost: what is remembered of it may be all that there is
                    again = list(decision.changes)
                else:
                    read = held_if_readable(result[1:], epoch)
                    if isinstance(read, Unreadable):
                        self._queue.fail(decision.changes, read)
                        continue
                    _, again = self._met(read, list(decision.changes))
                self._queue.put_back(again)

    def _met(self, found: Held | None, changes: list[Change]) -> tuple[Held | None, list[Change]]:
        """Remember a job as it was found in Redis, and return it with the changes to be made of it.

        If it lacks what this process was acknowledged, that is joined in first.
        """
        if found is None:
            return None, changes
        lacked = self._memory.lacked_by(found)
        self._memory.keep(found)
        return found, changes if lacked is None else [_joining(lacked, changes[0]), *changes]


def _joining(job: Job, first: Change) -> Change:
    """Return the change that joins a job in, before the first of those that wait; nobody waits for its answer."""
    answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
    answer.add_done_callback(unheeded)
    join = partial(united, other=job, now=job.updated_at)
    return Change(first.project, first.job_id, join, first.is_entered, answer, first.due)


def _call(project: str, writes: list[Write]) -> tuple[list[str], Arguments]:
    """Return the keys of a project's call, and what makes its arguments."""
    place = ProjectKeys(project)
    names = [*place.indexes(), *(place.job(each.decision.changes[0].job_id) for each in writes)]
    parts = list(chain.from_iterable(each.arguments for each in writes))
    return names, lambda run_id: [secrets.token_hex(4), run_id, *parts]


def _owned(shown: View, epoch: str) -> View:
    """Return the view of a job that counts on in the lineage of the epoch."""
    job = fork(shown.job, epoch)
    return shown if job is shown.job else shown._replace(job=job)
