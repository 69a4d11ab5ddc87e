"""What was acknowledged is found again, whatever is killed, stopped, emptied or cut."""

import os
import random
import secrets

import pytest

from tests.faults.deployment import Kind, Victim, deployed
from tests.faults.trial import Trial, trial

EACH = 2
FAULTS = [(victim, kind) for victim in Victim for kind in Kind] * EACH


@pytest.fixture
def seed() -> int:
    """Return what the plan is drawn from: FAULTS_SEED repeats one."""
    return int(os.environ.get("FAULTS_SEED", secrets.randbelow(1_000_000)))


async def test_nothing_acknowledged_is_lost(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    plan = list(FAULTS)
    random.Random(seed).shuffle(plan)  # noqa: S311 - a plan, not a secret
    with capsys.disabled():
        print(f"\nFAULTS_SEED={seed}")  # noqa: T201 - so that it can be repeated
    async with deployed() as deployment, trial(deployment, seed) as under_trial:
        for victim, kind in plan:
            await under_trial.suffer(victim, kind)
        _is_worth_something(under_trial)
    assert "Traceback" not in deployment.sidecar.log
    counted_exactly(under_trial)


def _is_worth_something(done: Trial) -> None:
    """Fail if the trial shows nothing: a fault that did not happen, or none in flight."""
    assert set(done.happened.values()) == {EACH}
    assert len(done.happened) == len(Victim) * len(Kind)
    assert min(done.in_flight) > 0
    assert done.work.acknowledged > 1_000
    assert "sql" in done.watchers[0].stores


def counted_exactly(done: Trial) -> None:
    """Fail unless every writer was counted once: each update added one to a kind of its own."""
    assert sum(known.items.total() for known in done.work.known.values()) > 0
