"""The whole program, as an operator meets it: real processes, real signals, real kills."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import ClientConnectionError, ClientSession
from redis.asyncio import Redis

from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.adapters.sql.database import Database
from sidecar.adapters.sql.history import SqlHistory
from sidecar.app import serving
from sidecar.settings import Settings
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres

T = TypeVar("T")

DEADLINE_SECONDS = 30.0
ENDING = ("stage_completed", "progress", "completed")
ADDRESS = re.compile(rb"serving on (http://\S+)")


@dataclass
class Running:
    """A sidecar in a process of its own."""

    process: asyncio.subprocess.Process
    url: str
    data_dir: Path

    async def stopped(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal and return the exit code and what was logged."""
        self.process.send_signal(number)
        _, errors = await asyncio.wait_for(self.process.communicate(), DEADLINE_SECONDS)
        return self.process.returncode or 0, errors.decode()

    async def valkey(self) -> int:
        """Return the process of the Valkey server, once there is one."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                if found := self.valkeys():
                    return found[0]
                await asyncio.sleep(0)

    def valkeys(self) -> list[int]:
        """Return the processes of Valkey servers that work in this data directory."""
        return [pid for pid in _pids() if _command(pid).find(f"{self.data_dir}/valkey.sock") >= 0]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def environment(**settings: object) -> dict[str, str]:
    """Return an environment with these settings and no others."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
    return plain | {f"SIDECAR_{name.upper()}": str(value) for name, value in settings.items()}


async def start(**settings: object) -> asyncio.subprocess.Process:
    """Start `sidecar serve`."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "sidecar", "serve"),
        env=environment(**settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def refused(**settings: object) -> tuple[int | None, str]:
    """Start a sidecar that cannot run; return its exit code and what it said."""
    process = await start(**settings)
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return process.returncode, errors.decode()


@asynccontextmanager
async def running(data_dir: Path, **settings: object) -> AsyncIterator[Running]:
    """Run a sidecar until the end of the block, by force if it is still there."""
    process = await start(data_dir=data_dir, **{"listen_port": 0, **settings})
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_SECONDS)
        found = ADDRESS.search(line)
        assert found is not None, line
        yield Running(process, found[1].decode(), data_dir)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def push(client: ClientSession, url: str, job_id: str = "job-1", **fields: object) -> dict[str, Any]:
    """Push until the sidecar takes it, as a client does that is told to come back."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with client.post(f"{url}/v1/jobs/{job_id}", json=fields) as response:
                if response.status == 200:
                    return dict(await response.json())
                assert response.status == 503, await response.text()
                assert response.headers["Retry-After"]


