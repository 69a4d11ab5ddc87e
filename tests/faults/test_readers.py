"""That readers tell what they see: against a server of the test's own that shows what it is told to show."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.faults.jobs import Fate, Job, Push, Shape
from tests.faults.ledger import Ledger
from tests.faults.patience import until
from tests.faults.plan import seeded
from tests.faults.readers import Readers

SECONDS = 10.0
JOB = Job("job-1", Shape.COUNTED, 100)
RIGHT: dict[str, Any] = {
    "job_id": "job-1",
    "attempt": 1,
    "status": "running",
    "percent": 7,
    "current": 7,
    "items": {"rows": 3},
    "stages": [],
    "message": None,
}


@pytest.fixture
def known() -> Ledger:
    ledger = Ledger()
    push = Push(JOB, "w", 1, {"current": 7}, {"rows": 3}, fate=Fate.KEPT, tries=1)
    ledger.opened(push)
    return ledger


@pytest.fixture
async def shown() -> AsyncIterator[Callable[[dict[str, Any]], str]]:
    job: dict[str, Any] = {}

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(dict(job)) if job else web.Response(status=404)

    application = web.Application()
    application.router.add_get("/v1/jobs/{job_id}", answer)
    async with TestServer(application) as server:

        def show(what: dict[str, Any]) -> str:
            job.clear()
            job.update(what)
            return str(server.make_url("")).rstrip("/")

        yield show


def reading(known: Ledger, session: ClientSession, url: str) -> Readers:
    return Readers(known, session, [url], seeded(1))


async def test_answer_that_lacks_something_is_told(
    known: Ledger, session: ClientSession, shown: Callable[[dict[str, Any]], str]
) -> None:
    async with reading(known, session, shown(RIGHT | {"current": 6})) as readers:
        await until(lambda: readers.reads > 0, SECONDS, "a read")
    assert "current: the maximum is 6, acknowledged 7" in readers.violations[0]
    assert not readers.lacking


async def test_answer_that_lacks_something_during_a_disagreement_is_counted(
    known: Ledger, session: ClientSession, shown: Callable[[dict[str, Any]], str]
) -> None:
    known.disagreement()
    async with reading(known, session, shown(RIGHT | {"current": 6})) as readers:
        await until(lambda: readers.lacking > 0, SECONDS, "a read")
    assert not readers.violations


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"items": {"rows": 4}}, "rows: the sum is 4, acknowledged 0, sent 3"),
        ({"current": 8}, "current: the maximum is 8, acknowledged 0, sent 7"),
        ({"status": "completed", "percent": 100}, "it is completed, which nobody said"),
    ],
)
async def test_answer_that_has_too_much_is_told_also_during_a_disagreement(
    known: Ledger, session: ClientSession, shown: Callable[[dict[str, Any]], str], change: dict[str, Any], told: str
) -> None:
    known.disagreement()
    async with reading(known, session, shown(RIGHT | change)) as readers:
        await until(lambda: readers.reads > 0, SECONDS, "a read")
    assert told in readers.violations[0]
    assert not readers.lacking


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (RIGHT, {}, "it is unknown after it was shown"),
        (
            RIGHT | {"status": "completed", "percent": 100, "result": {"of": "2 w"}},
            RIGHT,
            "it is running after it was finished",
        ),
    ],
)
async def test_what_the_same_sidecar_has_shown_is_not_taken_back_during_a_disagreement(  # noqa: PLR0913, PLR0917 - two states
    known: Ledger,
    session: ClientSession,
    shown: Callable[[dict[str, Any]], str],
    before: dict[str, Any],
    after: dict[str, Any],
    told: str,
) -> None:
    known.opened(Push(JOB, "w", 2, {"current": 7}, is_end=True, tries=1))
    known.disagreement()
    async with reading(known, session, shown(before)) as readers:
        await until(lambda: readers.reads > 0, SECONDS, "a read")
        assert not readers.violations
        shown(after)
        await until(lambda: bool(readers.violations), SECONDS, "the other state is told")
    assert told in readers.violations[0]


async def test_answer_that_is_right_is_neither(
    known: Ledger, session: ClientSession, shown: Callable[[dict[str, Any]], str]
) -> None:
    async with reading(known, session, shown(RIGHT)) as readers:
        await until(lambda: readers.reads > 0, SECONDS, "a read")
    assert (readers.violations, readers.lacking) == ([], 0)


async def test_reader_that_breaks_down_is_told(
    known: Ledger, session: ClientSession, shown: Callable[[dict[str, Any]], str]
) -> None:
    async with reading(known, session, shown({"no": "job"})) as readers:
        await until(lambda: readers.reads > 0, SECONDS, "a read")
    assert "a reader broke down" in readers.violations[0]
