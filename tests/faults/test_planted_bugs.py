"""That the check can fail, on the whole: with a bug in the source it is red, in the same course without it green."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import ClientSession

from tests.faults import scenarios
from tests.faults.plan import chosen_seed
from tests.faults.planted import OVERWRITING_RECORDER, POSITION_OUTSIDE_THE_TRANSACTION, Bug, planted
from tests.servers.postgres import Postgres

Scenario = Callable[..., Awaitable[list[str]]]


class Case(NamedTuple):
    """A bug, the course of events that brings it out, and a part of what is then found wrong."""

    bug: Bug
    scenario: Scenario
    told: str


POSITION = Case(POSITION_OUTSIDE_THE_TRANSACTION, scenarios.killed_while_it_records, "the timeline lacks")
OVERWRITING = Case(OVERWRITING_RECORDER, scenarios.one_of_two_cut_off, "acknowledged")


@pytest.mark.parametrize("case", [POSITION, OVERWRITING], ids=["position", "overwriting"])
async def test_planted_bug_is_found(tmp_path: Path, postgres: Postgres, session: ClientSession, case: Case) -> None:
    seed = chosen_seed()
    checkout = planted(tmp_path / "checkout", case.bug)
    wrong = await case.scenario(tmp_path / "run", postgres, session, seed, checkout)
    assert any(case.told in line for line in wrong), f"FAULTS_SEED={seed}: found {wrong}"


@pytest.mark.parametrize("scenario", [POSITION.scenario, OVERWRITING.scenario])
async def test_without_the_bug_the_same_is_right(
    tmp_path: Path, postgres: Postgres, session: ClientSession, scenario: Scenario
) -> None:
    seed = chosen_seed()
    wrong = await scenario(tmp_path / "run", postgres, session, seed)
    assert not wrong, f"FAULTS_SEED={seed}\n" + "\n".join(wrong)


async def test_planting_a_bug_fails_where_the_source_has_changed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no longer has"):
        planted(tmp_path / "checkout", Bug("background/recorder.py", {"nobody ever wrote this": "pass"}))
