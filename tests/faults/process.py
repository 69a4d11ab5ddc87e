"""A process that a test starts, kills, stops and lets go on; it ends with the test, however that goes."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sidecar.adapters.data_dir import die_with_this_process

GONE_SECONDS = 10.0


class Process:
    """A program that can be started again and again; what it says goes to the end of one file."""

    def __init__(self, command: Sequence[str], log: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._folder = folder
        self._environment = environment
        self._running: subprocess.Popen[bytes] | None = None
        self.limit: Callable[[], None] | None = None
        self._lives = 0

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._running is not None
        return self._running.pid

    def times_started(self) -> int:
        """Return how often it has been started."""
        return self._lives

    def start(self) -> None:
        """Start it; it must not run."""
        assert self._running is None or self._running.poll() is not None
        self._lives += 1
        die, limit = die_with_this_process(), self.limit

        def before_exec() -> None:
            for prepare in (die, limit):
                if prepare is not None:
                    prepare()

        with self._log.open("ab") as log:
            self._running = subprocess.Popen(  # noqa: S603 - our own server
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**_plain_environment(), **self._environment},
                start_new_session=True,
                preexec_fn=before_exec,  # noqa: PLW1509 - no other thread holds a lock that it needs
            )

    def children(self) -> list[int]:
        """Return the processes that it has started and that still run."""
        return [int(child) for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def check(self) -> None:
        """Fail if it has ended by itself."""
        assert self._running is not None
        code = self._running.poll()
        assert code is None, f"{self._command[0]} ended with {code}:\n{self.last_words()}"

    def kill(self) -> None:
        """End it at once, stopped or not."""
        if self._running is not None and self._running.poll() is None:
            self._running.kill()
            self._running.wait(GONE_SECONDS)

    def terminate(self, seconds: float = GONE_SECONDS) -> int:
        """Ask it to end within so many seconds and return its exit code."""
        assert self._running is not None
        self._running.terminate()
        return self._running.wait(seconds)

    def pause(self) -> None:
        """Stop it: its connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def last_words(self, lines: int = 40) -> str:
        """Return the end of what it said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _plain_environment() -> dict[str, str]:
    """Return our own environment without what would set up a sidecar in another way, or measure its coverage.

    A process that runs out of disk, or is killed as it ends, leaves a file of measurements that nothing can read.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "COVERAGE_"))}


def command_line(pid: int) -> str:
    """Return how a process was started, or what it calls itself since."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
