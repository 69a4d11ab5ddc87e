"""Who counts as lost."""

import pytest

from sidecar.core import merge
from sidecar.core.job import Update
from sidecar.core.silence import DEAF_SECONDS, Patience, calm_until, is_lost
from sidecar.core.view import View, view
from tests.core.updates import NOON, job_of, push, update, view_of

PATIENCE = Patience(lost_seconds=60, abandoned_seconds=600)


def saying(status: str) -> Update:
    return update("w", 1, words={"status": status})


@pytest.mark.parametrize("status", ["queued", "running"])
def test_job_that_should_run_is_lost_after_a_silence(status: str) -> None:
    shown = view_of(saying(status))
    assert not is_lost(shown, NOON + 60, PATIENCE)
    assert is_lost(shown, NOON + 60.001, PATIENCE)


@pytest.mark.parametrize("status", ["paused", "blocked"])
def test_job_that_waits_is_lost_only_when_it_is_abandoned(status: str) -> None:
    shown = view_of(saying(status))
    assert not is_lost(shown, NOON + 600, PATIENCE)
    assert is_lost(shown, NOON + 600.001, PATIENCE)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_finished_job_is_never_lost(status: str) -> None:
    assert not is_lost(view_of(saying(status)), NOON + 1e9, PATIENCE)


def test_lost_job_is_not_lost_again() -> None:
    assert not is_lost(merge.lose(job_of(update("w", 1)), NOON + 100).view, NOON + 1e9, PATIENCE)


def heartbeat_at(seconds: float) -> View:
    return view(push(job_of(update("w", 1, current=1)), update("w", 2), at=NOON + seconds).job)


def test_heartbeat_breaks_the_silence_without_any_progress() -> None:
    shown = heartbeat_at(50)
    assert shown.job.last_progress_at == NOON
    assert not is_lost(shown, NOON + 110, PATIENCE)
    assert is_lost(shown, NOON + 111, PATIENCE)


def test_job_is_not_lost_before_it_was_heard_of() -> None:
    assert not is_lost(heartbeat_at(0), NOON - 1_000, PATIENCE)


def test_job_that_goes_on_is_no_longer_given_the_time_of_one_that_waits() -> None:
    paused = job_of(saying("paused"))
    running = push(paused, update("w", 2, words={"status": "running"})).view
    assert is_lost(running, NOON + 61, PATIENCE)


def test_silence_counts_while_somebody_listens() -> None:
    assert calm_until(NOON - DEAF_SECONDS, NOON, 7.0, 100.0) == 7.0


def test_silence_counts_for_nothing_for_as_long_as_nobody_could_hear() -> None:
    assert calm_until(NOON - 60, NOON, 0.0, 100.0) == NOON + 60
    assert calm_until(NOON - 60, NOON, NOON + 80, 100.0) == NOON + 80


def test_silence_counts_again_after_a_while_however_long_nobody_could_hear() -> None:
    assert calm_until(NOON - 1e6, NOON, 0.0, 100.0) == calm_until(None, NOON, 0.0, 100.0) == NOON + 100
