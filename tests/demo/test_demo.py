"""`sidecar demo` from its first word to its last, against a real sidecar that comes late and goes away in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import ClientSession

from sidecar.demo import run
from sidecar.demo.fates import Fate
from tests.demo.playing import SETTINGS, TOKEN, Audience, Demo, demo
from tests.faults.patience import until, until_found
from tests.running import Running, running
from tests.servers.ports import free_port

PLAY_SECONDS = 240.0
EXPECTED = {
    (Fate.FINE, "completed"),
    (Fate.RETRIED, "completed at attempt 2"),
    (Fate.FAILED, "failed"),
    (Fate.CANCELLED, "cancelled as asked"),
    (Fate.PAUSED, "paused"),
    (Fate.PAUSED, "completed"),
    (Fate.BLOCKED, "blocked on something"),
    (Fate.BLOCKED, "completed"),
    (Fate.SLOW, "stalled: overdue"),
    (Fate.DEADLINE, "stalled: deadline"),
    (Fate.DEADLINE, "completed"),
    (Fate.QUEUED, "stalled: not_started"),
    (Fate.QUEUED, "completed"),
    (Fate.HANGING, "stalled: no_progress"),
    (Fate.HANGING, "completed"),
    (Fate.SILENT, "stalled: silent"),
    (Fate.SILENT, "completed"),
    (Fate.STUBBORN, "stalled: cancel_stuck"),
    (Fate.STUBBORN, "completed as asked"),
    (Fate.LOST, "lost"),
    (Fate.LOST, "completed at attempt 2"),
}
RESULTS = ("applied", "duplicate", "stale_attempt", "out_of_order", "late")
REASONS = ("validation", "conflict", "too_large")
DISCONNECTS = {("client", "sse"), ("client", "websocket"), ("done", "sse")}


@dataclass
class Evening:
    """What was to be seen of one performance, and how it ended."""

    seen: set[tuple[str, str]]
    counted: set[str]
    lines: list[str]
    code: int
    seconds_to_stop: float
    left: list[str]


@asynccontextmanager
async def sidecar(directory: Path, port: int) -> AsyncIterator[Running]:
    async with running(directory, listen_port=port, **SETTINGS) as found:
        yield found
        await found.stopped()


async def opening(demo: Demo, audience: Audience) -> None:
    """Wait until enough jobs of one type have completed for a sidecar to know how long they take."""

    async def are_many() -> bool:
        async with audience.client.get(f"{audience.url}/v1/stats?project=demo&job_type=local-ingest") as response:
            return any(each["completed"] >= 10 for each in (await response.json())["job_types"])

    await until_found(are_many, PLAY_SECONDS, lambda: f"ten are through; {demo.lines}")


async def second_act(demo: Demo, audience: Audience) -> None:
    async def is_everything_seen() -> bool:
        await audience.look()
        return audience.seen >= EXPECTED and await are_odd_ones_counted(audience)

    await until(lambda: demo.count("there again") >= 2, PLAY_SECONDS, "the demo goes on")
    await until_found(is_everything_seen, PLAY_SECONDS, lambda: f"{EXPECTED - audience.seen}")


async def are_odd_ones_counted(audience: Audience) -> bool:
    counted = await audience.counted()
    return all(any(f'result="{each}"' in series for series in counted) for each in RESULTS)


async def performance(directory: Path) -> Evening:
    """Start the demo, then a sidecar; restart that (it learns then what is usual), see everything, stop."""
    port = free_port()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with demo(f"http://127.0.0.1:{port}", TOKEN) as playing, ClientSession(headers=headers) as client:
        await until(lambda: playing.count("is away") > 0, PLAY_SECONDS, "the demo notices that nobody is there")
        audience = Audience(client, f"http://127.0.0.1:{port}")
        async with sidecar(directory, port):
            await opening(playing, audience)
        async with sidecar(directory, port):
            await second_act(playing, audience)
            counted, begun = await audience.counted(), monotonic()
            code = await playing.stopped()
            seconds, left = monotonic() - begun, await audience.running()
    return Evening(audience.seen, counted, playing.lines, code, seconds, left)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return asyncio.run(performance(tmp_path_factory.mktemp("demo")))


@pytest.mark.parametrize(("fate", "what"), sorted(EXPECTED))
def test_every_fate_is_seen_to_happen(evening: Evening, fate: str, what: str) -> None:
    assert (fate, what) in evening.seen


@pytest.mark.parametrize("reason", REASONS)
def test_some_input_is_rejected(evening: Evening, reason: str) -> None:
    assert f'progress_updates_rejected_total{{reason="{reason}"}}' in evening.counted


@pytest.mark.parametrize("result", RESULTS)
def test_updates_come_twice_late_and_in_disorder(evening: Evening, result: str) -> None:
    assert any("progress_updates_total" in each and f'result="{result}"' in each for each in evening.counted)


@pytest.mark.parametrize(("reason", "transport"), sorted(DISCONNECTS))
def test_watchers_come_and_go_on_every_transport(evening: Evening, reason: str, transport: str) -> None:
    name = f'progress_stream_disconnects_total{{reason="{reason}",transport="{transport}"}}'
    assert name in evening.counted


def test_watchers_take_up_where_they_were(evening: Evening) -> None:
    assert 'progress_stream_resumes_total{result="replayed"}' in evening.counted


def test_it_ends_all_jobs_when_it_is_asked_to_stop(evening: Evening) -> None:
    assert (evening.code, evening.left) == (0, [])
    assert evening.seconds_to_stop < 10
    assert "jobs with it" in evening.lines[-1]


def test_it_says_once_each_time_that_the_sidecar_is_away_and_that_it_is_back(evening: Evening) -> None:
    said = [line.split("(")[0].strip() for line in evening.lines[1:-1]]
    times = len(said) // 2
    assert times >= 2
    assert said == ["demo: the sidecar is away", "demo: the sidecar is there again"] * times


@pytest.fixture(scope="module")
def closed() -> str:
    return f"http://127.0.0.1:{free_port()}"


async def test_it_stops_while_nobody_is_there(closed: str) -> None:
    async with demo(closed) as playing:
        await until(lambda: playing.count("is away") > 0, 20, "the demo notices it")
        assert await playing.stopped() == 0
    assert not playing.count("could not be ended")


async def test_who_may_not_push_to_the_project_is_told_so(tmp_path: Path) -> None:
    async with running(tmp_path, **SETTINGS) as sidecar:
        for token in ("", "unknown-unknown-unknown", "secret-of-a-reader", "secret-of-another"):
            async with demo(sidecar.url, token) as playing:
                assert await playing.ended() == 1, token
            assert playing.count("not let in"), token


@pytest.mark.parametrize("url", ["127.0.0.1:8650", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port"])
def test_what_is_no_address_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(url, None) == 2
    assert repr(url) in capsys.readouterr().err


async def test_it_ends_by_itself_after_the_seconds_that_it_was_given(closed: str) -> None:
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(run, closed, None, seconds=0.2) == 0
