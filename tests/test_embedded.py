"""The embedded Valkey: real processes, ended by force at the worst moments. Linux only, for /proc."""

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sidecar.adapters.data_dir import DataDirectory
from sidecar.adapters.embedded import EmbeddedValkey
from sidecar.core.errors import StartError

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _no_process_is_left(tmp_path: Path) -> Iterator[None]:
    """End what a failing test left running, and fail for it."""
    yield
    left = processes_in(tmp_path)
    for number in left:
        os.kill(number, signal.SIGKILL)
    assert left == []


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[DataDirectory]:
    directory = DataDirectory(tmp_path / "data")
    await directory.acquire()
    yield directory
    directory.release()


@pytest.fixture
async def valkey(directory: DataDirectory) -> AsyncIterator[EmbeddedValkey]:
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    yield valkey
    await valkey.stop()


@asynccontextmanager
async def watching(valkey: EmbeddedValkey) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(valkey.watch())
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def another_process(path: Path) -> AsyncIterator[Process]:
    """Run `tests.embedded_parent` as the leader of a process group, as a shell does."""
    command = (sys.executable, "-m", "tests.embedded_parent", str(path))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, process_group=0)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await process.communicate()


async def lines(process: Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_SECONDS):
        return [(await process.stdout.readline()).decode().rstrip() for _ in range(count)]


async def kill_and_read_the_rest(process: Process) -> list[str]:
    process.kill()
    async with asyncio.timeout(DEADLINE_SECONDS):
        rest, _ = await process.communicate()
    return [line for line in rest.decode().split("\n")[:-1] if line]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = DEADLINE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - no event tells what another process does
            await asyncio.sleep(0.01)


