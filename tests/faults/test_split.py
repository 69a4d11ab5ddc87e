"""Two sidecars of which one alone has lost its way to Redis: what either takes is counted, once, by both."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.faults.patience import until_found
from tests.faults.plan import Kind
from tests.faults.program import Sidecar
from tests.faults.proxy import HOST, Proxy
from tests.faults.valkey import Valkey
from tests.servers.postgres import Postgres

AGREE_SECONDS = 30.0
ANSWER_SECONDS = 30.0
SHOWN = ("status", "percent", "current", "total", "items", "message", "error", "result", "finished_at", "version")
JOB = "job-1"
MANY = 200
"""More than a job remembers one by one of a writer's reports."""


@dataclass(frozen=True)
class Pair:
    """Two sidecars; the line of the far one to Redis can be cut."""

    session: ClientSession
    near: Sidecar
    far: Sidecar
    line: Proxy
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def push(self, side: Sidecar, **said: Any) -> dict[str, Any]:
        """Push until it is answered, and return the answer."""
        answers: list[dict[str, Any]] = []

        async def is_answered() -> bool:
            url = f"{side.url}/v1/jobs/{JOB}"
            async with self.session.post(url, json=said, timeout=ClientTimeout(10)) as response:
                assert response.status in {200, 503}, await response.text()
                if response.status == 200:
                    answers.append(await response.json())
            return bool(answers)

        await until_found(is_answered, ANSWER_SECONDS, lambda: f"an answer to {said}\n{side.complaints()}")
        return answers[0]

    async def push_many(self, side: Sidecar, seqs: Iterable[int]) -> None:
        """Push increments of one in one request."""
        lines = [{"job_id": JOB, "writer": "w", "seq": seq, "add": {"items": {"rows": 1}}} for seq in seqs]
        async with self.session.post(f"{side.url}/v1/updates", json=lines) as response:
            results = (await response.json())["results"]
        assert all(result["applied"] for result in results), results

    async def read(self, side: Sidecar, path: str = "") -> dict[str, Any]:
        """Return what a sidecar shows of the job; nothing while it cannot."""
        async with self.session.get(f"{side.url}/v1/jobs/{JOB}{path}", timeout=ClientTimeout(10)) as response:
            return dict(await response.json()) if response.status == 200 else {}

    async def split(self, kind: Kind) -> None:
        """Part the far one from Redis, and wait until it knows."""
        if kind is Kind.CUT:
            self.line.cut()
        else:
            self.line.hang()
        await until_found(self._is_split, ANSWER_SECONDS, lambda: "the far one knows that Redis is away")

    async def united(self, **expected: Any) -> None:
        """Put them together again; both have to come to show the same, and this, and to stay with it."""
        await self.line.heal()
        for side in (self.near, self.far):
            await side.whole(self.session)
        await until_found(
            lambda: self._is_agreed(expected), AGREE_SECONDS, lambda: f"both show {expected}: {self.seen}"
        )
        await self.near.recorded(self.session)
        assert await self._is_agreed(expected), self.seen

    async def told(self) -> list[list[dict[str, Any]]]:
        """Return the timeline, as either tells it."""
        return [(await self.read(side, "/timeline?limit=1000"))["events"] for side in (self.near, self.far)]

    async def _is_agreed(self, expected: dict[str, Any]) -> bool:
        self.seen[:] = [await self.read(side) for side in (self.near, self.far)]
        shown = [{name: job.get(name) for name in SHOWN} for job in self.seen]
        return shown[0] == shown[1] == shown[0] | expected

    async def _is_split(self) -> bool:
        return (await self.far.parts(self.session)).get("redis") == "unavailable"


@pytest.fixture
async def pair(tmp_path: Path, session: ClientSession, postgres: Postgres) -> AsyncIterator[Pair]:
    database_url = await postgres.database("split")
    async with deployed(tmp_path, session, database_url) as both:
        yield both


@asynccontextmanager
async def deployed(home: Path, session: ClientSession, database_url: str) -> AsyncIterator[Pair]:
    """Run both and their Redis while inside."""
    async with AsyncExitStack() as stack:
        valkey = Valkey(home / "valkey")
        line = Proxy(valkey.port)
        stack.push_async_callback(line.close)
        await line.heal()
        urls = {"near": valkey.url, "far": f"redis://{HOST}:{line.port}/0"}
        near, far = (
            Sidecar(home / name, redis_url=url, database_url=database_url, store_timeout_seconds=1)
            for name, url in urls.items()
        )
        for server in (valkey, near, far):
            stack.callback(server.kill)
            server.start()
            await server.ready()
        yield Pair(session, near, far, line)


