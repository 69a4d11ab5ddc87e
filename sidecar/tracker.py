"""The use cases: push, read, list, ask, forget. What may be done is asked of `may`, a predicate on projects."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core import merge, retry
from sidecar.core.changes import summary
from sidecar.core.errors import Conflict, Forbidden, UnknownJob
from sidecar.core.job import Event, Job, Json, Request, Update
from sidecar.core.merge import Outcome
from sidecar.core.view import View, view
from sidecar.history import History, StatsQuery, TypeStats
from sidecar.ports import ChangeJob, Feed, LiveStore, Metrics, Page, Query, Stored, Written
from sidecar.spans import Spans, ended_with, stage_exemplar

MayUse = Callable[[str], bool]
Clock = Callable[[], float]
Informed = Callable[[Update, View | None], Update]

FORBIDDEN = "the token does not reach this project"

SPACING_SECONDS = 0.1
BURST_SECONDS = 1.0
JOBS_PACED = 10_000

ENDS = frozenset({"completed", "failed", "cancelled"})

MOST_WAITING = 10_000
"""Timeline lines of one job that are looked for among those that wait to be recorded."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of an update, and how long the worker should wait before the next one (seconds)."""

    written: Written
    next_update_after_seconds: float


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that was begun, and what the one before it had reached."""

    attempt: int
    previous: Mapping[str, Json]


class Tracker:
    """Every use case in one place; it knows neither HTTP nor Redis."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports between which it stands
        self,
        live: LiveStore,
        feed: Feed,
        history: History,
        metrics: Metrics,
        clock: Clock,
        informed: Informed = lambda update, _: update,
        spans: Spans | None = None,
    ) -> None:
        """Keep the ports; `clock` gives Unix seconds, `informed` an update with what it need not say."""
        self._spans = spans
        self._informed = informed
        self._live = live
        self._feed = feed
        self._history = history
        self._metrics = metrics
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    async def push(self, update: Update, may: MayUse) -> Pushed:
        """Report progress. Raises `InvalidUpdate`, `Conflict`, `Forbidden` or an `Unavailable`."""
        change = self._change(update, may)
        return self._pushed(change, await self._live.update(update.job_id, change))

    async def begin_attempt(self, update: Update, may: MayUse) -> Begun:
        """Begin the next attempt of a job, once for the update's key; of the update it counts who asks.

        Raises `UnknownJob`, `Conflict` on a job that is done, `InvalidUpdate`, or an `Unavailable`.
        """
        job_id = update.job_id

        def decide(before: View | None) -> Outcome:
            if before is None or not may(before.job.project):
                raise UnknownJob(f"there is no job {job_id!r}")
            return retry.begun(before, self._informed(retry.asked(before, update), before), self._clock())

        change = Change(update, decide)
        outcome = (await self._live.update(job_id, change)).outcome
        if outcome.applied and change.before is not None:
            self._count_events(outcome)
            return Begun(outcome.job.attempt.number, summary(change.before))
        number = retry.begun_by(outcome.job.attempt, update.key or "") or outcome.job.attempt.number
        return Begun(number, await self._reached(job_id, number - 1))

    async def push_many(self, updates: Sequence[Update], may: MayUse) -> list[Pushed | Exception]:
        """Report the progress of many jobs: for each what `push` returns, or what it raises."""
        changes = [self._change(update, may) for update in updates]
        answers = await self._live.update_many([(each.update.job_id, each) for each in changes])
        return [
            self._pushed(change, written) if isinstance(written, Written) else written
            for change, written in zip(changes, answers, strict=True)
        ]

    async def get(self, job_id: str, may: MayUse) -> Stored:
        """Return a job. Raises `UnknownJob` also for one that the reader may not see."""
        stored = await self._live.get(job_id)
        if stored is None or not may(stored.view.job.project):
            raise UnknownJob(f"there is no job {job_id!r}")
        return stored

    async def projects(self, may: MayUse) -> list[str]:
        """Return the projects that a reader may see. Raises an `Unavailable`."""
        return [project for project in await self._feed.projects() if may(project)]

    async def page(self, query: Query) -> Page:
        """Return a page of jobs. Raises `Forbidden` when a project is asked for that may not be seen."""
        if query.project is not None and not query.may_see(query.project):
            raise Forbidden(FORBIDDEN)
        return await self._live.page(query)

    async def timeline(self, job_id: str, after: int, limit: int, may: MayUse) -> list[Event]:
        """Return a job's events numbered above `after`: what is recorded, then what still waits for that.

        Raises `UnknownJob` or an `Unavailable`.
        """
        created_at = (await self.get(job_id, may)).view.job.created_at
        waiting = await self._feed.timeline(job_id, 0, MOST_WAITING)
        top, recorded = await self._history.recorded(job_id, [event.id for event in waiting])
        events = await self._history.timeline(job_id, after, limit)  # last: nothing is recorded away in between
        known = recorded | {event.id for event in events}
        tail = _numbered([event for event in waiting if event.id not in known], top)
        mine = [event for event in events if event.at >= created_at]  # an earlier job may have had the id
        return [*mine, *(event for event in tail if event.number > after)][:limit] if len(events) < limit else mine

    async def attempts(self, job_id: str, may: MayUse) -> list[Mapping[str, Json]]:
        """Return what each attempt of a job has reached, the present one last. Raises as `timeline` does."""
        shown = (await self.get(job_id, may)).view
        waiting = await self._feed.timeline(job_id, 0, MOST_WAITING)
        known = [*await self._history.attempts(job_id), *_former(waiting)]
        past = {each["attempt"]: each for each in known if each["attempt"] < shown.job.attempt.number}
        return [*(past[number] for number in sorted(past)), summary(shown)]

    async def _reached(self, job_id: str, number: int) -> Mapping[str, Json]:
        """Return what a former attempt had reached; from the history only if that has it already."""
        waiting = _former(await self._feed.timeline(job_id, 0, MOST_WAITING))
        for each in waiting:
            if each["attempt"] == number:
                return each
        return next((each for each in await self._history.attempts(job_id) if each["attempt"] == number), {})

    async def stats(self, asked: StatsQuery, may: MayUse) -> list[TypeStats]:
        """Return statistics of finished jobs by type. Raises `Forbidden` or an `Unavailable`."""
        if asked.project is not None and not may(asked.project):
            raise Forbidden(FORBIDDEN)
        return await self._history.stats(may, asked)

    async def ask(self, job_id: str, request: Request, may: MayUse) -> Written:
        """Note an operator's wish for the worker. Raises `UnknownJob`, or `Conflict` on a finished job."""

        def change(before: View | None) -> Outcome:
            if before is None or not may(before.job.project):
                raise UnknownJob(f"there is no job {job_id!r}")
            return merge.control(before.job, request, self._clock())

        return await self._live.update(job_id, change)

    async def forget(self, job_id: str, may: MayUse, *, force: bool) -> None:
        """Delete a finished job, with `force` any. Raises `UnknownJob` or `Conflict`."""

        def check(job: Job) -> None:
            if not may(job.project):
                raise UnknownJob(f"there is no job {job_id!r}")
            status = view(job).status
            if not (force or status.is_finished):
                raise Conflict(f"the job is {status}; only a finished one is deleted (or with force=true)")

        if not await self._live.delete(job_id, check):
            raise UnknownJob(f"there is no job {job_id!r}")

    def _change(self, update: Update, may: MayUse) -> "Change":
        def change(before: View | None) -> Outcome:
            project = before.job.project if before is not None else update.project or "default"
            if not may(project):
                raise Forbidden(FORBIDDEN)
            return merge.applied(before, self._informed(update, before), self._clock())

        return Change(update, change)

    def _pushed(self, change: "Change", written: Written) -> Pushed:
        self._count(written.outcome)
        for item, number in change.items_added(written.outcome):
            self._metrics.items_counted(written.outcome.job.job_type, item, number)
        self._trace(written.outcome)
        return Pushed(written, self._slow_down(change.update.job_id))

    def _count(self, outcome: Outcome) -> None:
        self._metrics.pushed(outcome.job.job_type, outcome.reason)
        self._count_events(outcome)

    def _count_events(self, outcome: Outcome) -> None:
        job_type = outcome.job.job_type
        for event in outcome.events:
            if event.type == "started":
                self._metrics.job_started(job_type)
            elif event.type == "stage_started":
                self._metrics.stage_started(job_type, str(event.details["stage"]))
            elif event.type in ENDS:
                self._metrics.job_finished(job_type, event.type, _duration(outcome.view))
                if (ratio := outcome.view.eta_error_ratio) is not None:
                    self._metrics.eta_missed(job_type, ratio)
        for stage in outcome.ended:
            seconds = (stage.finished_at or 0.0) - (stage.started_at or 0.0)
            exemplar = None if self._spans is None else stage_exemplar(outcome.view, stage)
            self._metrics.stage_finished(job_type, stage.name, stage.status, seconds, exemplar)

    def _trace(self, outcome: Outcome) -> None:
        if self._spans is not None:
            for span in ended_with(outcome):
                self._spans.ended(span)

    def _slow_down(self, job_id: str) -> float:
        """Return how far a job is ahead of ten updates a second, once a burst of ten is used up."""
        now = self._clock()
        due = max(now, self._due.pop(job_id, now)) + SPACING_SECONDS
        self._due[job_id] = due
        if len(self._due) > JOBS_PACED:
            self._due.popitem(last=False)
        return max(0.0, round(due - now - BURST_SECONDS, 3))