def processes_in(path: Path) -> list[int]:
    """Return the living processes of others that name a directory or work in it."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _names(entry, os.fsencode(path))
    ]


def _names(process: Path, path: bytes) -> bool:
    with suppress(OSError):
        return path in (process / "cmdline").read_bytes() or path in os.fsencode((process / "cwd").readlink())
    return False


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url, decode_responses=True, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
        yield client


async def info(url: str) -> dict[str, Any]:
    async with connected(url) as client:
        return dict(await client.info("server"))


async def pid(valkey: EmbeddedValkey) -> int:
    return int((await info(valkey.url))["process_id"])


async def answers(url: str) -> bool:
    try:
        await info(url)
    except RedisError:
        return False
    return True


async def test_write_survives_stop_and_start(valkey: EmbeddedValkey) -> None:
    async with connected(valkey.url) as client:
        await client.set("key", "value")
    await valkey.stop()
    await valkey.start()
    async with connected(valkey.url) as client:
        assert await client.get("key") == "value"


async def test_killed_server_is_back_within_two_seconds_on_its_socket_with_its_data(valkey: EmbeddedValkey) -> None:
    url = valkey.url
    async with connected(url) as client:
        await client.set("key", "value")
    async with watching(valkey):
        os.kill(await pid(valkey), signal.SIGKILL)
        await until(lambda: answers(url), 2.0)
        async with connected(url) as client:
            assert await client.get("key") == "value"
    assert valkey.url == url


async def test_server_is_started_again_however_often_it_dies(valkey: EmbeddedValkey) -> None:
    async with watching(valkey):
        seen = set()
        for _ in range(3):
            await until(lambda: answers(valkey.url))
            seen.add(await pid(valkey))
            os.kill(await pid(valkey), signal.SIGKILL)
        await until(lambda: answers(valkey.url))
    assert len(seen) == 3


async def test_death_is_logged_with_its_signal(valkey: EmbeddedValkey, caplog: pytest.LogCaptureFixture) -> None:
    async with watching(valkey):
        os.kill(await pid(valkey), signal.SIGKILL)
        await until(lambda: answers(valkey.url))
    died = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.__dict__["fields"] for record in died] == [{"end": "SIGKILL"}]


async def test_what_the_server_says_is_logged(directory: DataDirectory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sidecar")
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    await valkey.stop()
    said = [record for record in caplog.records if record.message == "the embedded Valkey says"]
    levels = {record.__dict__["fields"]["line"].split(" ", 6)[-1]: record.levelname for record in said}
    assert levels["Server initialized"] == "DEBUG"
    assert levels["Valkey is now ready to exit, bye bye..."] == "DEBUG"


async def test_killed_parent_leaves_no_server_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    async with another_process(tmp_path) as parent:
        url, *acknowledged = await lines(parent, 51)
        acknowledged += await kill_and_read_the_rest(parent)
    directory = DataDirectory(tmp_path)
    valkey = EmbeddedValkey(directory)
    async with asyncio.timeout(5):
        await directory.acquire()
        assert processes_in(tmp_path) == []
        await valkey.start()
    assert valkey.url == url
    async with connected(url) as client:
        assert await client.exists(*acknowledged) == len(acknowledged)
    await valkey.stop()
    directory.release()
    assert processes_in(tmp_path) == []


async def test_interrupt_from_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    async with another_process(tmp_path) as parent:
        [url] = await lines(parent, 1)
        before = await info(url)
        os.killpg(parent.pid, signal.SIGINT)
        while await lines(parent, 1) != ["interrupted"]:
            pass
        # The server takes up a signal within 100 ms of its own time, so look at it when more than that has gone by.
        await until(lambda: _lives_at(url, before["server_time_usec"] + 500_000))
        assert (await info(url))["process_id"] == before["process_id"]
        parent.terminate()
        await parent.communicate()
    assert parent.returncode == 0
    assert processes_in(tmp_path) == []


async def _lives_at(url: str, microseconds: int) -> bool:
    return bool((await info(url))["server_time_usec"] > microseconds)


async def test_second_holder_is_told_who_has_the_directory(directory: DataDirectory) -> None:
    with pytest.raises(StartError) as refused:
        await DataDirectory(directory.path).acquire(patience_seconds=0.1)
    assert str(refused.value) == (
        f"the data directory {directory.path} is in use by another sidecar (process {os.getpid()}); "
        "give this one its own SIDECAR_DATA_DIR"
    )


async def test_directory_let_go_in_time_is_acquired(directory: DataDirectory) -> None:
    second = DataDirectory(directory.path)
    waiting = asyncio.create_task(second.acquire(DEADLINE_SECONDS))
    await asyncio.sleep(0)
    directory.release()
    await waiting
    assert (directory.path / "lock").read_text() == f"{os.getpid()}\n"
    second.release()


async def test_server_keeps_the_directory_locked_until_it_has_ended(
    valkey: EmbeddedValkey, directory: DataDirectory
) -> None:
    directory.release()
    second = DataDirectory(directory.path)
    with pytest.raises(StartError, match="in use"):
        await second.acquire(patience_seconds=0.1)
    await valkey.stop()
    await second.acquire(patience_seconds=0.1)
    second.release()


# The tests may run as root, whom no mode binds: a file in the way and /proc bind root as well.
@pytest.mark.parametrize("path", ["{tmp}/file/data", "/proc/sidecar-data"])
async def test_unusable_directory_is_told_in_one_sentence(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    used = Path(path.format(tmp=tmp_path))
    with pytest.raises(StartError) as refused:
        await DataDirectory(used).acquire()
    assert str(refused.value).startswith(f"the data directory {used} cannot be used (")
    assert str(refused.value).endswith("; set SIDECAR_DATA_DIR to a directory that this user may write")


async def test_path_too_long_for_a_socket_works_and_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / ("long" * 40) / ("longer" * 30))
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    socket = Path(valkey.url.removeprefix("unix://"))
    assert await answers(valkey.url)
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    await valkey.stop()
    directory.release()
    assert not socket.parent.exists()


async def test_path_with_characters_of_an_url_works(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "a b?c#d%20é")
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    assert await answers(valkey.url)
    await valkey.stop()
    directory.release()


async def test_relative_path_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    directory = DataDirectory(Path("data"))
    await directory.acquire()
    valkey = EmbeddedValkey(directory)
    await valkey.start()
    assert (tmp_path / "data" / "valkey" / "appendonlydir").is_dir()
    assert directory.folder("valkey") == tmp_path / "data" / "valkey"
    await valkey.stop()
    directory.release()


async def test_every_write_is_synced_to_a_file_and_nothing_listens_on_tcp(valkey: EmbeddedValkey) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "port": "0",
        "unixsocketperm": "700",
        "maxmemory-policy": "noeviction",
    }
    async with connected(valkey.url) as client:
        assert await client.config_get(*wanted) == wanted


async def test_only_this_user_may_enter(valkey: EmbeddedValkey, directory: DataDirectory) -> None:
    assert valkey.url == f"unix://{directory.path}/valkey.sock"
    modes = {name: (directory.path / name).stat().st_mode & 0o777 for name in ("", "lock", "valkey", "valkey.sock")}
    assert modes == {"": 0o700, "lock": 0o600, "valkey": 0o700, "valkey.sock": 0o700}


@pytest.mark.parametrize("moment", ["in the pause", "as the process appears", "as it answers"])
async def test_stop_during_a_restart_leaves_nothing_behind(
    moment: str, valkey: EmbeddedValkey, directory: DataDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(valkey) as watch:
        killed = await pid(valkey)
        os.kill(killed, signal.SIGKILL)
        if moment == "in the pause":
            await until(lambda: _logged_an_error(caplog))
        elif moment == "as the process appears":
            await _appears(directory.path, killed)
        else:
            await until(lambda: answers(valkey.url))
        await valkey.stop()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await watch
    assert processes_in(directory.path) == []
    assert not (directory.path / "valkey.sock").exists()


async def _logged_an_error(caplog: pytest.LogCaptureFixture) -> bool:
    return any(record.levelno == logging.ERROR for record in caplog.records)


async def _appears(path: Path, killed: int) -> None:
    """Return in the very step of the loop in which there is another process, before its start is done."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not set(processes_in(path)) - {killed}:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)


