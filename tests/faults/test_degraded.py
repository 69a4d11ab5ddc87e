"""Redis goes away and comes back under open streams: they say so, go on from SQL, and what SQL served is counted."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from tests.faults.patience import until_found
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.faults.watchers import messages

SECONDS = 20.0
NEWS_SECONDS = 2.5
"""SQL is asked once a second what has changed; this is how old the news of a change may be on a busy machine."""

FALLBACKS = "progress_fallbacks_total"
Heard = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Place:
    """A sidecar, its Redis, and a client of both."""

    session: ClientSession
    sidecar: Sidecar
    valkey: Valkey

    async def push(self, job_id: str = "job-1", **said: Any) -> dict[str, Any]:
        """Push once; it must be taken."""
        async with self.session.post(f"{self.sidecar.url}/v1/jobs/{job_id}", json=said) as response:
            answer = dict(await response.json())
        assert (response.status, answer.get("applied")) == (200, True), answer
        return answer

    async def read(self, path: str) -> dict[str, Any]:
        """Return what is there."""
        async with self.session.get(f"{self.sidecar.url}{path}") as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def lose_redis(self, *, is_recorded: bool = True) -> None:
        """Kill Redis when all is recorded, or at once, and wait until the sidecar knows."""
        if is_recorded:
            await self.sidecar.recorded(self.session)
        self.valkey.kill()
        await self._until_redis("unavailable")

    async def regain_redis(self) -> None:
        """Start Redis again, and wait until it serves."""
        self.valkey.start()
        await self.valkey.ready()
        await self._until_redis("ok")

    async def counted(self) -> Counter[str]:
        """Return all that is counted of what SQL served, by name or by operation, surface and reason."""
        async with self.session.get(f"{self.sidecar.url}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        counts: Counter[str] = Counter()
        for sample in (sample for family in families for sample in family.samples):
            if sample.name == FALLBACKS:
                counts[" ".join(sample.labels[name] for name in ("operation", "surface", "reason"))] = int(sample.value)
            elif sample.name in {"db_fallback_total", "sse_db_fallback_total", "sse_redis_misses_total"}:
                counts[sample.name] = int(sample.value)
        return counts

    async def lose_key(self, job_id: str) -> None:
        """Lose the document of a job, as a Redis does that evicts keys."""
        async with Redis.from_url(self.valkey.url) as client:
            assert await client.delete(f"progress:{{default}}:job:{job_id}") == 1

    async def _until_redis(self, state: str) -> None:
        async def is_so() -> bool:
            return (await self.sidecar.parts(self.session)).get("redis") == state

        await until_found(is_so, SECONDS, lambda: f"Redis is {state}\n{self.sidecar.complaints()}")


@pytest.fixture
async def place(tmp_path: Path, session: ClientSession) -> AsyncIterator[Place]:
    async with deployed(tmp_path, session) as made:
        yield made


@asynccontextmanager
async def deployed(home: Path, session: ClientSession, **settings: object) -> AsyncIterator[Place]:
    """Run a sidecar on a Redis of its own while inside."""
    valkey = Valkey(home / "valkey")
    sidecar = Sidecar(home / "sidecar", redis_url=valkey.url, **settings)
    try:
        for server in (valkey, sidecar):
            server.start()
            await server.ready()
        await sidecar.whole(session)
        yield Place(session, sidecar, valkey)
    finally:
        sidecar.kill()
        valkey.kill()


@dataclass
class Ear:
    """What one connection was told, and when the newest of it came."""

    heard: Heard = field(default_factory=list)
    at: float = 0.0

    def take(self, event: str, data: dict[str, Any]) -> None:
        """Note what is told."""
        self.heard.append((event, data))
        self.at = time.monotonic()

    @property
    def stores(self) -> list[str]:
        """Which stores were said to serve, one after another."""
        return [data["store"] for event, data in self.heard if event == "degraded"]

    @property
    def currents(self) -> list[int]:
        """How far the job was said to be."""
        return [data["current"] for event, data in self.heard if event == "progress"]

    @property
    def versions(self) -> list[int]:
        """Which versions of it were told."""
        return [data["version"] for event, data in self.heard if event == "progress"]


async def sse(place: Place, path: str, ear: Ear) -> None:
    """Follow an event stream."""
    timeout = ClientTimeout(total=None, sock_read=SECONDS)
    async with place.session.get(f"{place.sidecar.url}{path}", timeout=timeout) as response:
        async for message in messages(response.content):
            ear.take(message.event, message.data)


async def websocket(place: Place, watch: str, ear: Ear) -> None:
    """Follow a WebSocket; `watch` is what is sent to it."""
    async with place.session.ws_connect(f"{place.sidecar.url}/v1/ws") as socket:
        await socket.send_str(watch)
        async for message in socket:
            frame = json.loads(message.data)
            ear.take(frame["event"], frame["data"])


FOLLOWERS = {
    "sse-job": (sse, "/v1/jobs/job-1/events"),
    "sse-project": (sse, "/v1/events?project=default"),
    "sse-every-project": (sse, "/v1/events?project=*"),
    "websocket-job": (websocket, '{"watch": {"job_id": "job-1"}}'),
    "websocket-project": (websocket, '{"watch": {"project": "default"}}'),
}


@asynccontextmanager
async def followed(place: Place) -> AsyncIterator[dict[str, Ear]]:
    """Follow job-1 in every way while inside; all have been shown it when this begins."""
    ears = {name: Ear() for name in FOLLOWERS}
    tasks = [asyncio.create_task(follow(place, what, ears[name])) for name, (follow, what) in FOLLOWERS.items()]
    try:
        await all_have(ears, SECONDS, lambda ear: bool(ear.currents), "all are shown the job")
        yield ears
        assert not any(task.done() for task in tasks), "a stream was closed"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_have(ears: dict[str, Ear], seconds: float, is_so: Callable[[Ear], bool], what: str) -> None:
    """Wait until it is so of all."""

    async def is_so_of_all() -> bool:
        return all(map(is_so, ears.values()))

    await until_found(
        is_so_of_all,
        seconds,
        lambda: f"{what}, but { {name: ear.heard for name, ear in ears.items() if not is_so(ear)} }",
    )


async def test_open_streams_are_told_that_sql_serves_hear_from_it_and_are_told_when_redis_is_back(place: Place) -> None:
    await place.push(current=1, total=100)
    async with followed(place) as ears:
        await place.lose_redis()
        await all_have(ears, SECONDS, lambda ear: ear.stores == ["sql"], "all are told that SQL serves")
        for current in (2, 3):
            await place.push(current=current)
            await all_have(ears, NEWS_SECONDS, lambda ear: ear.currents[-1] == current, f"all hear of {current}")  # noqa: B023 - awaited here
        await place.regain_redis()
        await all_have(ears, SECONDS, lambda ear: ear.stores == ["sql", "redis"], "all are told that Redis serves")
        await place.push(current=4)
        await all_have(ears, SECONDS, lambda ear: ear.currents[-1] == 4, "all hear of the last")
    for name, ear in ears.items():
        assert ear.versions == sorted(ear.versions), (name, ear.versions)
        assert sorted(set(ear.currents)) == ear.currents == [1, 2, 3, 4], (name, ear.currents)


async def test_a_stream_that_is_opened_while_sql_serves_is_told_so_at_once(place: Place) -> None:
    await place.push(current=1)
    await place.lose_redis()
    async with followed(place) as ears:
        await all_have(ears, SECONDS, lambda ear: ear.stores == ["sql"], "all are told that SQL serves")


async def test_job_that_redis_took_along_unrecorded_is_shown_by_every_stream_that_is_opened_then(place: Place) -> None:
    await place.push(current=1)
    await place.lose_redis(is_recorded=False)
    async with followed(place) as ears:
        await place.push(current=2)
        await all_have(ears, SECONDS, lambda ear: ear.currents[-1] == 2, "all hear of the next one")


SCRAPE = {"counts metrics unavailable": 1, "outstanding metrics unavailable": 1}
"""What each look at the metrics costs while SQL serves."""

Work = Callable[[Place], Awaitable[object]]


async def nothing(_: Place) -> None:
    """Do nothing."""


async def deleted(place: Place) -> None:
    """Delete the job."""
    async with place.session.delete(f"{place.sidecar.url}/v1/jobs/job-1?force=true") as response:
        assert response.status in {200, 204}


async def pushed_together(place: Place) -> None:
    """Push to three jobs in one request."""
    lines = [{"job_id": f"job-{number}", "current": 5} for number in (1, 2, 3)]
    async with place.session.post(f"{place.sidecar.url}/v1/updates", json=lines) as response:
        assert all(result["applied"] for result in (await response.json())["results"])


SERVED_BY_SQL: list[tuple[Work, dict[str, int]]] = [
    (nothing, {}),
    (lambda place: place.read("/v1/jobs/job-1"), {"get rest unavailable": 1}),
    (lambda place: place.read("/v1/jobs?project=default"), {"page rest unavailable": 1}),
    (lambda place: place.read("/v1/jobs/job-1/timeline"), {"get rest unavailable": 1, "timeline rest unavailable": 1}),
    (lambda place: place.push(current=2), {"update ingest unavailable": 1}),
    (pushed_together, {"update ingest unavailable": 3}),
    (deleted, {"delete ingest unavailable": 1}),
]


async def test_what_sql_serves_while_redis_is_away_is_counted_once_each(place: Place) -> None:
    await place.push(current=1)
    await place.lose_redis()
    for work, expected in SERVED_BY_SQL:
        before = await place.counted()
        await work(place)
        grown = await place.counted() - before
        assert grown == Counter(SCRAPE | expected | {"db_fallback_total": sum((SCRAPE | expected).values())})


async def test_an_attempt_is_begun_once_for_its_key_whichever_store_serves(place: Place) -> None:
    url, key = f"{place.sidecar.url}/v1/jobs/job-1/attempts", {"Idempotency-Key": "after-the-crash"}

    async def begun() -> dict[str, Any]:
        async with place.session.post(url, headers=key) as response:
            assert response.status == 201, await response.text()
            return dict(await response.json())

    await place.push(current=7, total=10, resume={"row": 7})
    await place.lose_redis()
    first = await begun()
    assert (first["attempt"], first["previous"]["percent"], first["resume"]) == (2, 70.0, {"row": 7})
    assert await begun() == first
    await place.regain_redis()
    assert await begun() == first
    assert [each["attempt"] for each in (await place.read("/v1/jobs/job-1/attempts"))["attempts"]] == [1, 2]


async def opened(place: Place, path: str) -> list[str]:
    """Open an event stream, follow it until it has told of the job, and return what was told."""
    told: list[str] = []
    timeout = ClientTimeout(total=SECONDS)
    async with place.session.get(f"{place.sidecar.url}{path}", timeout=timeout) as response:
        async for message in messages(response.content):
            told.append(message.event)
            if told[-1] in {"progress", "done"}:
                break
    return told


async def test_each_read_of_a_stream_that_sql_serves_is_counted_as_one_of_streams(place: Place) -> None:
    await place.push(current=1)
    await place.lose_redis()
    before = await place.counted()
    assert "progress" in await opened(place, "/v1/jobs/job-1/events")
    assert "progress" in await opened(place, "/v1/events?project=default")
    grown = await place.counted() - before
    of_streams = {name: times for name, times in grown.items() if " stream " in name}
    assert of_streams.keys() <= {"get stream unavailable", "since stream unavailable"}, grown
    assert min(of_streams["get stream unavailable"], of_streams["since stream unavailable"]) >= 1, grown
    assert grown["sse_db_fallback_total"] == sum(of_streams.values())
    assert grown["db_fallback_total"] == sum((SCRAPE | of_streams).values())
    assert grown["sse_redis_misses_total"] == 0


MISSED: list[tuple[Work, dict[str, int]]] = [
    (nothing, {}),
    (lambda place: place.read("/v1/jobs/job-1"), {"get rest miss": 1}),
    (
        lambda place: opened(place, "/v1/jobs/job-1/events"),
        {"get stream miss": 1, "sse_db_fallback_total": 1, "sse_redis_misses_total": 1},
    ),
    (lambda place: place.push(current=2), {"update ingest miss": 1}),
]


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_a_key_that_redis_lost_is_counted_once_by_whoever_came_across_it(
    place: Place, *, is_remembered: bool
) -> None:
    await place.push(current=1)
    for work, expected in MISSED:
        await place.sidecar.recorded(place.session)
        if not is_remembered:
            place.sidecar.kill()
            place.sidecar.start()
            await place.sidecar.whole(place.session)
        before = await place.counted()
        await place.lose_key("job-1")
        await work(place)
        fallbacks = {"db_fallback_total": 1} if expected else {}
        assert await place.counted() - before == Counter(expected | fallbacks)
        assert (await place.read("/v1/jobs/job-1"))["current"] in {1, 2}


async def test_a_finished_job_that_has_left_redis_is_a_miss_of_streams_and_no_fallback(
    tmp_path: Path, session: ClientSession
) -> None:
    async with deployed(tmp_path, session, finished_ttl_seconds=0.2) as place:
        await place.push(current=1, status="completed")

        async def has_left() -> bool:
            async with Redis.from_url(place.valkey.url) as client:
                return not await client.exists("progress:{default}:job:job-1")

        await until_found(has_left, SECONDS, lambda: "the job has left Redis")
        before = await place.counted()
        assert (await place.read("/v1/jobs/job-1"))["status"] == "completed"
        assert await place.counted() - before == Counter()
        assert "done" in await opened(place, "/v1/jobs/job-1/events")
        reads = 2  # to learn its project, and again when it listens to that
        assert await place.counted() - before == Counter({"sse_redis_misses_total": reads})