def body(seq: int, **said: Any) -> dict[str, Any]:
    """Return a report of the one writer: an increment that no other has, and a line for the timeline."""
    event = {"type": "note", "details": {"id": seq}}
    return {
        "writer": "w",
        "seq": seq,
        "total": 1000,
        "current": seq,
        "add": {"items": {"rows": seq}},
        "event": event,
    } | said


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.HANG])
async def test_increments_of_one_writer_on_both_sides_are_each_counted_once(pair: Pair, kind: Kind) -> None:
    sides = pair.near, pair.far
    for seq in range(1, 11):
        assert (await pair.push(sides[seq % 2], **body(seq)))["applied"]
    await pair.split(kind)
    for seq in range(11, 71):
        assert (await pair.push(sides[seq % 2], **body(seq)))["applied"]
        if seq % 10 == 0:
            reason = (await pair.push(sides[1 - seq % 2], **body(seq)))["reason"]
            assert reason in {"applied", "out_of_order", "duplicate"}  # the last if the recorder was faster than we
    await pair.united(items={"rows": sum(range(71))}, current=70, status="running")
    for events in await pair.told():
        assert sorted(each["details"]["id"] for each in events if each["type"] == "note") == list(range(1, 71))
    for side in sides:
        assert (await pair.push(side, **body(70)))["reason"] == "duplicate"


async def test_more_increments_than_are_remembered_one_by_one_are_each_counted_once(pair: Pair) -> None:
    sides, seqs = (pair.far, pair.near), iter(range(1, 10_000))
    for cycle in (1, 2):
        for turn in range(4):
            await pair.push_many(sides[turn % 2], islice(seqs, MANY))
        pair.line.cut()  # and nobody waits: what the far one was acknowledged just before is not recorded yet
        for turn in range(6):
            await pair.push_many(sides[turn % 2], islice(seqs, MANY))
        await pair.united(items={"rows": cycle * 10 * MANY})


async def test_job_that_both_sides_created_becomes_one(pair: Pair) -> None:
    await pair.split(Kind.CUT)
    for seq in range(1, 21):
        assert (await pair.push((pair.near, pair.far)[seq % 2], **body(seq)))["applied"]
    await pair.united(items={"rows": sum(range(21))})
    for events in await pair.told():
        assert [each["type"] for each in events].count("created") == 1


async def test_end_on_one_side_stays_and_what_the_other_took_counts(pair: Pair) -> None:
    await pair.push(pair.near, **body(1))
    await pair.split(Kind.CUT)
    assert (await pair.push(pair.near, **body(2)))["applied"]
    assert (await pair.push(pair.far, **body(3, status="completed", current=1000)))["applied"]
    assert (await pair.push(pair.near, **body(4)))["applied"]
    await pair.united(status="completed", percent=100, items={"rows": 10})
    for side in (pair.near, pair.far):
        assert (await pair.push(side, **body(5)))["reason"] in {"late", "duplicate"}


@pytest.mark.parametrize("first_is_near", [True, False])
async def test_of_two_ends_the_earlier_stays_and_the_other_is_told(pair: Pair, *, first_is_near: bool) -> None:
    first, second = (pair.near, pair.far) if first_is_near else (pair.far, pair.near)
    await pair.push(pair.near, **body(1))
    await pair.split(Kind.CUT)
    assert (await pair.push(first, **body(2, status="completed")))["applied"]
    answer = await pair.push(second, **body(3, status="failed"))
    assert answer["reason"] in {"applied", "late"}  # late if the recorder was faster than we
    await pair.united(status="completed", items={"rows": 6 if answer["applied"] else 3})
    for events in await pair.told():
        assert [each["details"]["status"] for each in events if each["type"] == "late"] == ["failed"]


async def test_killed_before_it_finds_back_the_far_side_loses_nothing(pair: Pair) -> None:
    await pair.push(pair.near, **body(1))
    await pair.split(Kind.CUT)
    for seq in range(2, 22):
        assert (await pair.push((pair.near, pair.far)[seq % 2], **body(seq)))["applied"]
    pair.far.kill()
    await pair.line.heal()
    pair.far.start()
    await pair.far.ready()
    await pair.united(items={"rows": sum(range(22))})