async def test_stop_is_harmless_twice_and_without_a_start(directory: DataDirectory) -> None:
    valkey = EmbeddedValkey(directory)
    await valkey.stop()
    await valkey.start()
    await valkey.stop()
    await valkey.stop()
    assert processes_in(directory.path) == []


async def test_stopped_server_that_does_not_listen_is_killed(valkey: EmbeddedValkey, directory: DataDirectory) -> None:
    os.kill(await pid(valkey), signal.SIGSTOP)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await valkey.stop()
    assert processes_in(directory.path) == []


async def test_cancelled_start_leaves_no_server(directory: DataDirectory) -> None:
    starting = asyncio.create_task(EmbeddedValkey(directory).start())
    await _appears(directory.path, 0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert processes_in(directory.path) == []


async def test_server_that_cannot_start_is_told_with_its_last_lines(directory: DataDirectory) -> None:
    files = directory.folder("valkey") / "appendonlydir"
    files.mkdir()
    (files / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(StartError, match=r"ended \(exit code 1\); its last lines:(.|\n)*AOF manifest file") as failed:
        await EmbeddedValkey(directory).start()
    assert "\n  " in str(failed.value)


async def test_loading_a_long_file_takes_longer_than_silence_may(directory: DataDirectory) -> None:
    write_slow_file(directory)
    valkey = EmbeddedValkey(directory, answer_seconds=1.0)
    began = time.monotonic()
    await valkey.start()
    assert time.monotonic() - began > 1.5
    async with connected(valkey.url) as client:
        assert await client.get("key") == "value"
    await valkey.stop()


async def test_loading_has_an_end(directory: DataDirectory) -> None:
    write_slow_file(directory)
    with pytest.raises(StartError, match="does not answer"):
        await EmbeddedValkey(directory, answer_seconds=1.0, loading_seconds=1.2).start()
    assert processes_in(directory.path) == []


def write_slow_file(directory: DataDirectory) -> None:
    """Write a file that takes 2.4 s to load: the server answers once in 1,024 commands, here about every 0.2 s."""
    files = directory.folder("valkey") / "appendonlydir"
    files.mkdir()
    (files / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    slow = command("DEBUG", "SLEEP", "0.2") + command("SET", "key", "value") * 1023
    (files / "appendonly.aof.1.incr.aof").write_text(slow * 12)


def command(*words: str) -> str:
    return "".join([f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)])


async def test_other_threads_may_not_start_it(directory: DataDirectory) -> None:
    with pytest.raises(StartError, match="main thread"):
        await asyncio.to_thread(asyncio.run, EmbeddedValkey(directory).start())
