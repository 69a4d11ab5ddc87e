"""What a job is given before it has said anything."""

import pytest

from sidecar.background.baselines import Baselines
from sidecar.core import merge
from sidecar.core.job import PlannedStage, Update
from sidecar.core.stages import plan_of
from sidecar.core.stalls import DEFAULT
from sidecar.core.usual import LEAST_RUNS, Run
from sidecar.core.view import View
from sidecar.foresight import Foresight
from sidecar.job_types import DeclaredStage, DeclaredType, JobTypes
from tests.core.updates import NOON, update
from tests.pasts import Past

RUNS = [Run(100.0, {"load": 20.0, "solve": 80.0})] * LEAST_RUNS
DECLARED = {
    "weighed": DeclaredType(stages=(DeclaredStage(name="load", weight=3), DeclaredStage(name="solve"))),
    "named": DeclaredType(stages=(DeclaredStage(name="load"), DeclaredStage(name="solve", label="Solving"))),
}


@pytest.fixture
async def foresight() -> Foresight:
    """Return one that knows all three types by their past, and two by what is declared."""
    types = JobTypes(DECLARED, DEFAULT)
    baselines = Baselines(Past(dict.fromkeys(("learnt", "named", "weighed"), RUNS)), types.limits)
    await baselines.refresh()
    return Foresight(types, baselines)


def told(foresight: Foresight, given: Update, before: View | None = None) -> View:
    """Return what becomes of a job that is told an update."""
    return merge.applied(before, foresight.informed(given, before), NOON).view


def weights(shown: View) -> list[tuple[str, float]]:
    return [(stage.name, stage.weight) for stage in plan_of(shown.job)]


async def test_a_type_of_which_nothing_is_declared_has_the_stages_that_it_usually_has(foresight: Foresight) -> None:
    shown = told(foresight, update(job_type="learnt", stage="load"))
    assert weights(shown) == [("load", 20.0), ("solve", 80.0)]
    assert [each.stage for each in shown.job.attempt.usual] == ["", "load", "solve"]
    assert shown.eta is not None
    assert shown.eta.seconds == 100.0


async def test_a_job_that_began_with_a_heartbeat_has_them_when_it_first_reports_work(foresight: Foresight) -> None:
    shown = told(foresight, update(job_type="learnt"))
    assert weights(shown) == []
    assert weights(told(foresight, update(stage="load"), shown)) == [("load", 20.0), ("solve", 80.0)]


async def test_a_job_that_works_already_is_given_none(foresight: Foresight) -> None:
    shown = told(foresight, update(job_type="new", current=1))
    other = shown._replace(job=shown.job._replace(job_type="learnt"))
    assert weights(told(foresight, update(current=2), other)) == []


async def test_a_type_of_which_nothing_is_known_has_none(foresight: Foresight) -> None:
    shown = told(foresight, update(job_type="new", stage="load"))
    assert (weights(shown), shown.job.attempt.usual) == ([], ())


async def test_declared_weights_stay_as_they_are(foresight: Foresight) -> None:
    assert weights(told(foresight, update(job_type="weighed", stage="load"))) == [("load", 3.0), ("solve", 1.0)]


async def test_declared_stages_without_weights_weigh_what_they_usually_take(foresight: Foresight) -> None:
    shown = told(foresight, update(job_type="named", stage="load"))
    assert weights(shown) == [("load", 20.0), ("solve", 80.0)]
    assert plan_of(shown.job)[1].label == "Solving"


async def test_a_worker_s_weights_stay_as_they_are(foresight: Foresight) -> None:
    plan = (PlannedStage("load", 1.0), PlannedStage("solve", 2.0))
    assert weights(told(foresight, update(job_type="learnt", plan=plan))) == [("load", 1.0), ("solve", 2.0)]


async def test_a_worker_s_stages_without_weights_weigh_what_they_usually_take(foresight: Foresight) -> None:
    plan = (PlannedStage("load"), PlannedStage("solve"))
    given = update(job_type="learnt", plan=plan)._replace(is_weighed=False)
    assert weights(told(foresight, given)) == [("load", 20.0), ("solve", 80.0)]
    other = update(job_type="learnt", plan=(*plan, PlannedStage("new")))._replace(is_weighed=False)
    assert weights(told(foresight, other)) == [("load", 1.0), ("solve", 1.0), ("new", 1.0)]


async def test_stages_that_are_named_again_keep_their_weights(foresight: Foresight) -> None:
    plan = (PlannedStage("load", 7.0), PlannedStage("solve", 1.0))
    shown = told(foresight, update("w", 1, job_type="learnt", plan=plan))
    again = update("w", 2, plan=(PlannedStage("load"), PlannedStage("solve")))._replace(is_weighed=False)
    assert weights(told(foresight, again, shown)) == [("load", 7.0), ("solve", 1.0)]


async def test_the_past_is_that_of_when_the_attempt_began(foresight: Foresight) -> None:
    shown = told(foresight, update("w", 1, job_type="learnt", stage="load"))
    first = shown.job.attempt.usual
    bare = shown._replace(job=shown.job._replace(attempt=shown.job.attempt._replace(usual=())))
    assert told(foresight, update("w", 2, current=1), bare).job.attempt.usual == ()
    assert told(foresight, update("w", 1, attempt=2), bare).job.attempt.usual == first


async def test_types_that_only_turned_up_are_told_to_who_may_see_everything(foresight: Foresight) -> None:
    seen = foresight.known_types(is_every_project_seen=True)
    assert [each.job_type for each in seen] == ["default", "learnt", "named", "weighed"]
    assert [each.job_type for each in foresight.known_types(is_every_project_seen=False)] == [
        "default",
        "named",
        "weighed",
    ]
    assert [(each.usual_seconds, each.limits.overdue_seconds) for each in seen[:2]] == [(None, None), (100.0, 150.0)]
    assert [stage.name for stage in seen[1].plan] == ["load", "solve"]
