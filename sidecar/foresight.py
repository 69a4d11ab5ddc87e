"""What is known of jobs before they have said anything: what is declared of their type, and what is usual of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sidecar.background.baselines import Baselines
from sidecar.core import usual
from sidecar.core.job import PlannedStage, Update, Usual
from sidecar.core.stages import JOB, plan_of
from sidecar.core.stalls import Limits
from sidecar.core.view import View
from sidecar.job_types import JobTypes

Plan = tuple[PlannedStage, ...]


class KnownType(NamedTuple):
    """What holds for the next job of a type; `usual_seconds` is the median of the last ones, None if too few."""

    job_type: str
    plan: Plan
    limits: Limits
    usual_seconds: float | None


class Foresight:
    """Gives a worker's first word of an attempt what the worker need not say."""

    def __init__(self, types: JobTypes, baselines: Baselines) -> None:
        """Keep what is declared and what is usual."""
        self._types = types
        self._baselines = baselines

    def informed(self, update: Update, before: View | None) -> Update:
        """Return the update with the plan and the past that hold for it.

        Stages that nobody gives weights are weighed by how long they usually take, and keep these weights: they are
        as they were when the job was first told of them. Raises `InvalidUpdate` for stages that its type does not take.
        """
        job_type = before.job.job_type if before is not None else update.job_type or "default"
        self._types.check(job_type, update)
        is_begin = before is None or (update.attempt or 0) > before.job.attempt.number
        if not is_begin and not _may_plan(before) and (update.plan is None or update.is_weighed):
            return update
        known = self._baselines.usual(job_type)
        told = update._replace(usual=known) if is_begin and known else update
        if update.plan is not None:
            return told if update.is_weighed else told._replace(plan=_weighed(update.plan, before, known))
        return told._replace(plan=self._plan(job_type, known)) if _may_plan(before) else told

    def known_types(self, *, is_every_project_seen: bool) -> list[KnownType]:
        """Return what is known of the declared types, and if that may be seen of all in which a job has completed."""
        seen = self._baselines.succeeded.keys() if is_every_project_seen else ()
        return [self._known(job_type) for job_type in sorted({*self._types.names, *seen})]

    def _known(self, job_type: str) -> KnownType:
        known = self._baselines.usual(job_type)
        took = next((each.seconds for each in known if each.stage == JOB), None)
        return KnownType(job_type, self._plan(job_type, known) or (), self._baselines.limits(job_type), took)

    def _plan(self, job_type: str, known: Sequence[Usual]) -> Plan | None:
        declared = self._types.plan(job_type)
        if declared is None:
            return usual.plan(known)
        return declared if self._types.is_weighed(job_type) else _weighed(declared, None, known)


def _may_plan(before: View | None) -> bool:
    """Whether a job may yet be given a plan: it has none, and no work was reported of it."""
    return before is None or (before.job.plan is None and before.job.attempt.worked is None)


def _weighed(announced: Plan, before: View | None, known: Sequence[Usual]) -> Plan:
    """Return stages without weights of their own with those that they had before, else with the usual ones."""
    former: Mapping[str, float] = {} if before is None else {each.name: each.weight for each in plan_of(before.job)}
    if all(stage.name in former for stage in announced):
        return tuple(stage._replace(weight=former[stage.name]) for stage in announced)
    return usual.weighed(announced, known) or announced
