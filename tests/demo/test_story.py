"""The same seed plays the same."""

from itertools import islice

from sidecar.demo.director import players
from sidecar.demo.fates import STALLING, Fate
from sidecar.demo.story import Limits, Part, Step, story

JOBS_EACH = 4


def played(seed: int) -> list[tuple[str, Fate, list[Step]]]:
    """Return the first jobs of every player: of what type, what becomes of them, and all that is said."""
    return [
        (player.kind.job_type, fate, list(story(Part(player.kind, fate, player.dice, Limits))))
        for player in players(seed)
        for _, fate in islice(player.fates, JOBS_EACH)
    ]


def test_a_seed_plays_the_same_jobs_and_another_one_others() -> None:
    assert played(1) == played(1) != played(2)


def test_every_fate_is_dealt_among_the_first_two_jobs_of_everybody() -> None:
    first = [[fate for _, fate in islice(player.fates, 2)] for player in players(3)]
    assert {fate for each in first for fate in each} == set(Fate)
    assert {each[0] for each in first} == {Fate.FINE, *STALLING}


def test_every_story_ends_and_only_what_failed_or_is_stopped_is_not_completed() -> None:
    ends = {(fate, steps[-1].says["status"]) for _, fate, steps in played(4)}
    assert ends == {(fate, "failed" if fate is Fate.FAILED else "completed") for fate in Fate}


def test_no_counter_of_a_stage_passes_its_total() -> None:
    told = [step.says for _, _, steps in played(5) for step in steps]
    counted = [(says["current"], says["total"]) for says in told if "current" in says]
    assert counted
    assert [pair for pair in counted if pair[0] > pair[1]] == []
