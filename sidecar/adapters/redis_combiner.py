"""Many updates in one call: what arrives while a call is under way goes out together in the next one."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sidecar.adapters.keys import ProjectKeys
from sidecar.adapters.pending import Change, MovedError, Together, taken
from sidecar.adapters.redis_documents import Held, Recent, held, read_all, write_arguments
from sidecar.adapters.redis_link import Arguments, RedisLink, Script
from sidecar.core.errors import Conflict, SidecarError, StoreUnavailable
from sidecar.core.job import Event
from sidecar.core.merge import Outcome, fork
from sidecar.core.view import View
from sidecar.ports import ChangeJob, Cursor, Written

logger = logging.getLogger(__name__)

BYTES_A_CALL = 256 * 1024
"""Of documents; a longer script would hold up everybody else's commands."""

CHANGES_IN_FLIGHT = 4_096
"""Beyond it callers wait for a place, with the deadline of a store call."""

JOBS_CACHED = 4_096
OUTBOX_ENTRIES = 100_000
"""Timeline events kept of each project, approximately."""

NOWHERE = Cursor("", 0)


@dataclass(slots=True)
class Decision:
    """What the changes of one job come to: the job before and after, its timeline, and each caller's answer."""

    known: Held | None
    changes: list[Change]
    view: View | None
    events: list[Event] = field(default_factory=list)
    outcomes: list[tuple[Change, Outcome | Exception]] = field(default_factory=list)

    @property
    def is_write(self) -> bool:
        """Whether there is anything to store."""
        return self.view is not (self.known.view if self.known else None)

    def answer(self, cursor: Cursor) -> None:
        """Give each caller its answer; one that has gone away is passed over."""
        for change, outcome in self.outcomes:
            if change.answer.done():
                continue
            if isinstance(outcome, Exception):
                change.answer.set_exception(outcome)
            else:
                change.answer.set_result(Written(outcome, cursor))


JobKey = tuple[str, str]
"""A project and a job's id."""

Write = tuple[Decision, list[Any]]
"""A decision, and what the script takes of it."""


class Combiner:
    """Writes changes, one call of each project at a time; a caller that goes away harms nobody.

    What was last written is remembered, so that the usual change is one round trip. Only a write proves that the
    memory was right: what is decided without one is decided again on what Redis holds.
    """

    def __init__(self, link: RedisLink) -> None:
        """Keep the link."""
        self._link = link
        self._script = Script("live.lua")
        self._held: Recent[str, Held] = Recent(JOBS_CACHED)
        self._places = asyncio.Semaphore(CHANGES_IN_FLIGHT)
        self._queue: deque[Change] = deque()
        self._flushing: asyncio.Task[None] | None = None

    def forget(self, job_id: str) -> None:
        """Drop what is remembered of a job."""
        self._held.pop(job_id, None)

    async def submit(self, project: str, job_id: str, change: ChangeJob, *, is_entered: bool) -> Written:
        """Apply a change with the next call; raises what the change raises, `MovedError`, or an `Unavailable`."""
        await self._take_place()
        try:
            answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
            self._enqueue(Change(project, job_id, change, is_entered, answer, self._due()))
            return await answer
        finally:
            self._places.release()

    async def submit_many(
        self, project: str, changes: Sequence[tuple[str, ChangeJob]], entered: Container[str]
    ) -> list[Written | Exception]:
        """Apply changes with the next calls, those of one job in order; `entered` as `is_entered` of `submit`.

        Returns for each what came of it or what `submit` would have raised.
        """
        together = Together(self._places.release)
        error: SidecarError = StoreUnavailable("the write broke off")
        for job_id, change in changes:
            try:
                await self._take_place()
            except SidecarError as full:
                error = full
                break
            self._enqueue(Change(project, job_id, change, job_id in entered, together.slot(), self._due()))
        await together.wait()
        answers = [slot.result or error for slot in together.slots]
        return answers + [error] * (len(changes) - len(answers))

    async def _take_place(self) -> None:
        if self._places.locked():
            async with self._link.deadline():
                await self._places.acquire()
        else:
            await self._places.acquire()

    def _due(self) -> float:
        return asyncio.get_running_loop().time() + self._link.timeout_seconds

    def _enqueue(self, change: Change) -> None:
        """Let a change wait for its call; a task of its own makes the calls while any waits."""
        self._queue.append(change)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_until_empty(), name="flush")
            self._flushing.add_done_callback(_flushed)

    async def _flush_until_empty(self) -> None:
        batch: list[Change] = []
        try:
            while self._queue:
                batch, overdue = taken(self._queue, asyncio.get_running_loop().time())
                self._fail(overdue, StoreUnavailable("Redis is too slow: the update waited too long for its turn"))
                try:
                    async with self._link.deadline():
                        await self._flush(batch)
                except SidecarError as error:
                    self._fail(batch, error)
        finally:
            self._flushing = None
            left, self._queue = self._queue, deque()
            self._fail(chain(batch, left), StoreUnavailable("the write broke off"))

    def _fail(self, changes: Iterable[Change], error: SidecarError) -> None:
        for change in changes:
            if not change.answer.done():
                self._held.pop(change.job_id, None)
                change.answer.set_exception(error)

    async def _flush(self, batch: list[Change]) -> None:
        """Decide and write one batch; what must be decided again goes back to the front of the queue."""
        by_job: dict[JobKey, list[Change]] = {}
        for change in batch:
            by_job.setdefault((change.project, change.job_id), []).append(change)
        fresh = await self._read([job for job in by_job if not self._is_remembered(*job)])
        again: list[Change] = []
        writes: dict[str, list[Write]] = {}
        size = 0
        for (project, job_id), changes in by_job.items():
            is_fresh = (project, job_id) in fresh
            known = fresh[project, job_id] if is_fresh else self._held.get(job_id)
            if size > BYTES_A_CALL or (known is None and not is_fresh):  # the latter: forgotten while others were read
                again += changes
                continue
            decision = _decided(project, known, changes)
            if decision.view is not None and decision.is_write:
                arguments = _arguments(decision, decision.view)
                writes.setdefault(project, []).append((decision, arguments))
                size += sum(len(argument) for argument in arguments if isinstance(argument, bytes))
            elif is_fresh:
                decision.answer(known.cursor if known else NOWHERE)
            else:
                self._held.pop(job_id, None)
                again += changes
        self._queue.extendleft(reversed(again))
        if writes:
            await self._write(writes)

    def _is_remembered(self, project: str, job_id: str) -> bool:
        known = self._held.get(job_id)
        return known is not None and known.job.project == project

    async def _read(self, jobs: list[JobKey]) -> dict[JobKey, Held | None]:
        """Return jobs as they stand in Redis."""
        if not jobs:
            return {}
        by_project: dict[str, list[str]] = {}
        for project, job_id in jobs:
            by_project.setdefault(project, []).append(job_id)
        found: dict[JobKey, Held | None] = {}
        for (project, job_ids), held_ones in zip(
            by_project.items(), await read_all(self._link, by_project), strict=True
        ):
            found |= zip(((project, job_id) for job_id in job_ids), held_ones, strict=True)
        return found

    async def _write(self, writes: dict[str, list[Write]]) -> None:
        """Store what was decided, in a call for each project but one round trip."""
        answers = await self._link.evaluate_all(self._script, [_call(*each) for each in writes.items()])
        for mine, answer in zip(writes.values(), answers, strict=True):
            if isinstance(answer, SidecarError):
                self._fail(chain.from_iterable(decision.changes for decision, _ in mine), answer)
            elif isinstance(answer, Exception):
                raise answer
            else:
                self._written(mine, answer)

    def _written(self, writes: list[Write], answer: list[Any]) -> None:
        """Answer the callers of what was stored, and let the others be decided again."""
        epoch = answer[0].decode()
        for (decision, arguments), result in zip(writes, answer[1:], strict=True):
            job_id = decision.changes[0].job_id
            if result[0] == 1 and decision.view is not None:
                cursor = Cursor(epoch, int(result[1]))
                self._held[job_id] = Held(_owned(decision.view, epoch), arguments[2], cursor)
                decision.answer(cursor)
            else:
                self._held.pop(job_id, None)
                if result[2] is not None:
                    self._held[job_id] = held(result[1:], epoch)
                self._queue.extendleft(reversed(decision.changes))


