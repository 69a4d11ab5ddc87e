"""Supervised loops, on a clock that the test turns."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from sidecar.adapters.metrics.prometheus import PrometheusMetrics
from sidecar.background.supervision import FIRST_PAUSE_SECONDS, HEALTHY_SECONDS, LONGEST_PAUSE_SECONDS, supervise
from sidecar.core.errors import StoreRefused

PATIENCE_SECONDS = 10.0


class Crashing:
    """A loop that crashes after each of these runs (in seconds), then runs until it is cancelled."""

    def __init__(self, *runs: float, error: Exception | None = None) -> None:
        self.runs = list(runs)
        self.error = error or ValueError("the store is on fire")
        self.now = 0.0
        self.pauses: list[float] = []
        self.runs_well = asyncio.Event()
        self.registry = CollectorRegistry()
        self.metrics = PrometheusMetrics(self.registry)

    @property
    def crashes(self) -> float | None:
        """Return what is counted, None if nothing ever was."""
        return self.registry.get_sample_value("progress_loop_crashes_total", {"loop": "hub"})

    async def run(self) -> None:
        """Be the loop."""
        if not self.runs:
            self.runs_well.set()
            await asyncio.Event().wait()
        self.now += self.runs.pop(0)
        raise self.error

    async def sleep(self, seconds: float) -> None:
        """Be the sleep, in no time."""
        self.pauses.append(seconds)
        self.now += seconds

    async def supervised(self) -> None:
        """Supervise the loop until its crashes are behind it, and cancel it then."""
        task = asyncio.create_task(supervise("hub", self.run, self.metrics, sleep=self.sleep, clock=lambda: self.now))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.runs_well.wait()
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled()


def is_about(seconds: float, pause: float) -> bool:
    """Tell whether a pause is this long but for its jitter."""
    return 0.8 * seconds <= pause <= 1.2 * seconds


async def test_a_loop_that_crashed_is_counted_and_runs_again() -> None:
    loop = Crashing(0.0, 0.0, 0.0)
    await loop.supervised()
    assert loop.runs == []
    assert loop.crashes == 3


async def test_a_loop_that_runs_well_is_not_counted() -> None:
    loop = Crashing()
    await loop.supervised()
    assert loop.crashes is None
    assert loop.pauses == []


async def test_a_crash_by_a_mistake_of_ours_is_one_error_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sidecar.background.supervision")
    await Crashing(0.0).supervised()
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "a background loop crashed")
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError
    assert vars(record)["fields"] == {"loop": "hub", "error": "ValueError: the store is on fire"}


async def test_a_refusal_that_ends_a_loop_is_one_warning_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sidecar.background.supervision")
    await Crashing(0.0, error=StoreRefused("Redis takes no writes")).supervised()
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert vars(record)["fields"] == {"loop": "hub", "error": "StoreRefused: Redis takes no writes"}


async def test_pauses_double_up_to_the_longest() -> None:
    loop = Crashing(*[0.0] * 9)
    await loop.supervised()
    wanted = [min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**number) for number in range(9)]
    assert all(map(is_about, wanted, loop.pauses))
    assert len(loop.pauses) == len(wanted)
    assert wanted[-1] == LONGEST_PAUSE_SECONDS


async def test_a_loop_that_ran_well_for_a_while_begins_with_the_shortest_pause_again() -> None:
    loop = Crashing(0.0, 0.0, 0.0, HEALTHY_SECONDS + 1, 0.0)
    await loop.supervised()
    wanted = [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4, 1, 2)]
    assert all(map(is_about, wanted, loop.pauses))


async def test_cancellation_ends_a_loop_that_pauses() -> None:
    loop = Crashing(0.0)
    pausing = asyncio.Event()

    async def sleep_for_ever(_: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(supervise("hub", loop.run, loop.metrics, sleep=sleep_for_ever))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await pausing.wait()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()
