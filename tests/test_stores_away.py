"""The whole program while its stores are away: what is served, what is refused, what is still there."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from redis.asyncio import Redis

from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.app import serving
from sidecar.settings import Settings
from tests.running import DEADLINE_SECONDS, push, read, running
from tests.servers.embedded import embedded
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres

ENDING = ("stage_completed", "progress", "completed")


async def test_redis_that_is_not_there_is_told_and_sql_serves(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0") as sidecar:
        assert (await push(client, sidecar.url, current=1))["applied"]
        assert (await read(client, sidecar.url))["current"] == 1
        code, errors = await sidecar.stopped()
    assert code == 0
    assert "a store is away" in errors
    assert "Traceback" not in errors


async def test_sql_serves_while_redis_is_away(tmp_path: Path, client: ClientSession) -> None:
    async with embedded(tmp_path) as valkey:
        settings = Settings(redis_url=valkey.url, listen_port=0, data_dir=tmp_path / "history")
        async with serving(settings) as served:
            await push(client, served.url, current=1)
            await valkey.stop()
            statuses = {}
            for path in ("/v1/jobs/job-1", "/healthz", "/metrics"):
                async with client.get(f"{served.url}{path}") as response:
                    statuses[path] = response.status
            assert statuses == {"/v1/jobs/job-1": 200, "/healthz": 200, "/metrics": 200}
            assert (await push(client, served.url, current=2))["applied"]
            await valkey.start()
            assert (await push(client, served.url, current=3))["applied"]


async def test_timeline_outlives_the_outbox(tmp_path: Path, client: ClientSession) -> None:
    async with embedded(tmp_path) as valkey:
        settings = Settings(redis_url=valkey.url, listen_port=0, data_dir=tmp_path / "history")
        async with serving(settings) as served, Redis.from_url(valkey.url) as redis:
            await push(client, served.url, stage="load")
            await push(client, served.url, status="completed")
            before = await timeline(client, served.url)
            assert [event["type"] for event in before] == ["created", "started", "stage_started", *ENDING]
            database = Database(f"sqlite:///{settings.data_dir}/history.db", DEADLINE_SECONDS)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while len(await SqlHistory(database).timeline("job-1", 0, 100)) < len(before):
                    pass
            await database.close()
            await redis.delete("progress:{default}:outbox")
            assert await timeline(client, served.url) == before


async def timeline(client: ClientSession, url: str) -> list[dict[str, Any]]:
    async with client.get(f"{url}/v1/jobs/job-1/timeline") as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["events"])


@dataclass
class Both:
    """A sidecar, its PostgreSQL and its Valkey, that can be stopped."""

    url: str
    postgres: Postgres
    valkey_pid: int

    def pause(self) -> None:
        """Let neither store answer."""
        self.postgres.pause()
        os.kill(self.valkey_pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let both answer again."""
        self.postgres.resume()
        os.kill(self.valkey_pid, signal.SIGCONT)


@asynccontextmanager
async def away(tmp_path: Path, **settings: object) -> AsyncIterator[Both]:
    """Run a sidecar with a PostgreSQL and a Valkey of its own, with one job."""
    postgres = Postgres()
    try:
        postgres.start()
        await postgres.ready()
        async with running(tmp_path, database_url=await postgres.database("sidecar"), **settings) as sidecar:
            both = Both(sidecar.url, postgres, await sidecar.valkey())
            async with ClientSession() as client:
                await push(client, sidecar.url, current=1)
            try:
                yield both
            finally:
                both.resume()
    finally:
        postgres.remove()


async def test_while_both_stores_are_away_work_is_refused_and_streams_stay(
    tmp_path: Path, client: ClientSession
) -> None:
    async with away(tmp_path) as both, client.get(f"{both.url}/v1/jobs/job-1/events") as stream:
        assert b"progress" in await stream.content.readuntil(b"version")
        both.pause()
        assert await until_unready(client, both.url) == {"redis": "unavailable", "sql": "unavailable"}
        for path in ("/v1/jobs/job-1", "/v1/jobs", "/v1/jobs/job-1/timeline"):
            async with client.get(f"{both.url}{path}") as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
        for path in ("/healthz", "/metrics"):
            async with client.get(f"{both.url}{path}") as response:
                assert response.status == 200
        both.resume()
        assert (await push(client, both.url, current=7))["applied"]
        async with asyncio.timeout(DEADLINE_SECONDS):
            while b'"current":7' not in await stream.content.readline():
                continue


async def test_while_sql_is_away_what_runs_is_served_and_the_past_is_not(tmp_path: Path, client: ClientSession) -> None:
    async with away(tmp_path) as both:
        both.postgres.pause()
        assert (await push(client, both.url, current=2))["applied"]
        assert (await read(client, both.url))["current"] == 2
        assert [job["job_id"] for job in await listed(client, f"{both.url}/v1/jobs?active=true")] == ["job-1"]
        for path in ("/v1/jobs", "/v1/jobs/job-1/timeline", "/v1/jobs/job-1/attempts", "/v1/stats"):
            async with client.get(f"{both.url}{path}") as response:
                assert response.status == 503, path
        both.postgres.resume()


async def test_a_full_outbox_takes_no_more_lines(tmp_path: Path, client: ClientSession) -> None:
    async with away(tmp_path, outbox_bytes=65_536) as both:
        both.postgres.pause()
        big = {"type": "page", "details": {"text": "x" * 10_000}}
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                async with client.post(f"{both.url}/v1/jobs/job-1", json={"event": big}) as response:
                    answer = await response.json()
                if response.status == 503:
                    break
        assert "outbox is full" in answer["detail"]
        assert (await push(client, both.url, message="no line"))["applied"]
        both.postgres.resume()
        assert (await push(client, both.url, event={"type": "page"}))["applied"]


async def listed(client: ClientSession, url: str) -> list[dict[str, Any]]:
    async with client.get(url) as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["jobs"])


async def until_unready(client: ClientSession, url: str) -> dict[str, str]:
    """Wait until it takes no work; return what it says of the stores."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with client.get(f"{url}/readyz") as response:
                parts = await response.json()
                if response.status == 503:
                    return {store: parts[store] for store in ("redis", "sql")}