def _flushed(flush: "asyncio.Task[None]") -> None:
    if not flush.cancelled() and flush.exception() is not None:
        logger.error("a flush crashed", exc_info=flush.exception())


def _call(project: str, writes: list[Write]) -> tuple[list[str], Arguments]:
    """Return the keys of a project's call, and what makes its arguments."""
    place = ProjectKeys(project)
    keys = [*place.indexes(), *(place.job(decision.changes[0].job_id) for decision, _ in writes)]
    parts = list(chain.from_iterable(arguments for _, arguments in writes))
    return keys, lambda run_id: [secrets.token_hex(4), run_id, OUTBOX_ENTRIES, *parts]


def _decided(project: str, known: Held | None, changes: list[Change]) -> Decision:
    """Apply the changes of one job one after another; a first one may only create it in this project."""
    decision = Decision(known, changes, known.view if known else None)
    for change in changes:
        if decision.view is None and not change.is_entered:
            change.answer.set_exception(MovedError())
            continue
        before = decision.view
        outcome = _outcome(project, change, before)
        decision.outcomes.append((change, outcome))
        if isinstance(outcome, Outcome) and (before is None or outcome.job is not before.job):
            decision.events += outcome.events
            decision.view = outcome.view
    return decision


def _outcome(project: str, change: Change, before: View | None) -> Outcome | Exception:
    """Return what a change decides, or what it raises: whatever one caller meets must not fail the others."""
    try:
        outcome = change.change(before)
    except Exception as error:  # noqa: BLE001 - handed on to the caller, unread
        return error
    if outcome.job.project != project:
        return Conflict("the job has another project; a job never changes it")
    return outcome


def _arguments(decision: Decision, shown: View) -> list[Any]:
    tag = decision.known.tag + 1 if decision.known else secrets.randbits(48)
    return write_arguments(decision.known, shown, tag, decision.events)


def _owned(shown: View, epoch: str) -> View:
    """Return the view of a job that counts on in the lineage of the epoch."""
    job = fork(shown.job, epoch)
    return shown if job is shown.job else shown._replace(job=job)