class Change:
    """The change that an update makes, and what it was last made upon: a store may have it decided more than once."""

    __slots__ = ("_decide", "before", "update")

    def __init__(self, update: Update, decide: ChangeJob) -> None:
        """Keep the parts."""
        self.update = update
        self._decide = decide
        self.before: View | None = None

    def __call__(self, before: View | None) -> Outcome:
        """Decide; see `ChangeJob`."""
        self.before = before
        return self._decide(before)

    def items_added(self, outcome: Outcome) -> Iterator[tuple[str, float]]:
        """Yield by how much each kind of items has grown."""
        if not outcome.applied or not (self.update.items or self.update.add_items):
            return
        before, after = self.before, outcome.view
        is_same = before is not None and before.job.attempt.number == after.job.attempt.number
        known = before.items if before is not None and is_same else {}
        for item, number in after.items.items():
            if number > known.get(item, 0):
                yield item, number - known.get(item, 0)


def _duration(shown: View) -> float | None:
    """Return how long an attempt took, None if its work never began."""
    started, finished = shown.job.attempt.started_at, shown.finished_at
    return None if started is None or finished is None else finished - started


def _former(events: Sequence[Event]) -> Iterator[Mapping[str, Json]]:
    """Yield what attempts had reached when the next one began."""
    for event in events:
        if event.type == "attempt_started" and "previous" in event.details:
            yield event.details["previous"]


def _numbered(events: Sequence[Event], top: int) -> Iterator[Event]:
    """Yield events with the numbers that they will be recorded under, after those up to `top`."""
    for event in events:
        top = max(event.number, top + 1)
        yield event._replace(number=top)