async def read(client: ClientSession, url: str, job_id: str = "job-1") -> dict[str, Any]:
    """Read a job, come back if told to."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with client.get(f"{url}/v1/jobs/{job_id}") as response:
                if response.status == 200:
                    return dict(await response.json())
                assert response.status == 503, await response.text()


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_stop_it_leaves_nothing_behind(
    tmp_path: Path, client: ClientSession, number: signal.Signals
) -> None:
    async with running(tmp_path) as sidecar:
        await push(client, sidecar.url, current=1)
        assert len(sidecar.valkeys()) == 1
        code, errors = await sidecar.stopped(number)
        assert (code, sidecar.valkeys()) == (0, [])
        assert "Traceback" not in errors


async def test_started_again_every_job_is_there(tmp_path: Path, client: ClientSession) -> None:
    before = {}
    async with running(tmp_path) as sidecar:
        for number in range(20):
            await push(client, sidecar.url, f"job-{number}", current=number, metadata={"number": number})
            before[number] = await read(client, sidecar.url, f"job-{number}")
        await sidecar.stopped()
    async with running(tmp_path) as sidecar:
        for number in range(20):
            after = await read(client, sidecar.url, f"job-{number}")
            assert {**after, "cursor": None} == {**before[number], "cursor": None}


async def test_killed_it_loses_nothing_that_it_acknowledged(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path) as sidecar:
        for seq in range(1, 51):
            answer = await push(client, sidecar.url, seq=seq, add={"current": 1})
            assert answer["applied"]
        await sidecar.stopped(signal.SIGKILL)
    async with running(tmp_path) as sidecar:
        assert (await read(client, sidecar.url))["current"] == 50
        assert len(sidecar.valkeys()) == 1


async def test_killed_valkey_comes_back_with_everything_acknowledged(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path) as sidecar:
        for seq in range(1, 31):
            await push(client, sidecar.url, writer="w", seq=seq, add={"current": 1})
            if seq % 10 == 0:
                os.kill(await sidecar.valkey(), signal.SIGKILL)
        assert (await read(client, sidecar.url))["current"] == 30
        code, errors = await sidecar.stopped()
        assert code == 0
        assert "Traceback" not in errors


async def test_open_streams_end_when_it_is_asked_to_stop(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path) as sidecar:
        await push(client, sidecar.url, current=1)
        async with client.get(f"{sidecar.url}/v1/jobs/job-1/events") as stream:
            assert b"progress" in await stream.content.readuntil(b"version")
            code, errors = await sidecar.stopped()
            await stream.content.read()
        assert code == 0
        assert "Traceback" not in errors


async def test_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as sidecar:
        port = sidecar.url.rpartition(":")[2]
        code, errors = await refused(data_dir=tmp_path / "two", listen_port=port)
    assert code == 1
    assert f"port {port} on 127.0.0.1 is taken" in errors
    assert "Traceback" not in errors


async def test_taken_data_directory_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with running(tmp_path) as sidecar:
        code, errors = await refused(data_dir=tmp_path, listen_port=0)
        assert code == 1
        assert f"in use by another sidecar (process {sidecar.process.pid})" in errors
        assert "Traceback" not in errors


async def test_unusable_data_directory_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, errors = await refused(data_dir=tmp_path / "file" / "below", listen_port=0)
    assert code == 1
    assert "cannot be used" in errors
    assert "SIDECAR_DATA_DIR" in errors
    assert "Traceback" not in errors


async def test_redis_that_is_not_there_is_told_and_sql_serves(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0") as sidecar:
        assert (await push(client, sidecar.url, current=1))["applied"]
        assert (await read(client, sidecar.url))["current"] == 1
        code, errors = await sidecar.stopped()
    assert code == 0
    assert "a store is away" in errors
    assert "Traceback" not in errors


async def test_no_store_at_all_is_told_in_a_sentence(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    code, errors = await refused(
        data_dir=tmp_path, redis_url=f"redis://{nowhere}/0", database_url=f"postgresql://{nowhere}/progress"
    )
    assert code == 1
    assert "neither store can be reached" in errors
    assert "Traceback" not in errors


async def test_bad_settings_are_named_one_by_one() -> None:
    code, errors = await refused(redis_url="http://redis", listen_port="high", listen_hosts="::1")
    assert code == 2
    for variable in ("SIDECAR_REDIS_URL", "SIDECAR_LISTEN_PORT", "SIDECAR_LISTEN_HOSTS"):
        assert variable in errors
    assert "Traceback" not in errors


async def test_tokens_are_reread_on_sighup(tmp_path: Path, client: ClientSession) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("admin:*:the-first-secret-of-all\n")
    async with running(tmp_path / "data", tokens_file=tokens) as sidecar:

        async def status(secret: str) -> int:
            headers = {"Authorization": f"Bearer {secret}"}
            async with client.get(f"{sidecar.url}/v1/jobs", headers=headers) as response:
                return response.status

        async def until(secret: str, wanted: int) -> None:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await status(secret) != wanted:
                    pass

        assert (await status("the-first-secret-of-all"), await status("the-second-secret-of-all")) == (200, 401)
        tokens.write_text("reader:*:the-second-secret-of-all\n")
        sidecar.process.send_signal(signal.SIGHUP)
        await until("the-second-secret-of-all", 200)
        assert await status("the-first-secret-of-all") == 401
        tokens.write_text("nonsense\n")
        sidecar.process.send_signal(signal.SIGHUP)
        await push_nothing(client, sidecar.url)
        assert await status("the-second-secret-of-all") == 200


async def push_nothing(client: ClientSession, url: str) -> None:
    """Make a round trip, so that what was sent before has been taken in."""
    async with client.get(f"{url}/healthz") as response:
        assert response.status == 200


async def test_second_listener_has_only_what_operators_need(tmp_path: Path, client: ClientSession) -> None:
    settings = Settings(data_dir=tmp_path, listen_port=0, ops_port=0)
    async with serving(settings) as served:
        statuses = {}
        for path in ("/metrics", "/healthz", "/readyz", "/v1/jobs", "/"):
            async with client.get(f"{served.ops_url}{path}") as response:
                statuses[path] = response.status
        assert statuses == {"/metrics": 200, "/healthz": 200, "/readyz": 200, "/v1/jobs": 404, "/": 404}


async def test_two_sidecars_share_a_redis(tmp_path: Path, client: ClientSession) -> None:
    directory = DataDirectory(tmp_path)
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(
                serving(Settings(redis_url=valkey.url, listen_port=0, data_dir=tmp_path / name))
            )
            for name in ("one", "two")
        ]
        await push(client, one.url, current=1, total=10)
        async with client.get(f"{two.url}/v1/jobs/job-1/events") as stream:
            assert (await next_event(stream.content))["current"] == 1
            await push(client, one.url, current=2)
            assert (await next_event(stream.content))["current"] == 2
            await push(client, two.url, status="completed")
            assert (await next_event(stream.content))["job"]["percent"] == 100
    await valkey.stop()
    directory.release()


async def test_what_ten_jobs_took_is_what_the_next_one_is_told_by(tmp_path: Path, client: ClientSession) -> None:
    settings = Settings(data_dir=tmp_path, listen_port=0)
    async with serving(settings) as served:
        for number in range(10):
            job = f"{served.url}/v1/jobs/j{number}"
            for fields in ({"stage": "load"}, {"stage": "solve"}, {"status": "completed"}):
                async with client.post(job, json={"job_type": "night", **fields}) as response:
                    assert response.status == 200
                await asyncio.sleep(0.005)  # how long a stage takes
        await eventually(lambda: recorded(client, served.url), lambda jobs: jobs == 10)
    async with serving(settings) as served:
        known = await eventually(lambda: job_types(client, served.url), lambda found: "night" in found)
        assert [stage["name"] for stage in known["night"]["stages"]] == ["load", "solve"]
        assert known["night"]["usual_seconds"] > 0
        async with client.post(f"{served.url}/v1/jobs/next", json={"job_type": "night", "stage": "load"}) as response:
            assert response.status == 200
        async with client.get(f"{served.url}/v1/jobs/next") as response:
            shown = await response.json()
        assert [stage["name"] for stage in shown["stages"]] == ["load", "solve"]
        assert shown["eta"]["seconds"] == pytest.approx(known["night"]["usual_seconds"], abs=0.02)


async def eventually(ask: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool]) -> T:
    """Ask until the answer will do, and return it."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            answer = await ask()
            if is_enough(answer):
                return answer
            await asyncio.sleep(0.05)


