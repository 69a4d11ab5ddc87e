"""The load client, built from load.c and run on its own core; what it prints becomes numbers.

It has a deadline for everything that it does, so that nothing here needs one.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from servers import HERE, LOAD_CORE, TOKEN, Broken, Server, pinned

Result = dict[str, Any]


class Running:
    """A client whose streams are open and that goes on with its phases."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Keep the process and what it will print."""
        self._process = process
        self._output, self._errors = cast("IO[str]", process.stdout), cast("IO[str]", process.stderr)

    def wait_until_open(self) -> None:
        """Wait for the first line, which says that all streams are open."""
        if not self._output.readline():
            self.results()

    @property
    def is_busy(self) -> bool:
        """Whether a phase is still under way."""
        return self._process.poll() is None

    def results(self) -> list[Result]:
        """Wait for the end, and return a result for each phase."""
        results = [json.loads(line) for line in self._output]
        if code := self._process.wait():
            raise Broken(self._errors.read().strip() or f"the load client ended with {code}")
        return results


@dataclass(frozen=True, slots=True)
class Client:
    """The program, and how long a phase is unless said otherwise."""

    program: Path
    seconds: float

    def run(self, target: str, server: Server, phases: str, **options: str | float) -> list[Result]:
        """Run to the end, and return a result for each phase; the options stand in load.c."""
        with self.running(target, server, phases, **options) as running:
            return running.results()

    @contextmanager
    def running(self, target: str, server: Server, phases: str, **options: str | float) -> Iterator[Running]:
        """Run it, inside from when all streams are open."""
        given = {"seconds": self.seconds, **options, "port": server.port, "token": TOKEN, "phases": phases}
        command = pinned(LOAD_CORE, str(self.program), target, *(f"{name}={value}" for name, value in given.items()))
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603
            try:
                running = Running(process)
                running.wait_until_open()
                yield running
            finally:
                process.kill()


def build(folder: Path) -> Path:
    """Compile the client."""
    program = folder / "load"
    sources = [str(HERE / name) for name in ("load.c", "sink.c")]
    flags = ["-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", str(program), *sources], check=True, timeout=60)  # noqa: S603, S607
    return program
