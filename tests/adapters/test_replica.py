"""A read replica that is behind: it serves what is only shown, and nothing that it does not know yet is lost."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.live import SqlLive
from tests.adapters.test_backup import opened, put, taken
from tests.adapters.updates import finish, push, update
from tests.faults.patience import until_found
from tests.faults.program import Sidecar
from tests.faults.valkey import Valkey
from tests.servers.postgres import Postgres

SECONDS = 20.0


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Postgres, Postgres]]:
    """Return a primary and another server, which the tests bring up to where a replica would be."""
    both = Postgres(), Postgres()
    try:
        for server in both:
            server.start()
        yield both
    finally:
        for server in both:
            server.remove()


@dataclass(frozen=True)
class Place:
    session: ClientSession
    sidecar: Sidecar
    valkey: Valkey
    primary: Database
    replica: Database
    replica_server: Postgres

    async def push(self, job_id: str, **said: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.sidecar.url}/v1/jobs/{job_id}", json=said) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def read(self, path: str) -> dict[str, Any]:
        async with self.session.get(f"{self.sidecar.url}{path}") as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def listed(self) -> set[str]:
        return {job["job_id"] for job in (await self.read("/v1/jobs?project=default"))["jobs"]}

    async def finished(self) -> int:
        return sum(each["finished"] for each in (await self.read("/v1/stats"))["job_types"])

    async def types(self, query: str = "") -> list[str]:
        return [event["type"] for event in (await self.read(f"/v1/jobs/job-1/timeline{query}"))["events"]]

    async def catch_up(self) -> None:
        """Bring the replica up to where the primary is."""
        await self.sidecar.recorded(self.session)
        await put(self.replica, await taken(self.primary))


@pytest.fixture
async def place(tmp_path: Path, session: ClientSession, servers: tuple[Postgres, Postgres]) -> AsyncIterator[Place]:
    for postgres in servers:
        await postgres.ready()
    urls = [await postgres.database("sidecar") for postgres in servers]
    valkey = Valkey(tmp_path / "valkey")
    stores = {"redis_url": valkey.url, "database_url": urls[0], "database_read_url": urls[1]}
    sidecar = Sidecar(tmp_path / "sidecar", **stores)
    async with opened(urls[0]) as primary, opened(urls[1]) as replica:
        try:
            for server in (valkey, sidecar):
                server.start()
                await server.ready()
            await sidecar.whole(session)
            yield Place(session, sidecar, valkey, primary, replica, servers[1])
        finally:
            sidecar.kill()
            valkey.kill()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as client:
        yield client


async def known_to_replica_alone(place: Place) -> None:
    """Let the replica have a finished job of which nobody else knows."""
    live = SqlLive(place.replica, lambda: 0.0)
    await live.update("marker", push(update("marker", items={"rows": 7})))
    await live.update("marker", finish("marker"))


async def test_what_is_only_shown_is_read_from_the_replica(place: Place) -> None:
    await known_to_replica_alone(place)
    assert await place.listed() == {"marker"}
    assert await place.finished() == 1


async def test_job_that_the_replica_alone_has_is_not_there_and_does_not_rise_again(place: Place) -> None:
    await known_to_replica_alone(place)
    async with place.session.get(f"{place.sidecar.url}/v1/jobs/marker") as response:
        assert response.status == 404
    assert (await place.push("marker", current=1))["version"] == 1
    job = await place.read("/v1/jobs/marker")
    assert (job["status"], job["items"]) == ("running", {})
    assert await place.listed() == {"marker"}
    assert (await place.read("/v1/jobs?project=default"))["jobs"][0]["status"] == "running"


async def test_finished_job_that_the_replica_does_not_have_yet_takes_no_more_reports(place: Place) -> None:
    await place.push("job-1", status="completed")
    await place.sidecar.recorded(place.session)
    assert (await place.push("job-1", current=5))["reason"] == "late"
    assert (await place.read("/v1/jobs/job-1"))["status"] == "completed"


async def test_timeline_lacks_no_line_that_the_replica_does_not_have_yet(place: Place) -> None:
    await place.push("job-1", event={"type": "one"})
    await place.catch_up()
    await place.push("job-1", event={"type": "two"})
    await place.sidecar.recorded(place.session)
    await place.push("job-1", event={"type": "three"})
    assert await place.types() == ["created", "started", "one", "two", "three"]
    assert await place.types("?limit=3") == ["created", "started", "one"]
    assert await place.types("?after=2&limit=2") == ["one", "two"]
    assert await place.types("?after=3") == ["two", "three"]


async def test_timeline_of_an_earlier_job_of_that_id_is_not_told(place: Place) -> None:
    for number in range(5):
        await place.push("job-1", event={"type": f"old-{number}"})
    await place.catch_up()
    async with place.session.delete(f"{place.sidecar.url}/v1/jobs/job-1?force=true") as response:
        assert response.status == 204
    await place.sidecar.recorded(place.session)
    await place.push("job-1", event={"type": "new"})
    await place.sidecar.recorded(place.session)
    assert await place.types() == ["created", "started", "new"]
    assert await place.types("?limit=2") == ["created", "started"]


async def test_while_the_replica_is_away_the_primary_answers(place: Place) -> None:
    await known_to_replica_alone(place)
    await place.push("job-1", status="completed")
    await place.sidecar.recorded(place.session)
    place.replica_server.kill()
    try:
        assert await place.listed() == {"job-1"}
        assert await place.finished() == 1
        assert await place.types() == ["created", "started", "completed"]
        assert all(state == "ok" for name, state in (await place.sidecar.parts(place.session)).items() if name == "sql")
    finally:
        place.replica_server.start()
        await place.replica_server.ready()

    async def is_back() -> bool:
        return await place.listed() == {"job-1", "marker"}

    await until_found(is_back, SECONDS, lambda: "the replica serves again")


async def test_while_redis_is_away_the_replica_is_not_asked(place: Place) -> None:
    await known_to_replica_alone(place)
    await place.push("job-1", current=1)
    await place.sidecar.recorded(place.session)
    place.valkey.kill()

    async def is_away() -> bool:
        return (await place.sidecar.parts(place.session)).get("redis") == "unavailable"

    await until_found(is_away, SECONDS, lambda: "Redis is away")
    await place.push("job-2", current=1)
    assert await place.listed() == {"job-1", "job-2"}