async def recorded(client: ClientSession, url: str) -> int:
    """Return how many finished jobs the history knows."""
    async with client.get(f"{url}/v1/stats") as response:
        return sum(each["finished"] for each in (await response.json())["job_types"])


async def job_types(client: ClientSession, url: str) -> dict[str, Any]:
    """Return what is known of job types, by name."""
    async with client.get(f"{url}/v1/job-types") as response:
        return {each["job_type"]: each for each in (await response.json())["job_types"]}


async def next_event(content: asyncio.StreamReader | Any) -> dict[str, Any]:
    """Return the data of the next progress or done event."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            line = (await content.readline()).decode()
            if line in ("event: progress\n", "event: done\n"):
                await content.readline()
                return dict(json.loads((await content.readline()).decode().removeprefix("data: ")))


async def test_sql_serves_while_redis_is_away(tmp_path: Path, client: ClientSession) -> None:
    directory = DataDirectory(tmp_path)
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
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
    await valkey.stop()
    directory.release()


async def test_timeline_outlives_the_outbox(tmp_path: Path, client: ClientSession) -> None:
    directory = DataDirectory(tmp_path)
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
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
    await valkey.stop()
    directory.release()


async def timeline(client: ClientSession, url: str) -> list[dict[str, Any]]:
    async with client.get(f"{url}/v1/jobs/job-1/timeline") as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["events"])


async def test_stopped_sidecar_refuses_connections(tmp_path: Path, client: ClientSession) -> None:
    async with serving(Settings(data_dir=tmp_path, listen_port=0)) as served:
        await push_nothing(client, served.url)
    with pytest.raises(ClientConnectionError):
        await push_nothing(client, served.url)


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


async def test_an_export_that_is_imported_is_exported_again_byte_by_byte(tmp_path: Path, client: ClientSession) -> None:
    async with running(tmp_path / "one") as sidecar:
        for number in range(12):
            name = f"job-{number}"
            await push(client, sidecar.url, name, writer="w", seq=1, stage="load", add={"items": {"rows": number}})
            await push(client, sidecar.url, name, stage="solve", current=1, metadata={"text": "é\u2028\u0000"})
            if number % 3 == 0:
                await push(client, sidecar.url, name, status="failed", error={"message": "no"})
            if number % 6 == 0:
                await push(client, sidecar.url, name, attempt=2)
        before = await attempts(client, sidecar.url)
        await sidecar.stopped()
    first, second = tmp_path / "first", tmp_path / "second"
    await carried("export", tmp_path / "one", first)
    await carried("import", tmp_path / "two", first)
    await carried("import", tmp_path / "two", first)
    await carried("export", tmp_path / "two", second)
    assert first.read_bytes().count(b'"kind":"job"') == 12
    assert first.read_bytes() == second.read_bytes()
    async with running(tmp_path / "two") as sidecar:
        assert (await push(client, sidecar.url, "job-1", writer="w", seq=1, stage="load", add={"items": {"rows": 1}}))[
            "reason"
        ] == "duplicate"
        assert await attempts(client, sidecar.url) == before


async def test_what_is_no_export_is_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text('{"kind":"progress-sidecar export","format":1}\n{"kind":"job"\n')
    code, errors = await command("import", tmp_path, tmp_path / "bad")
    assert (code, "line 2" in errors, "Traceback" in errors) == (1, True, False)


async def listed(client: ClientSession, url: str) -> list[dict[str, Any]]:
    async with client.get(url) as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["jobs"])


async def attempts(client: ClientSession, url: str) -> list[dict[str, Any]]:
    async with client.get(f"{url}/v1/jobs/job-6/attempts") as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["attempts"])


async def until_unready(client: ClientSession, url: str) -> dict[str, str]:
    """Wait until it takes no work; return what it says of the stores."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with client.get(f"{url}/readyz") as response:
                parts = await response.json()
                if response.status == 503:
                    return {store: parts[store] for store in ("redis", "sql")}


async def carried(name: str, data_dir: Path, file: Path) -> None:
    code, errors = await command(name, data_dir, file)
    assert (code, errors.replace("12 jobs imported\n", "")) == (0, "")


async def command(name: str, data_dir: Path, file: Path) -> tuple[int | None, str]:
    """Run a command of the program on a data directory and a file."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "sidecar", name, str(file)),
        env=environment(data_dir=data_dir),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return process.returncode, errors.decode()


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


async def test_declared_job_types_are_counted_from_the_start_whatever_else_clients_invent(tmp_path: Path) -> None:
    declared = tmp_path / "job_types.toml"
    declared.write_text("[job_types.nightly]\n[job_types.weekly]\n")
    settings = Settings(data_dir=tmp_path / "data", listen_port=0, job_types_file=declared)
    async with serving(settings) as served, ClientSession() as client:
        before = await counted(client, served.url)
        assert (before["nightly"], before["weekly"]) == (0.0, 0.0)
        for number in range(60):
            await push(client, served.url, f"job-{number}", job_type=f"invented-{number}")
        await push(client, served.url, "job-weekly", job_type="weekly")
        after = await counted(client, served.url)
    assert (after["nightly"], after["weekly"], after["other"]) == (0.0, 1.0, 10.0)
    assert sum(name.startswith("invented-") for name in after) == 50


async def counted(client: ClientSession, url: str) -> dict[str, float]:
    """Return how many updates were applied, by job type."""
    async with client.get(f"{url}/metrics") as response:
        text = await response.text()
    found = re.findall(r'^progress_updates_total\{job_type="([^"]+)",result="applied"\} (\S+)$', text, re.MULTILINE)
    return {job_type: float(number) for job_type, number in found}
